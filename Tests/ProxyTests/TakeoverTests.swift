import Reactor
import Synchronization
import Sys
import Testing

@testable import Proxy

/// Serial: the workers' places in the tables of the process are the same for all of them.
@Suite(.serialized)
struct TakeoverTests {
    /// More than a question may take, and the slot of the wheel that it is in.
    private static let late = Worker.takeoverMilliseconds + 2 * TimerWheel.slotMilliseconds

    private func show(_ count: UInt32, _ worker: Int, _ pair: WorkerPair) {
        pair.plan.tables.idleCounts.row(worker)[0].store(count, ordering: .relaxed)
    }

    @Test
    func `rows of counts share no cache line`() {
        for peers in [0, 1, 32, 33] {
            let counts = IdleCounts(workers: 3, peers: peers)
            let rows = (0..<3).map { UInt(bitPattern: counts.row($0)) }
            #expect(rows.allSatisfy { $0 % 128 == 0 })
            let bytes = UInt(max(peers, 1) * 4)
            #expect(rows[1] - rows[0] >= bytes && rows[2] - rows[1] >= bytes)
        }
    }

    @Test
    func `others see how many are idle`() throws {
        let pair = try WorkerPair()
        #expect(pair.giver.shown == 0)
        let origin = try pair.warm(pair.giver)
        #expect(pair.giver.idle == 1 && pair.giver.shown == 1)
        pair.close(origin)
        pair.giver.turn()
        #expect(pair.giver.idle == 0 && pair.giver.shown == 0)
    }

    @Test
    func `a request takes the idle connection of another worker`() throws {
        let pair = try WorkerPair()
        let origin = try pair.warm(pair.giver)
        let client = try pair.request(pair.asker)
        pair.asker.turn()
        #expect(pair.accept() == nil, "it waits for the answer")
        pair.giver.turn()
        #expect(pair.giver.idle == 0 && pair.giver.shown == 0)
        pair.asker.turn()
        pair.answer(origin)
        pair.giver.turn()
        pair.asker.turn()
        #expect(pair.received(client).hasPrefix("HTTP/1.1 200"))
        #expect(pair.asker.idle == 1 && pair.asker.shown == 1)
        #expect(pair.asker.worker.pools[0].first?.pointee.requests == 2)
        #expect(pair.asker.worker.pools[0].asked == 0)
        #expect(pair.accept() == nil)
        // Its end is the new worker's to see.
        pair.close(origin)
        pair.asker.turn()
        #expect(pair.asker.idle == 0)
    }

    @Test
    func `a connection that the peer has closed does not move`() throws {
        let pair = try WorkerPair()
        pair.close(try pair.warm(pair.giver))
        let client = try pair.request(pair.asker)
        pair.asker.turn()
        pair.giver.turn()
        #expect(pair.giver.idle == 0)
        pair.asker.turn()
        let origin = try #require(pair.accept())
        pair.answer(origin)
        pair.asker.turn()
        #expect(pair.received(client).hasPrefix("HTTP/1.1 200"))
    }

    @Test
    func `the one before is given when the last one was closed`() throws {
        let pair = try WorkerPair()
        // Two at a time, so that both stay.
        let clients = [try pair.request(pair.giver), try pair.request(pair.giver)]
        pair.giver.turn()
        let origins = [try #require(pair.accept()), try #require(pair.accept())]
        for origin in origins {
            pair.answer(origin)
            pair.giver.turn()
        }
        for client in clients { #expect(pair.received(client).hasPrefix("HTTP/1.1 200")) }
        #expect(pair.giver.idle == 2)
        pair.close(origins[1])
        _ = try pair.request(pair.asker)
        pair.asker.turn()
        pair.giver.turn()
        pair.asker.turn()
        pair.answer(origins[0])
        #expect(pair.giver.idle == 0 && pair.accept() == nil)
    }

    @Test
    func `a late answer goes into the pool, with the idle time that is left`() throws {
        let pair = try WorkerPair { $0.timeouts.idle = 1_000 }
        let origin = try pair.warm(pair.giver)
        pair.giver.elapsed = 500
        pair.asker.elapsed = 500
        let client = try pair.request(pair.asker)
        pair.asker.turn()
        pair.asker.elapsed += Self.late
        pair.asker.turn()
        let made = try #require(pair.accept(), "it has waited long enough")
        pair.giver.turn()
        pair.asker.turn()
        #expect(pair.asker.idle == 1 && pair.asker.worker.pools[0].asked == 0)
        pair.answer(made)
        pair.asker.turn()
        #expect(pair.received(client).hasPrefix("HTTP/1.1 200"))
        #expect(pair.asker.idle == 2)
        // The giver's clock began at 0: a second after that.
        pair.asker.elapsed = 1_000 + 2 * TimerWheel.slotMilliseconds
        pair.asker.turn()
        #expect(pair.asker.idle == 1)
        #expect(pair.isClosed(origin) && !pair.isClosed(made))
    }

    @Test
    func `the answer to a client that is gone goes into the pool`() throws {
        let pair = try WorkerPair()
        let origin = try pair.warm(pair.giver)
        let client = try pair.request(pair.asker)
        pair.asker.turn()
        pair.close(client)
        pair.asker.turn()
        #expect(pair.asker.worker.openConnections == 0)
        pair.giver.turn()
        pair.asker.turn()
        #expect(pair.asker.idle == 1 && pair.accept() == nil)
        // And from there to the next request.
        _ = try pair.request(pair.asker)
        pair.asker.turn()
        pair.answer(origin)
    }

    @Test
    func `a burst asks for no more than there is`() throws {
        let pair = try WorkerPair()
        let origin = try pair.warm(pair.giver)
        for _ in 0..<3 { _ = try pair.request(pair.asker) }
        pair.asker.turn()
        #expect(pair.asker.worker.pools[0].asked == 1)
        #expect(pair.accept() != nil && pair.accept() != nil && pair.accept() == nil)
        pair.giver.turn()
        pair.asker.turn()
        pair.answer(origin)
    }

    @Test
    func `at most three workers are asked`() throws {
        let pair = try WorkerPair()
        for worker in 0..<10 { show(1, worker, pair) }
        let asker = pair.asker
        _ = try pair.request(asker)
        for ask in 1...Worker.asksMax {
            #expect(pair.accept() == nil)
            let asked = (0..<10).flatMap { worker in
                pair.mailboxes[worker].take().map { (worker, $0) }
            }
            try #require(asked.count == 1, "question \(ask)")
            guard case .ask(let request) = asked[0].1 else {
                Issue.record("not a question")
                return
            }
            #expect(request.asks == ask)
            show(0, asked[0].0, pair)
            pair.mailboxes[request.worker].post(.gift(IdleGift(request: request)))
            asker.turn()
        }
        #expect(pair.accept() != nil)
        #expect(asker.worker.pools[0].asked == 0)
    }

    @Test
    func `the next worker is asked after one that has none any more`() throws {
        let pair = try WorkerPair()
        let origin = try pair.warm(pair.giver)
        show(1, 0, pair)
        pair.asker.worker.nextAsked = WorkerPair.workerCount - 1
        _ = try pair.request(pair.asker)
        let asked = pair.mailboxes[0].take()
        guard asked.count == 1, case .ask(let request) = asked[0] else {
            Issue.record("worker 0 comes first")
            return
        }
        show(0, 0, pair)
        pair.mailboxes[request.worker].post(.gift(IdleGift(request: request)))
        pair.asker.turn()
        pair.giver.turn()
        pair.asker.turn()
        pair.answer(origin)
        #expect(pair.accept() == nil)
    }

    @Test
    func `what came back meanwhile is used when nobody has one`() throws {
        let pair = try WorkerPair()
        // A request of its own is on the way while the other one asks.
        _ = try pair.request(pair.asker)
        pair.asker.turn()
        let origin = try #require(pair.accept())
        show(1, 0, pair)
        _ = try pair.request(pair.asker)
        pair.answer(origin)
        pair.asker.turn()
        #expect(pair.asker.idle == 1)
        show(0, 0, pair)
        pair.asker.elapsed = Self.late
        pair.asker.turn()
        pair.answer(origin)
        #expect(pair.accept() == nil)
    }

    // MARK: The end of a worker

    @Test
    func `a worker that drains gives none and asks for none`() throws {
        let pair = try WorkerPair()
        let origin = try pair.warm(pair.giver)
        _ = try pair.request(pair.asker)
        pair.asker.turn()
        pair.giver.worker.drain()
        pair.giver.turn()
        pair.asker.turn()
        #expect(pair.accept() != nil)
        #expect(pair.received(origin) == "")

        let other = try WorkerPair()
        _ = try other.warm(other.giver)
        other.asker.worker.drain()
        _ = try other.request(other.asker)
        #expect(other.accept() != nil)
    }

    @Test
    func `a late answer to a worker that drains is closed`() throws {
        let pair = try WorkerPair()
        let origin = try pair.warm(pair.giver)
        let client = try pair.request(pair.asker)
        pair.asker.turn()
        pair.close(client)
        pair.asker.worker.drain()
        pair.asker.turn()
        pair.giver.turn()
        pair.asker.turn()
        #expect(pair.asker.idle == 0 && pair.isClosed(origin))
    }

    @Test
    func `a worker that has ended is not waited for`() throws {
        let pair = try WorkerPair()
        _ = try pair.warm(pair.giver)
        pair.giver.worker.end()
        show(1, WorkerPair.workerCount - 1, pair)
        _ = try pair.request(pair.asker)
        pair.asker.turn()
        #expect(pair.accept() != nil)
    }

    @Test
    func `a question to a worker that ends is answered`() throws {
        let pair = try WorkerPair()
        _ = try pair.warm(pair.giver)
        _ = try pair.request(pair.asker)
        pair.asker.turn()
        pair.giver.worker.end()
        pair.asker.turn()
        #expect(pair.accept() != nil)
    }

    @Test(arguments: [false, true])
    func `a connection given to a worker that has ended is closed`(isOnItsWay: Bool) throws {
        let pair = try WorkerPair()
        let origin = try pair.warm(pair.giver)
        _ = try pair.request(pair.asker)
        pair.asker.turn()
        if isOnItsWay { pair.giver.turn() }
        pair.asker.worker.end()
        pair.giver.turn()
        #expect(pair.giver.idle == 0 && pair.isClosed(origin))
    }
}
