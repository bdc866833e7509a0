import Engine
import PluginHost
import Proxy
import Sys

/// The engine with the plugin in it, a client and an origin, for one scenario after the other.
final class Scene {
    let engine: TestEngine
    private let log: StepLog
    private var origins: [OriginEnd] = []
    /// What requests arrived at the origin, without their framing.
    private(set) var arrived: [[UInt8]] = []
    /// What the origin answers each request that has arrived whole; nil leaves it waiting.
    var answer: Bytes?
    /// Bytes of the answer that are sent at once; nil sends all.
    var answerPiece: Int?
    /// Whether the client reads.
    var isReading = true
    private(set) var client: Int32 = -1
    private var unsent: ArraySlice<UInt8> = []
    /// All that the client got.
    private(set) var received: [UInt8] = []
    private(set) var isClosed = false

    typealias Bytes = [UInt8]

    private struct OriginEnd {
        let end: Int32
        var input: [UInt8] = []
        var unsent: ArraySlice<UInt8> = []
        var isClosed = false
    }

    /// How a chain is made around the plugin.
    struct Options {
        var views = HookProbe.Views.kept
        /// Where the failing neighbours stand; none without.
        var hasNeighbours = false
        /// 0 goes on without a plugin that failed.
        var failureStatus: UInt16 = 500
        /// Bytes that are read ahead of a receiver.
        var bufferBytes = 262_144
    }

    init(_ context: CheckContext, _ options: Options = Options()) throws(PluginError) {
        log = context.log
        var settings = ProxySettings()
        settings.workers = 1
        settings.logLevel = .warn
        var listener = ListenerSettings(address: "127.0.0.1:8080")
        listener.limits.bufferBytes = options.bufferBytes
        settings.listeners = [listener]
        var upstream = UpstreamSettings(name: "app")
        upstream.peers = [
            PeerSettings(address: "10.0.0.1:80"), PeerSettings(address: "10.0.0.2:80"),
        ]
        if context.isBalancer {
            upstream.balancer = "subject"
        } else {
            upstream.peers.removeLast()
        }
        settings.upstreams = [upstream]
        settings.chain = options.hasNeighbours ? ["before", "subject", "after"] : ["subject"]
        var route = RouteSettings(name: "all")
        route.upstream = "app"
        settings.routes = [route]
        engine = try TestEngine(settings, views: options.views) { () throws(PluginError) in
            var instances = [
                try CheckContext.makeInstance(
                    context.library,
                    context.subject.configuration,
                    "subject",
                    failureStatus: options.failureStatus
                )
            ]
            guard options.hasNeighbours else { return instances }
            let neighbour = try PluginLibrary(linked: Neighbour.hello, name: "neighbour")
            for (index, name) in ["before", "after"].enumerated() {
                instances.append(
                    try CheckContext.makeInstance(
                        neighbour,
                        .object([]),
                        name,
                        index: index + 1,
                        failureStatus: options.failureStatus
                    )
                )
            }
            return instances
        }
        let log = log
        probe.willCall = { call in
            log.hook(call.isResumed ? "resumed" : Phase.names[call.phase])
        }
    }

    /// Of the plugin that is checked.
    var probe: HookProbe { engine.probes[0] }

    // MARK: The client

    func connect() throws {
        leave()
        received = []
        isClosed = false
        guard let address = SocketAddress("192.0.2.1:4711") else { return }
        client = try engine.connect(from: address, listener: 0)
    }

    func send(_ bytes: [UInt8]) {
        unsent += bytes
        flush()
    }

    func finishSending() { engine.shutdown(client) }

    /// The client closes its connection.
    func leave() {
        if client >= 0 { engine.close(client) }
        client = -1
        unsent = []
    }

    /// A request on a new connection, its bytes in pieces of a size, moved as far as it goes.
    func request(_ bytes: [UInt8], piece: Int? = nil) throws {
        try connect()
        let size = max(1, piece ?? bytes.count)
        for start in stride(from: 0, to: bytes.count, by: size) {
            send(Array(bytes[start..<min(start + size, bytes.count)]))
            try move()
        }
    }

    // MARK: Moving

    private static let roundsMax = 100_000

    /// Lets all do what they can do now.
    func move() throws {
        for _ in 0..<Self.roundsMax {
            guard engine.settle() else { throw CheckFailure("the worker does not come to rest") }
            guard moveEnds() else { return }
        }
        throw CheckFailure("the connections do not come to rest")
    }

    /// One turn of the worker, and what client and origin do after it; false when nothing moved.
    func step() -> Bool {
        let events = engine.turn()
        return moveEnds() || events > 0
    }

    private func moveEnds() -> Bool {
        var hasMoved = flush()
        if client >= 0, isReading, !isClosed {
            let bytes = read(client, &isClosed)
            received += bytes
            if !bytes.isEmpty || isClosed { hasMoved = true }
        }
        for peer in 0..<engine.peerCount {
            while let end = engine.accept(peer: peer) {
                origins.append(OriginEnd(end: end))
                hasMoved = true
            }
        }
        for index in origins.indices where !origins[index].isClosed {
            if moveOrigin(index) { hasMoved = true }
        }
        return hasMoved
    }

    private func moveOrigin(_ index: Int) -> Bool {
        var hasMoved = false
        let bytes = read(origins[index].end, &origins[index].isClosed)
        if !bytes.isEmpty || origins[index].isClosed { hasMoved = true }
        origins[index].input += bytes
        while let (body, length) = Wire.wholeRequest(origins[index].input), let answer {
            origins[index].input.removeFirst(length)
            arrived.append(body)
            origins[index].unsent += answer
            hasMoved = true
        }
        if !origins[index].unsent.isEmpty {
            let piece = origins[index].unsent.prefix(answerPiece ?? .max)
            if case .bytes(let count) = write(piece, origins[index].end) {
                origins[index].unsent = origins[index].unsent.dropFirst(count)
                hasMoved = true
            }
        }
        if origins[index].isClosed { engine.close(origins[index].end) }
        return hasMoved
    }

    /// The origin closes all its connections.
    func cutOrigin() {
        for origin in origins where !origin.isClosed { engine.close(origin.end) }
        origins = []
    }

    @discardableResult
    private func flush() -> Bool {
        guard client >= 0, !unsent.isEmpty else { return false }
        switch write(unsent, client) {
        case .bytes(let count):
            unsent = unsent.dropFirst(count)
            return count > 0
        case .later: return false
        case .closed, .refused:
            unsent = []
            return true
        }
    }

    private func write(_ bytes: ArraySlice<UInt8>, _ end: Int32) -> TestEngine.Transfer {
        bytes.withUnsafeBytes { engine.send($0, to: end) }
    }

    private func read(_ end: Int32, _ isClosed: inout Bool) -> [UInt8] {
        var bytes: [UInt8] = []
        while true {
            let transfer = withUnsafeTemporaryAllocation(byteCount: 65_536, alignment: 1) { room in
                let transfer = engine.receive(room, from: end)
                if case .bytes(let count) = transfer { bytes += room[..<count] }
                return transfer
            }
            switch transfer {
            case .bytes: continue
            case .later: return bytes
            case .closed, .refused:
                isClosed = true
                return bytes
            }
        }
    }

    // MARK: The end

    /// Closes everything.
    ///
    /// - Throws: what should be gone and is not.
    func close() throws {
        leave()
        log.step("stop and destroy")
        let lines = engine.close()
        if let line = lines.first { throw CheckFailure(line) }
    }
}

/// Messages as bytes.
enum Wire {
    static func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    static func chunked(_ body: [UInt8], piece: Int) -> [UInt8] {
        var out: [UInt8] = []
        for start in stride(from: 0, to: body.count, by: max(piece, 1)) {
            let part = body[start..<min(start + max(piece, 1), body.count)]
            out += bytes(String(part.count, radix: 16) + "\r\n") + part + bytes("\r\n")
        }
        return out + bytes("0\r\n\r\n")
    }

    /// Where a head ends.
    static func headEnd(_ input: [UInt8]) -> Int? {
        let mark = bytes("\r\n\r\n")
        guard input.count >= 4 else { return nil }
        return (0...input.count - 4).first { input[$0..<$0 + 4].elementsEqual(mark) }
            .map { $0 + 4 }
    }

    /// A request that is whole: its body, and the bytes that it takes.
    static func wholeRequest(_ input: [UInt8]) -> (body: [UInt8], length: Int)? {
        guard let end = headEnd(input) else { return nil }
        return body(input, from: end)
    }

    /// The body behind a head, by what the head says; nil while it is not whole.
    static func body(_ input: [UInt8], from end: Int) -> (body: [UInt8], length: Int)? {
        let head = String(decoding: input[..<end], as: UTF8.self).lowercased()
        if head.contains("transfer-encoding: chunked") { return dechunk(input, from: end) }
        var count = 0
        for line in head.split(separator: "\r\n") where line.hasPrefix("content-length:") {
            count = Int(line.dropFirst(15).drop { $0 == " " }) ?? 0
        }
        guard input.count >= end + count else { return nil }
        return (Array(input[end..<end + count]), end + count)
    }

    private static func dechunk(_ input: [UInt8], from end: Int) -> (body: [UInt8], length: Int)? {
        var body: [UInt8] = []
        var at = end
        while let newline = input[at...].firstIndex(of: 10) {
            let digits = String(decoding: input[at..<newline - 1], as: UTF8.self)
                .prefix { $0 != ";" }
            guard let count = Int(digits, radix: 16) else { return nil }
            at = newline + 1
            if count == 0 {
                while let next = input[at...].firstIndex(of: 10) {
                    let isEmpty = next == at + 1
                    at = next + 1
                    if isEmpty { return (body, at) }
                }
                return nil
            }
            guard input.count >= at + count + 2 else { return nil }
            body += input[at..<at + count]
            at += count + 2
        }
        return nil
    }
}
