import HTTP
import Testing

private typealias B = H2Bytes

/// Random frames and random bytes: nothing traps, and cutting the input changes nothing.
struct H2FuzzTests {
    private func randomFrame(_ random: inout H2Random) -> [UInt8] {
        // Most are open, so that most frames do not end the connection.
        let isOdd = Int.random(in: 0..<40, using: &random) == 0
        let odd: [UInt32] = [0, 2, 9, 11, 0x7FFF_FFFF]
        let stream = (isOdd ? odd : [1, 3, 5, 7]).randomElement(using: &random) ?? 1
        let flags = UInt8.random(in: 0...255, using: &random)
        let end: UInt8 = Bool.random(using: &random) ? B.end : 0
        let small = UInt32.random(in: 0...4, using: &random)
        switch Int.random(in: 0..<16, using: &random) {
        case 0...2: return B.headers(stream, "block", B.endHeaders | end)
        case 3, 4: return B.data(stream, count: Int.random(in: 0...300, using: &random), end)
        case 5:
            return B.window(stream, [0, 1, 1_000, 0x7FFF_FFFF].randomElement(using: &random) ?? 1)
        case 6: return B.reset(stream, small)
        case 7: return B.priority(stream, on: stream == 1 ? small : 1)
        case 8:
            return B.settings([(UInt16(small) + 1, UInt32.random(in: 0...70_000, using: &random))])
        case 9: return B.ping(UInt8(small), flags & 1)
        case 10: return B.headers(stream, "a", end) + B.continuation(stream, "b", B.endHeaders)
        case 11:
            return B.priorityUpdate(
                stream,
                ["u=1", "i", "u=9,", ""].randomElement(using: &random) ?? ""
            )
        case 12: return B.frame(0, B.padded | end, stream, [UInt8(small)] + latin1("abcd"))
        case 13: return B.frame(0xE0, flags, stream, latin1("unknown"))
        case 14:
            return small == 0
                ? B.goAway(stream) : B.frame(1, B.endHeaders | B.padded, stream, [1, 2, 3])
        default:
            let payload = (0..<Int.random(in: 0...12, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            return B.frame(UInt8.random(in: 0...17, using: &random), flags, stream, payload)
        }
    }

    /// What an application might do, by the events alone.
    private func answer(_ endpoint: H2Endpoint, _ event: H2Event) {
        switch event {
        case .headers(let headers) where !headers.isClosed:
            let id = headers.stream.id
            if headers.isNew { endpoint.sendHeaders(id, "response") }
            if headers.isTrailers { endpoint.connection.resetStream(id, .protocolError) }
            endpoint.connection.markFinalHeaders(id)
            endpoint.connection.setWantsToWrite(id, true)
        case .data(let data):
            endpoint.connection.consume(data.stream.id, data.count)
            if data.count % 5 == 4 { endpoint.connection.resetStream(data.stream.id, .cancel) }
        case .windowOpened:
            if let next = endpoint.connection.nextToSend() {
                endpoint.sendData(next.id, count: 1_000, end: next.id % 4 == 1)
            }
        default: return
        }
    }

    private func run(_ role: H2Role, _ frames: [[UInt8]], pieces: Int) -> ([String], [UInt8]) {
        let endpoint = H2Endpoint.ready(role)
        for id in [1, 3, 5, 7] as [UInt32] {
            if role == .client { endpoint.open() } else { endpoint.receive(B.headers(id)) }
        }
        // The pieces of content differ with the cuts, so answers to it are left to whole frames.
        if pieces == .max { endpoint.onEvent = { [self] in answer($0, $1) } }
        var output: [UInt8] = []
        for frame in frames {
            endpoint.receive(frame, pieces: pieces)
            output += endpoint.takeOutput()
        }
        return (endpoint.takeEvents(), output)
    }

    @Test(arguments: [1, 2, 3, 4] as [UInt64], [H2Role.server, .client])
    func `random frames`(seed: UInt64, role: H2Role) {
        print("seed \(seed)")
        var random = H2Random(state: seed)
        var events = 0
        for _ in 0..<60 {
            let frames = (0..<Int.random(in: 1...25, using: &random)).map { _ in
                randomFrame(&random)
            }
            events += run(role, frames, pieces: .max).0.count
            let whole = run(role, frames, pieces: 1_000_000)
            for pieces in [1, 7] {
                let cut = run(role, frames, pieces: pieces)
                #expect(cut.0 == whole.0)
                #expect(cut.1 == whole.1)
            }
            _ = B.describe(whole.1)
        }
        #expect(events > 200)
    }

    @Test(arguments: [5, 6, 7] as [UInt64])
    func `random bytes after a good beginning`(seed: UInt64) {
        print("seed \(seed)")
        var random = H2Random(state: seed)
        for _ in 0..<400 {
            let endpoint = H2Endpoint.ready(Bool.random(using: &random) ? .server : .client)
            endpoint.onEvent = { [self] in answer($0, $1) }
            var bytes = (0..<4).flatMap { _ in randomFrame(&random) }
            for _ in 0..<Int.random(in: 0...6, using: &random) where !bytes.isEmpty {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                bytes[place] = UInt8.random(in: 0...255, using: &random)
            }
            bytes += (0..<Int.random(in: 0...40, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            endpoint.receive(bytes, pieces: Int.random(in: 1...60, using: &random))
            // Whatever came, what is written are whole frames.
            _ = endpoint.takeFrames()
        }
    }
}
