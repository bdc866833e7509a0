import HTTP
import Testing

/// A scene with one endpoint: what happens, what it reports and what it writes.
struct H2Case: CustomTestStringConvertible {
    enum Step {
        case receive([UInt8])
        /// A client opens its next stream.
        case open(end: Bool)
        case headers(UInt32, end: Bool)
        case final(UInt32)
        case data(UInt32, Int, end: Bool)
        case reset(UInt32, H2ErrorCode)
        case expect(UInt32, UInt64)
        case beginShutdown
        case finishShutdown
        /// What was written until now is not compared.
        case forgetOutput
    }

    var name: String
    var role = H2Role.server
    var steps: [Step]
    var events: [String]
    var output: [String] = []

    var testDescription: String { name }

    /// A scene with a server whose input is these frames.
    init(_ name: String, _ frames: [UInt8]..., events: [String], output: [String] = []) {
        let steps = [Step.receive(frames.flatMap { $0 })]
        self.init(name, .server, steps: steps, events: events, output: output)
    }

    /// The same with either role.
    init(
        _ name: String,
        _ role: H2Role,
        _ frames: [UInt8]...,
        events: [String],
        output: [String] = []
    ) {
        let steps = [Step.receive(frames.flatMap { $0 })]
        self.init(name, role, steps: steps, events: events, output: output)
    }

    init(
        _ name: String,
        _ role: H2Role = .server,
        steps: [Step],
        events: [String],
        output: [String] = []
    ) {
        self.name = name
        self.role = role
        self.steps = steps
        self.events = events
        self.output = output
    }

    /// Runs it with the input in one piece, byte by byte, and in threes: nothing differs.
    func check() {
        for pieces in [Int.max, 1, 3] {
            let endpoint = H2Endpoint.ready(role)
            for step in steps { take(step, endpoint, pieces) }
            #expect(endpoint.takeEvents() == events, "\(name), in pieces of \(pieces)")
            #expect(endpoint.takeFrames() == output, "\(name), in pieces of \(pieces)")
        }
    }

    private func take(_ step: Step, _ endpoint: H2Endpoint, _ pieces: Int) {
        switch step {
        case .receive(let bytes): endpoint.receive(bytes, pieces: pieces)
        case .open(let end): endpoint.open(end: end)
        case .headers(let id, let end): endpoint.sendHeaders(id, end: end)
        case .final(let id): endpoint.connection.markFinalHeaders(id)
        case .data(let id, let count, let end): endpoint.sendData(id, count: count, end: end)
        case .reset(let id, let code): endpoint.connection.resetStream(id, code)
        case .expect(let id, let length): endpoint.connection.setExpectedLength(id, length)
        case .beginShutdown: endpoint.connection.beginShutdown()
        case .finishShutdown: endpoint.connection.finishShutdown()
        case .forgetOutput: _ = endpoint.takeOutput()
        }
    }
}
