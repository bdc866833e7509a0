import CSluice
import Synchronization
import Sys
import Testing

@testable import PluginHost

/// Waits, ended by whom and how often they like.
struct SuspensionsTests {
    private final class Mail: Sendable {
        let ends = Mutex<[WaitEnd]>([])
    }

    /// A table that tokens can name; each test has a worker of its own.
    private func table(_ worker: Int, _ mail: Mail) -> WaitTable {
        let table = WaitTable(worker: worker) { end in mail.ends.withLock { $0.append(end) } }
        Suspensions.register(table, worker: worker)
        return table
    }

    private func resume(_ token: sluice_token) -> Int {
        Int(Suspensions.resume(token, reason: UInt32(SLUICE_RESUMED), payload: 7))
    }

    @Test
    func `of many threads one ends a wait`() throws {
        let mail = Mail()
        let table = table(1_000, mail)
        let owner = UnsafeMutableRawPointer.allocate(byteCount: 8, alignment: 8)
        defer { owner.deallocate() }
        for round in 1...200 {
            let token = try #require(table.begin(timeout: 5))
            #expect(table.attach(owner, to: token) == 5)
            let won = Atomic<Int>(0)
            withUnsafePointer(to: won) { won in
                // Safe: the threads are joined before it goes away.
                let address = UInt(bitPattern: won)
                let threads = (0..<8).map { _ in
                    PinnedThread.start(name: "resume") {
                        let won = UnsafePointer<Atomic<Int>>(bitPattern: address)
                        for _ in 0..<3
                        where Suspensions.resume(token, reason: 1, payload: 7)
                            == Int32(SLUICE_OK)
                        {
                            won?.pointee.wrappingAdd(1, ordering: .relaxed)
                        }
                    }
                }
                for thread in threads { thread.join() }
            }
            #expect(won.load(ordering: .relaxed) == 1)
            let ends = mail.ends.withLock { $0 }
            #expect(ends.count == round && ends.last?.payload == 7)
            #expect(table.finish(try #require(ends.last)) == owner)
            #expect(table.finish(try #require(ends.last)) == nil)
            #expect(resume(token) == SLUICE_ESTALE)
        }
        #expect(table.count == 0)
    }

    @Test
    func `a wait that is over can't be ended`() throws {
        let mail = Mail()
        let table = table(1_001, mail)
        let expired = try #require(table.begin(timeout: 0))
        #expect(table.expire(expired))
        #expect(!table.expire(expired))
        #expect(resume(expired) == SLUICE_ESTALE)
        let cancelled = try #require(table.begin(timeout: 0))
        #expect(cancelled.slot == expired.slot && cancelled.sequence != expired.sequence)
        table.cancel(cancelled)
        #expect(resume(cancelled) == SLUICE_ESTALE)
        // The message of a resume was on its way when the request ended.
        let late = try #require(table.begin(timeout: 0))
        #expect(resume(late) == SLUICE_OK)
        #expect(!table.expire(late))
        table.cancel(late)
        #expect(table.finish(try #require(mail.ends.withLock { $0.last })) == nil)
        #expect(table.count == 0)
    }

    @Test
    func `a token that nobody gave out is stale`() throws {
        let table = table(1_002, Mail())
        let token = try #require(table.begin(timeout: 0))
        var changed = [sluice_token](repeating: token, count: 5)
        changed[0].sequence += 1
        changed[1].generation += 1
        changed[2].slot += 1
        changed[3].slot = .max
        changed[4] = sluice_token()
        for token in changed { #expect(resume(token) == SLUICE_ESTALE) }
        #expect(resume(token) == SLUICE_OK)
    }

    @Test
    func `a worker has a bound on waits`() throws {
        let table = table(1_003, Mail())
        var last = sluice_token()
        for _ in 0..<WaitTable.waitsMax { last = try #require(table.begin(timeout: 0)) }
        #expect(table.begin(timeout: 0) == nil)
        table.cancel(last)
        #expect(table.begin(timeout: 0) != nil)
        #expect(table.begin(timeout: 0) == nil)
    }
}
