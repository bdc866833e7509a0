/// A timer inside the object that it belongs to: 32 bytes.
public struct TimerNode: BitwiseCopyable {
    var next: UnsafeMutablePointer<TimerNode>?
    var previous: UnsafeMutablePointer<TimerNode>?
    /// Milliseconds of the worker's clock; meaningful while linked.
    public fileprivate(set) var deadline: UInt64 = 0
    /// Where it is linked, or `TimerWheel.unlinked`.
    fileprivate var slot: UInt16 = TimerWheel.unlinked
    /// What it belongs to; the owner's to use.
    public var kind: UInt8 = 0

    public init(kind: UInt8) { self.kind = kind }

    @inlinable public var isArmed: Bool { isLinked }

    @usableFromInline var isLinked: Bool { slot != TimerWheel.unlinked }
}

/// Deadlines of all objects of one worker, in a ring of slots.
///
/// Lazy: moving a deadline later only stores it; the node stays in its slot and is looked at again
/// when that slot comes up. A busy connection thus costs one store per event, and a relink per slot
/// time at most. Deadlines beyond the ring stay in a slot and go round.
public struct TimerWheel: ~Copyable {
    public static let slotCount = 4_096
    /// Milliseconds of one slot.
    ///
    /// A timer fires up to this much late.
    public static let slotMilliseconds: UInt64 = 16
    fileprivate static let unlinked = UInt16.max

    private let heads: UnsafeMutablePointer<UnsafeMutablePointer<TimerNode>?>
    /// Bit per slot that has nodes: the next one is found in at most 64 steps.
    private let occupied: UnsafeMutablePointer<UInt64>
    /// The slot time that was handled last.
    private var currentTick: UInt64
    /// No slot before this time has nodes: saves the search while nothing is due.
    private var earliestTick = UInt64.max
    public private(set) var count = 0

    public init(now: UInt64) {
        heads = .allocate(capacity: Self.slotCount)
        heads.initialize(repeating: nil, count: Self.slotCount)
        occupied = .allocate(capacity: Self.slotCount / 64)
        occupied.initialize(repeating: 0, count: Self.slotCount / 64)
        currentTick = now / Self.slotMilliseconds
    }

    deinit {
        heads.deallocate()
        occupied.deallocate()
    }

    /// Sets the deadline of a node, linked or not.
    ///
    /// - Parameter deadline: milliseconds of the worker's clock.
    public mutating func set(_ node: UnsafeMutablePointer<TimerNode>, deadline: UInt64) {
        if node.pointee.slot != Self.unlinked {
            if deadline >= node.pointee.deadline {
                node.pointee.deadline = deadline
                return
            }
            unlink(node)
        }
        node.pointee.deadline = deadline
        link(node)
    }

    /// Takes a node out; nothing happens when it is not in.
    public mutating func cancel(_ node: UnsafeMutablePointer<TimerNode>) {
        guard node.pointee.slot != Self.unlinked else { return }
        unlink(node)
    }

    /// The next node whose deadline has passed, taken out; nil when there is none.
    ///
    /// Call until it is nil. The caller may set and cancel nodes between two calls.
    public mutating func popExpired(now: UInt64) -> UnsafeMutablePointer<TimerNode>? {
        let nowTick = now / Self.slotMilliseconds
        guard nowTick > currentTick else { return nil }
        if earliestTick != .max, earliestTick > nowTick {
            currentTick = nowTick
            return nil
        }
        // Looked for anew when the worker next waits.
        earliestTick = .max
        // After a long sleep every slot is visited once, not each tick slept through.
        if nowTick > currentTick &+ UInt64(Self.slotCount) {
            currentTick = nowTick &- UInt64(Self.slotCount)
        }
        while currentTick < nowTick {
            let slot = Int(truncatingIfNeeded: (currentTick &+ 1) % UInt64(Self.slotCount))
            if let node = firstExpired(slot, now: now) {
                unlink(node)
                return node
            }
            currentTick &+= 1
        }
        return nil
    }

    /// Finds an expired node of a slot, and moves those that were put off to their slots.
    private mutating func firstExpired(
        _ slot: Int,
        now: UInt64
    ) -> UnsafeMutablePointer<TimerNode>? {
        var node = heads[slot]
        while let current = node {
            node = current.pointee.next
            if current.pointee.deadline <= now { return current }
            if Self.slot(of: current.pointee.deadline) != slot {
                unlink(current)
                link(current)
            }
        }
        return nil
    }

    /// Milliseconds until a slot with nodes comes up: 0 or more, -1 when there are no nodes.
    public mutating func millisecondsToNext(now: UInt64) -> Int32 {
        guard count > 0 else { return -1 }
        if earliestTick == .max { earliestTick = findEarliest() }
        let due = earliestTick &* Self.slotMilliseconds
        return due > now ? Int32(truncatingIfNeeded: min(due &- now, 1 << 30)) : 0
    }

    /// The time of the first slot with nodes.
    private func findEarliest() -> UInt64 {
        let start = Int(truncatingIfNeeded: (currentTick &+ 1) % UInt64(Self.slotCount))
        var distance = 0
        while distance < Self.slotCount {
            let slot = (start &+ distance) & (Self.slotCount &- 1)
            let word = occupied[slot >> 6] >> UInt64(slot & 63)
            if word != 0 {
                distance &+= word.trailingZeroBitCount
                break
            }
            distance &+= 64 &- (slot & 63)
        }
        return currentTick &+ 1 &+ UInt64(min(distance, Self.slotCount))
    }

    /// The slot that comes up at or just after the deadline.
    private static func slot(of deadline: UInt64) -> Int {
        Int(
            truncatingIfNeeded: ((deadline &+ slotMilliseconds &- 1) / slotMilliseconds)
                % UInt64(slotCount)
        )
    }

    private mutating func link(_ node: UnsafeMutablePointer<TimerNode>) {
        // A deadline already passed goes into the very next slot.
        let earliest = (currentTick &+ 1) &* Self.slotMilliseconds
        let time = max(node.pointee.deadline, earliest)
        let slot = Self.slot(of: time)
        let tick = (time &+ Self.slotMilliseconds &- 1) / Self.slotMilliseconds
        if earliestTick != .max, tick < earliestTick { earliestTick = tick }
        let head = heads[slot]
        node.pointee.slot = UInt16(truncatingIfNeeded: slot)
        node.pointee.previous = nil
        node.pointee.next = head
        head?.pointee.previous = node
        heads[slot] = node
        occupied[slot >> 6] |= 1 << UInt64(slot & 63)
        count &+= 1
    }

    private mutating func unlink(_ node: UnsafeMutablePointer<TimerNode>) {
        let slot = Int(node.pointee.slot)
        let next = node.pointee.next
        if let previous = node.pointee.previous {
            previous.pointee.next = next
        } else {
            heads[slot] = next
            if next == nil { occupied[slot >> 6] &= ~(1 << UInt64(slot & 63)) }
        }
        next?.pointee.previous = node.pointee.previous
        node.pointee.slot = Self.unlinked
        count &-= 1
    }
}
