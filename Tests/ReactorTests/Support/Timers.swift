import Reactor

/// A small generator that gives the same numbers for the same seed (SplitMix64).
struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
        return word ^ word >> 31
    }
}

/// A wheel with its nodes, and a clock that stands still until it is moved.
final class Timers {
    typealias Node = UnsafeMutablePointer<TimerNode>

    let nodes: Node
    let nodeCount: Int
    private(set) var now: UInt64
    private var wheel: TimerWheel

    init(_ nodeCount: Int = 4, now: UInt64 = 1_000_000) {
        self.nodeCount = nodeCount
        self.now = now
        nodes = .allocate(capacity: nodeCount)
        nodes.initialize(repeating: TimerNode(kind: 1), count: nodeCount)
        wheel = TimerWheel(now: now)
    }

    deinit { nodes.deallocate() }

    var count: Int { wheel.count }

    func isArmed(_ index: Int) -> Bool { nodes[index].isArmed }

    func deadline(_ index: Int) -> UInt64 { nodes[index].deadline }

    func set(_ index: Int, _ deadline: UInt64) {
        wheel.set(nodes + index, deadline: deadline)
    }

    func cancel(_ index: Int) { wheel.cancel(nodes + index) }

    func toNext() -> Int32 { wheel.millisecondsToNext(now: now) }

    func move(to time: UInt64) { now = time }

    /// One expired node, by index.
    func pop() -> Int? {
        wheel.popExpired(now: now).map { $0 - nodes }
    }

    /// All nodes that are expired now, by index.
    func drain(at time: UInt64? = nil) -> [Int] {
        if let time { now = time }
        var expired: [Int] = []
        while let index = pop() { expired.append(index) }
        return expired
    }
}

/// Milliseconds of a whole turn of the wheel.
let turn = UInt64(TimerWheel.slotCount) * TimerWheel.slotMilliseconds

/// When a deadline's slot comes up.
func slotTime(_ deadline: UInt64) -> UInt64 {
    let slot = TimerWheel.slotMilliseconds
    return (deadline + slot - 1) / slot * slot
}
