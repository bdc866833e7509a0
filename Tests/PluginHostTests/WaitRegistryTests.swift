import CSluice
import Testing

@testable import PluginHost

/// Waits of a test: tokens that are over or not.
private final class Waits {
    let registry = WaitRegistry()
    var live: Set<UInt64> = []
    var woken: [UInt64] = []
    var next: UInt64 = 0
    var result = Int32(SLUICE_OK)

    func key(_ number: UInt64, owner: UInt64 = 1) -> WaitRegistry.Key {
        WaitRegistry.Key(owner: owner, low: number, high: 0)
    }

    /// Waits for a key; the number of the wait, or nil when it was not begun.
    func wait(_ key: WaitRegistry.Key, ticket: UInt64? = nil) -> (result: Int32, number: UInt64) {
        let result = registry.wait(
            key,
            ticket: ticket ?? registry.ticket(key),
            isWaiting: { live.contains($0.sequence) },
            begin: { token in
                guard self.result == SLUICE_OK else { return self.result }
                next += 1
                live.insert(next)
                token.sequence = next
                return Int32(SLUICE_OK)
            }
        )
        return (result, next)
    }

    func wake(_ key: WaitRegistry.Key, _ count: UInt32 = .max) -> UInt32 {
        registry.wake(key, count: count) { token in
            guard live.remove(token.sequence) != nil else { return false }
            woken.append(token.sequence)
            return true
        }
    }
}

struct WaitRegistryTests {
    @Test
    func `those that have waited longest are woken first`() {
        let waits = Waits()
        let key = waits.key(7)
        for _ in 0..<5 { #expect(waits.wait(key).result == SLUICE_OK) }
        #expect(waits.wake(key, 2) == 2)
        #expect(waits.woken == [1, 2])
        #expect(waits.wake(key, 0) == 0)
        #expect(waits.wake(key) == 3)
        #expect(waits.woken == [1, 2, 3, 4, 5])
        #expect(waits.wake(key) == 0)
        #expect(waits.registry.nodeCount == 0)
    }

    @Test
    func `keys and owners are apart`() {
        let waits = Waits()
        _ = waits.wait(waits.key(1))
        _ = waits.wait(waits.key(1, owner: 2))
        _ = waits.wait(waits.key(2))
        let high = WaitRegistry.Key(owner: 1, low: 1, high: 1)
        _ = waits.wait(high)
        #expect(waits.wake(waits.key(1)) == 1)
        #expect(waits.wake(waits.key(1, owner: 2)) == 1)
        #expect(waits.wake(high) == 1)
        #expect(waits.woken == [1, 2, 4])
    }

    @Test
    func `a wake between the ticket and the wait is not lost`() {
        let waits = Waits()
        let key = waits.key(1)
        let ticket = waits.registry.ticket(key)
        #expect(waits.wake(key) == 0)
        #expect(waits.wait(key, ticket: ticket).result == SLUICE_EAGAIN)
        #expect(waits.live.isEmpty)
        #expect(waits.wait(key).result == SLUICE_OK)
        #expect(waits.wait(key, ticket: 0).result == SLUICE_EAGAIN)
    }

    @Test
    func `a wait that can't begin leaves nothing`() {
        let waits = Waits()
        waits.result = Int32(SLUICE_ENOTSUP)
        #expect(waits.wait(waits.key(1)).result == SLUICE_ENOTSUP)
        #expect(waits.registry.nodeCount == 0)
    }

    @Test
    func `a wait that ended by itself uses up no wake`() {
        let waits = Waits()
        let key = waits.key(1)
        for _ in 0..<4 { _ = waits.wait(key) }
        waits.live.remove(1)
        waits.live.remove(3)
        #expect(waits.wake(key, 1) == 1)
        #expect(waits.woken == [2])
        #expect(waits.wake(key, 2) == 1)
        #expect(waits.woken == [2, 4])
    }

    @Test
    func `waits that ended by themselves do not pile up`() {
        let waits = Waits()
        // Some keys that wait for ever.
        for number in 0..<100 as Range<UInt64> { _ = waits.wait(waits.key(1_000_000 + number)) }
        for number in 0..<20_000 as Range<UInt64> {
            let made = waits.wait(waits.key(number))
            waits.live.remove(made.number)
        }
        // Up to one in each of 64 shards for each wait that came behind the last look.
        #expect(waits.registry.nodeCount < 100 + 64 * 4)
        for number in 0..<100 as Range<UInt64> {
            #expect(waits.wake(waits.key(1_000_000 + number)) == 1)
        }
    }

    @Test
    func `a crowd on one key keeps its order while others come and go`() {
        let waits = Waits()
        let key = waits.key(1)
        var expected: [UInt64] = []
        for round in 0..<2_000 as Range<UInt64> {
            let made = waits.wait(key).number
            if round % 3 == 0 { waits.live.remove(made) } else { expected.append(made) }
            _ = waits.wait(waits.key(2 + round % 5))
            if round % 7 == 0 { _ = waits.wake(waits.key(2 + round % 5), 3) }
        }
        waits.woken = []
        #expect(waits.wake(key) == UInt32(expected.count))
        #expect(waits.woken == expected)
    }
}
