import HTTP
import Testing

private typealias B = H2Bytes

/// A client and a server that talk to each other, with bytes cut anywhere.
struct H2PairTests {
    /// What one side of a stream has sent and received.
    private struct Flow {
        var toSend: Int
        var sent = 0
        var received = 0
        var held = 0
        var hasEnded = false
    }

    /// One side, and what it does on its streams: sends so many bytes and takes what comes.
    private final class Side {
        let endpoint: H2Endpoint
        let seed: UInt8
        var flows: [UInt32: Flow] = [:]
        var finished = 0
        var faults: [String] = []
        var answers: ((UInt32) -> Int)?

        init(_ endpoint: H2Endpoint, seed: UInt8) {
            self.endpoint = endpoint
            self.seed = seed
            endpoint.onEvent = { [unowned self] _, event in take(event) }
        }

        /// The byte at a place of a stream's content.
        static func byte(_ seed: UInt8, _ id: UInt32, _ at: Int) -> UInt8 {
            UInt8(truncatingIfNeeded: at &* 31 &+ Int(id) &+ Int(seed))
        }

        func take(_ event: H2Event) {
            switch event {
            case .headers(let headers):
                let id = headers.stream.id
                if headers.isNew {
                    flows[id] = Flow(toSend: answers?(id) ?? 0)
                    endpoint.sendHeaders(id, "response")
                    endpoint.connection.setWantsToWrite(id, true)
                }
                endpoint.connection.markFinalHeaders(id)
                if headers.endStream { flows[id]?.hasEnded = true }
            case .data(let data):
                take(data)
            case .streamReset(let reset):
                faults.append("reset \(reset.stream.id) \(reset.code.name)")
            case .connectionError(let failure):
                faults.append("\(failure.code.name) \(failure.reason)")
            case .discardedHeaders(let id, _, _): faults.append("discarded \(id)")
            default: return
            }
        }

        private func take(_ data: H2Data) {
            let id = data.stream.id
            guard var flow = flows[id] else { return faults.append("data on \(id)") }
            if let bytes = data.bytes {
                for index in 0..<data.count
                where bytes[index] != Self.byte(seed ^ 1, id, flow.received + index) {
                    faults.append("wrong byte on \(id)")
                    break
                }
            }
            flow.received += data.count
            flow.held += data.count
            flow.hasEnded = flow.hasEnded || data.endStream
            flows[id] = flow
        }

        func write(_ random: inout H2Random) {
            for _ in 0..<Int.random(in: 0...8, using: &random) {
                guard let id = endpoint.nextToSend(), var flow = flows[id] else {
                    break
                }
                let count = min(
                    flow.toSend - flow.sent,
                    Int.random(in: 1...20_000, using: &random)
                )
                let piece = (0..<count).map { Self.byte(seed, id, flow.sent + $0) }
                let isLast = flow.sent + count == flow.toSend
                flow.sent += endpoint.sendData(id, piece, end: isLast)
                flows[id] = flow
                if flow.sent == flow.toSend { endpoint.connection.setWantsToWrite(id, false) }
            }
            // Content is passed on later, in parts.
            for (id, flow) in flows.sorted(by: { $0.key < $1.key }) where flow.held > 0 {
                let part = Int.random(in: 0...flow.held, using: &random)
                endpoint.connection.consume(id, part)
                flows[id]?.held -= part
            }
        }
    }

    private func move(_ from: Side, _ to: Side, _ random: inout H2Random) {
        guard let output = from.endpoint.connection.output else { return }
        let waiting = from.endpoint.outputCount
        let count = Int.random(in: 1...waiting, using: &random)
        let bytes = Array(UnsafeBufferPointer(start: output, count: count))
        from.endpoint.connection.consumeOutput(count)
        to.endpoint.receive(bytes, pieces: Int.random(in: 1...count, using: &random))
    }

    @Test(arguments: [1, 2, 3, 4, 5, 6] as [UInt64])
    func `many streams of many sizes arrive whole`(seed: UInt64) {
        print("seed \(seed)")
        var random = H2Random(state: seed)
        let sides = [H2Role.client, .server].map { role in
            var settings = H2Settings.local(role)
            settings.initialWindowSize =
                [1, 100, 5_000, 65_535, 200_000].randomElement(using: &random) ?? 1
            settings.maxFrameSize = [16_384, 50_000].randomElement(using: &random) ?? 16_384
            if role == .server { settings.maxConcurrentStreams = 40 }
            var limits = H2Limits()
            limits.connectionWindowBytes =
                [65_535, 300_000].randomElement(using: &random) ?? 65_535
            // Windows of one byte are dribble; here they are wanted.
            limits.windowUpdates.burst = 1_000_000
            limits.ownStreamsMax = 40
            return Side(
                H2Endpoint(role, settings: settings, limits: limits),
                seed: role == .client ? 0 : 1
            )
        }
        let isTiny = sides.contains { $0.endpoint.connection.localSettings.initialWindowSize < 200 }
        let largest = isTiny ? 300 : 30_000
        sides[1].answers = { id in Int(id &* 7_919) % largest }
        let streams = 80
        var opened = 0
        var turns = 0
        while turns < 200_000, sides.allSatisfy({ $0.faults.isEmpty }) {
            turns += 1
            let client = sides[0]
            if opened < streams, client.endpoint.connection.canOpenStream, turns % 3 == 0 {
                let id = client.endpoint.open("request")
                client.flows[id] = Flow(toSend: Int.random(in: 0...largest, using: &random))
                client.endpoint.connection.setWantsToWrite(id, true)
                opened += 1
            }
            for side in sides {
                side.write(&random)
                for (id, flow) in side.flows where flow.toSend == 0 && flow.sent == 0 {
                    side.flows[id]?.sent = -1
                    side.endpoint.connection.setWantsToWrite(id, false)
                    side.endpoint.sendData(id, [], end: true)
                }
            }
            move(sides[0], sides[1], &random)
            move(sides[1], sides[0], &random)
            if opened == streams, sides.allSatisfy({ $0.endpoint.streamCount == 0 }) { break }
        }
        #expect(sides.flatMap { $0.faults } == [])
        #expect(opened == streams)
        for (side, other) in [(sides[0], sides[1]), (sides[1], sides[0])] {
            #expect(side.endpoint.streamCount == 0)
            #expect(side.flows.count == streams)
            for (id, flow) in side.flows {
                #expect(flow.received == other.flows[id]?.toSend)
                #expect(flow.hasEnded)
            }
        }
    }

    /// Counts blocks that are out.
    private final class Blocks {
        var out = 0
        var taken = 0
    }

    @Test func `memory is given back when there is nothing to keep`() {
        let blocks = Blocks()
        let memory = H2Memory(
            context: Unmanaged.passUnretained(blocks).toOpaque(),
            take: { context, count in
                if let context {
                    let blocks = Unmanaged<Blocks>.fromOpaque(context).takeUnretainedValue()
                    blocks.out += count
                    blocks.taken += 1
                }
                return .allocate(capacity: count)
            },
            give: { context, block, count in
                if let context {
                    Unmanaged<Blocks>.fromOpaque(context).takeUnretainedValue().out -= count
                }
                block.deallocate()
            }
        )
        do {
            let server = H2Endpoint(.server, memory: memory)
            #expect(blocks.out == 4_096)
            _ = server.takeOutput()
            #expect(blocks.out == 0)
            server.receive(B.start)
            _ = server.takeOutput()
            server.receive(Array(B.headers(1, "block").dropLast()))
            #expect(blocks.out == 4_096)
            server.receive(latin1("k"))
            server.receive(B.data(1, "content"))
            #expect(blocks.out == 0)
            // A request in one piece and its response take one block, for the output.
            let before = blocks.taken
            server.receive(B.headers(3, "block", B.endHeaders | B.end))
            server.sendHeaders(3)
            server.sendData(3, count: 1_000, end: true)
            #expect(blocks.taken == before + 1)
            _ = server.takeOutput()
            server.receive(
                B.headers(5, "x", 0) + B.continuation(5, String(repeating: "y", count: 9_000))
            )
            server.sendData(1, count: 40_000)
            #expect(blocks.out == 16_384 + 65_536)
        }
        #expect(blocks.out == 0)
        withExtendedLifetime(blocks) {}
    }

    @Test func `a connection without streams gives its table back and takes new ones`() {
        let server = H2Endpoint.ready(.server)
        for id in stride(from: UInt32(1), to: 61, by: 2) {
            server.receive(B.headers(id, "h", B.endHeaders | B.end))
        }
        server.connection.releaseIdleMemory()
        #expect(server.streamCount == 30)
        for id in stride(from: UInt32(1), to: 61, by: 2) { server.sendHeaders(id, end: true) }
        server.connection.releaseIdleMemory()
        server.receive(B.headers(61) + B.data(61, "x"))
        #expect(server.takeEvents().suffix(2) == ["headers 61 h new", "data 61 x"])
    }
}
