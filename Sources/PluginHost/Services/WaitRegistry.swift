import CSluice
import Synchronization

/// Requests that wait for a key, in the order in which they came.
///
/// It knows nothing of how a request waits: that is handed in, so that it can be tested alone.
final class WaitRegistry: Sendable {
    /// What is waited for: a key of one instance's name.
    struct Key: Equatable {
        var owner: UInt64
        var low: UInt64
        var high: UInt64
    }

    private struct Node {
        var key = Key(owner: 0, low: 0, high: 0)
        var token = sluice_token()
        /// -1 while free.
        var chain = -1
        /// Neighbours among those of the same chain: the older and the younger.
        var older = -1
        var younger = -1
        var nextFree = -1
    }

    /// Waits of some keys.
    private struct Shard {
        var nodes: [Node] = []
        var firstFree = -1
        var oldest = [Int](repeating: -1, count: chainCount)
        var youngest = [Int](repeating: -1, count: chainCount)
        /// Changes with every wake of a key of the chain.
        var sequence = [UInt64](repeating: 1, count: chainCount)
        /// The node that is looked at next, to see whether its wait is over.
        var nextSwept = 0
        var count = 0
    }

    private final class Locked: Sendable {
        let shard = Mutex(Shard())
    }

    private static let shardCount = 64
    private static let chainCount = 256
    /// Nodes that a new wait looks at.
    ///
    /// More than one, so that waits which ended by themselves are found faster than they come.
    private static let sweptPerWait = 4

    private let shards = (0..<shardCount).map { _ in Locked() }
    private let hash = KeyedHash.process

    private func place(_ key: Key) -> (Locked, Int) {
        let word = hash.spread(key.low ^ key.owner &* 0x9e37_79b9_7f4a_7c15, key.high)
        let shard = Int(truncatingIfNeeded: word >> 32) % Self.shardCount
        return (shards[shard], Int(truncatingIfNeeded: word & 0xffff_ffff) % Self.chainCount)
    }

    /// Nodes that are in use, also those whose wait is over; for tests.
    var nodeCount: Int { shards.reduce(0) { $0 + $1.shard.withLock { $0.count } } }

    /// What `wait` must be given, from before the look whether there is a reason to wait.
    func ticket(_ key: Key) -> UInt64 {
        let (locked, chain) = place(key)
        return locked.shard.withLock { $0.sequence[chain] }
    }

    /// Begins a wait, unless the key may have been woken since the ticket.
    ///
    /// - Parameters:
    ///   - isWaiting: whether a wait that was begun is not over yet.
    ///   - begin: begins the wait; its result is that of this function.
    func wait(
        _ key: Key,
        ticket: UInt64,
        isWaiting: (sluice_token) -> Bool,
        begin: (inout sluice_token) -> Int32
    ) -> Int32 {
        let (locked, chain) = place(key)
        return locked.shard.withLock { shard in
            guard shard.sequence[chain] == ticket else { return Int32(SLUICE_EAGAIN) }
            var token = sluice_token()
            let result = begin(&token)
            guard result == SLUICE_OK else { return result }
            Self.sweep(&shard, isWaiting)
            Self.append(key, token, to: &shard, chain)
            return result
        }
    }

    /// Ends up to `count` waits of a key; how many they were.
    ///
    /// - Parameter end: ends a wait; false when it was over, and then it does not count.
    func wake(_ key: Key, count: UInt32, end: (sluice_token) -> Bool) -> UInt32 {
        let (locked, chain) = place(key)
        return locked.shard.withLock { shard in
            shard.sequence[chain] &+= 1
            var woken: UInt32 = 0
            var next = shard.oldest[chain]
            while next >= 0, woken < count {
                let index = next
                next = shard.nodes[index].younger
                guard shard.nodes[index].key == key else { continue }
                let token = shard.nodes[index].token
                Self.remove(index, from: &shard)
                if end(token) { woken += 1 }
            }
            return woken
        }
    }

    // MARK: Nodes

    private static func append(
        _ key: Key,
        _ token: sluice_token,
        to shard: inout Shard,
        _ chain: Int
    ) {
        let index: Int
        if shard.firstFree >= 0 {
            index = shard.firstFree
            shard.firstFree = shard.nodes[index].nextFree
        } else {
            index = shard.nodes.count
            shard.nodes.append(Node())
        }
        let older = shard.youngest[chain]
        shard.nodes[index] = Node(key: key, token: token, chain: chain, older: older)
        if older >= 0 { shard.nodes[older].younger = index } else { shard.oldest[chain] = index }
        shard.youngest[chain] = index
        shard.count += 1
    }

    private static func remove(_ index: Int, from shard: inout Shard) {
        let node = shard.nodes[index]
        let chain = node.chain
        if node.older >= 0 {
            shard.nodes[node.older].younger = node.younger
        } else {
            shard.oldest[chain] = node.younger
        }
        if node.younger >= 0 {
            shard.nodes[node.younger].older = node.older
        } else {
            shard.youngest[chain] = node.older
        }
        shard.nodes[index] = Node()
        shard.nodes[index].nextFree = shard.firstFree
        shard.firstFree = index
        shard.count -= 1
    }

    private static func sweep(_ shard: inout Shard, _ isWaiting: (sluice_token) -> Bool) {
        for _ in 0..<min(sweptPerWait, shard.nodes.count) {
            if shard.nextSwept >= shard.nodes.count { shard.nextSwept = 0 }
            let index = shard.nextSwept
            shard.nextSwept += 1
            let node = shard.nodes[index]
            if node.chain >= 0, !isWaiting(node.token) { remove(index, from: &shard) }
        }
    }
}
