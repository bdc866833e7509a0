import HTTP
import Testing

private typealias B = H2Bytes

/// Priorities and who sends next (RFC 9218 §4, §10).
struct H2ScheduleTests {
    static let values: [(String, UInt8, Bool)] = [
        ("", 3, false), ("u=0", 0, false), ("u=7, i", 7, true), ("i,u=5", 5, true),
        (" u=1 ,\ti ", 1, true), ("i=?1", 3, true), ("i, i=?0", 3, false), ("u=2,u=4", 4, false),
        // Out of range or of another type: as if not said.
        ("u=8", 3, false), ("u=-1", 3, false), ("u=10", 3, false), ("u", 3, false),
        ("i=1", 3, false), ("i=?2", 3, false), ("U=1", 3, false), ("u=1;x", 1, false),
        // Others are passed over; a list with a hole is no list.
        ("x, u=1, y=\"z\"", 1, false), ("u=1,,i", 3, false), (",u=1", 3, false),
    ]

    @Test(arguments: values)
    func `a priority is read`(value: String, urgency: UInt8, isIncremental: Bool) {
        let bytes = latin1(value) + [0x2C]
        let read = bytes.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.map { H2Priority(parsing: $0, count: bytes.count - 1) }
        }
        #expect(read == H2Priority(urgency: urgency, isIncremental: isIncremental))
    }

    /// A server with so many open streams, from id 1 on, that all want to write.
    private func server(streams: Int, signalled: [H2Priority?] = []) -> H2Endpoint {
        var settings = H2Settings.local(.server)
        settings.maxConcurrentStreams = 1_000
        var limits = H2Limits()
        limits.streams.burst = 2_000
        let server = H2Endpoint.ready(.server, settings: settings, limits: limits)
        for index in 0..<streams {
            let id = UInt32(index * 2 + 1)
            server.receive(B.headers(id))
            if index < signalled.count, let priority = signalled[index] {
                server.connection.setPriority(id, priority)
            }
            server.connection.setWantsToWrite(id, true)
        }
        return server
    }

    private func turns(_ server: H2Endpoint, _ count: Int) -> [UInt32] {
        (0..<count).compactMap { _ in server.nextToSend() }
    }

    @Test func `streams without a priority take turns`() {
        let server = server(streams: 3)
        #expect(turns(server, 7) == [1, 3, 5, 1, 3, 5, 1])
        server.connection.setWantsToWrite(3, false)
        #expect(turns(server, 4) == [5, 1, 5, 1])
    }

    @Test func `lower urgency is first, and within one the lower id`() {
        let server = server(
            streams: 4,
            signalled: [.init(urgency: 4), .init(urgency: 2), .init(urgency: 2), .init(urgency: 0)]
        )
        var order: [UInt32] = []
        while let next = server.nextToSend() {
            order.append(next)
            #expect(server.nextToSend() == next)
            server.connection.setWantsToWrite(next, false)
        }
        #expect(order == [7, 3, 5, 1])
    }

    @Test func `a stream shares with those that are as urgent, and with more urgent ones`() {
        let server = server(
            streams: 4,
            signalled: [
                .init(urgency: 5), .init(urgency: 2), .init(urgency: 3, isIncremental: true),
            ]
        )
        // The fourth has said nothing: urgency 3. It is the one that asks.
        server.connection.setWantsToWrite(7, false)
        #expect(server.mustShare(7))
        server.connection.setWantsToWrite(5, false)
        #expect(server.mustShare(7), "stream 3 is more urgent")
        server.connection.setWantsToWrite(3, false)
        #expect(!server.mustShare(7), "stream 1 is less urgent")
        server.connection.setWantsToWrite(5, true)
        #expect(server.mustShare(7))
        #expect(!server.mustShare(9), "there is no such stream")
    }

    @Test func `both kinds of one urgency alternate`() {
        let whole = H2Priority()
        let part = H2Priority(isIncremental: true)
        let server = server(streams: 4, signalled: [whole, whole, part, part])
        #expect(turns(server, 6) == [1, 5, 1, 7, 1, 5])
    }

    @Test func `a change of priority moves a stream that waits`() {
        let server = server(streams: 3)
        server.receive(B.priorityUpdate(5, "u=1"))
        #expect(turns(server, 2) == [5, 5])
        server.receive(B.priorityUpdate(3, "u=0, i"))
        #expect(turns(server, 2) == [3, 3])
        server.receive(B.priorityUpdate(3, "u=7"))
        #expect(turns(server, 1) == [5])
        server.receive(B.reset(5))
        #expect(turns(server, 1) == [1])
    }

    @Test func `who has no window waits for it`() {
        let server = server(streams: 2)
        server.receive(B.window(0, 1 << 20))
        server.sendData(1, count: 60_000)
        _ = server.takeOutput()
        server.sendData(1, count: 10_000)
        #expect(turns(server, 2) == [3, 3])
        server.receive(B.window(1, 1))
        #expect(turns(server, 2) == [3, 1])
        // Nor does anyone send while the output is full.
        server.sendData(3, count: 65_535)
        #expect(turns(server, 1) == [])
        _ = server.takeOutput()
        #expect(turns(server, 1) == [3])
    }

    @Test func `nobody sends without the connection's window`() {
        let server = server(streams: 2)
        server.sendData(1, count: 60_000)
        _ = server.takeOutput()
        server.sendData(3, count: 5_535)
        #expect(turns(server, 1) == [])
        server.receive(B.window(0, 1))
        #expect(turns(server, 1) == [1])
    }

    @Test func `a thousand streams get the same`() {
        let server = server(streams: 1_000)
        var counts: [UInt32: Int] = [:]
        for id in turns(server, 5_000) { counts[id, default: 0] += 1 }
        #expect(counts.count == 1_000)
        #expect(counts.values.allSatisfy { $0 == 5 })
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func `a thousand streams of all priorities, against a plain model`(seed: UInt64) {
        print("seed \(seed)")
        var random = H2Random(state: seed)
        let server = server(streams: 1_000)
        // Not incremental: the least of (urgency, id) that wants to write.
        var model: [UInt32: UInt8] = [:]
        for index in 0..<1_000 {
            let id = UInt32(index * 2 + 1)
            model[id] = UInt8.random(in: 0...7, using: &random)
            server.connection.setPriority(id, H2Priority(urgency: model[id] ?? 0))
        }
        var waiting = Set(model.keys)
        for _ in 0..<1_000 {
            let id = UInt32.random(in: 0..<1_000, using: &random) * 2 + 1
            switch Int.random(in: 0..<4, using: &random) {
            case 0:
                model[id] = UInt8.random(in: 0...7, using: &random)
                server.connection.setPriority(id, H2Priority(urgency: model[id] ?? 0))
            case 1:
                waiting.insert(id)
                server.connection.setWantsToWrite(id, true)
            default:
                waiting.remove(id)
                server.connection.setWantsToWrite(id, false)
            }
            let first = waiting.min { (model[$0] ?? 0, $0) < (model[$1] ?? 0, $1) }
            #expect(server.nextToSend() == first)
        }
    }
}
