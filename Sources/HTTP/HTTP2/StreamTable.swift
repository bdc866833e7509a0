/// The open streams of a connection: slots in one block, found by id through a hash table.
///
/// Memory grows with the most streams that were open at a time, up to a bound, and is given back by
/// `releaseMemory` alone. So opening and closing streams costs no allocation. A pointer to a stream
/// is valid until the next `insert` or `remove`.
struct StreamTable: ~Copyable {
    private static let smallest = 8

    /// Streams that may be open at a time.
    let countMax: Int
    private(set) var count = 0
    private(set) var closed = ClosedStreams()

    private var slots: UnsafeMutablePointer<H2Stream>?
    private var capacity = 0
    /// Slots that were used at least once.
    private var slotsUsed = 0
    private var firstFree: Int32 = -1
    /// Slots by hash, with linear probing: -1 where empty, twice as many places as slots.
    private var places: UnsafeMutablePointer<Int32>?
    private var shift: UInt32 = 0

    // MARK: For the schedule, in StreamSchedule.swift

    /// A heap of slots, by urgency and id: as many places as slots.
    var heap: UnsafeMutablePointer<Int32>?
    var heapCount = 0
    /// First and last of the streams that take turns, by urgency.
    var turnHeads = InlineArray<8, Int32>(repeating: -1)
    var turnTails = InlineArray<8, Int32>(repeating: -1)
    /// Bit by urgency that has streams which take turns.
    var turnLevels: UInt8 = 0
    /// Bit by urgency at which one that takes turns is next, before one of the heap.
    var turnIsNext: UInt8 = 0

    init(countMax: Int) { self.countMax = countMax }

    deinit {
        slots?.deallocate()
        places?.deallocate()
        heap?.deallocate()
        closed.deallocate()
    }

    /// The open stream with an id; nil when there is none.
    func find(_ id: UInt32) -> UnsafeMutablePointer<H2Stream>? {
        guard count > 0, id != 0, let slots, let places else { return nil }
        var place = home(id)
        while true {
            let slot = places[place]
            if slot < 0 { return nil }
            if slots[Int(slot)].id == id { return slots + Int(slot) }
            place = (place &+ 1) & placeMask
        }
    }

    /// Safe: `slot` is one that was used; the block holds all of those.
    func stream(at slot: Int32) -> UnsafeMutablePointer<H2Stream> {
        guard let slots, slot >= 0, Int(slot) < slotsUsed else {
            preconditionFailure("slot \(slot) of \(slotsUsed)")
        }
        return slots + Int(slot)
    }

    /// The open stream with the lowest slot at or above `from`; nil after the last.
    func firstOpen(from: Int) -> UnsafeMutablePointer<H2Stream>? {
        guard let slots else { return nil }
        var slot = from
        while slot < slotsUsed {
            if slots[slot].id != 0 { return slots + slot }
            slot &+= 1
        }
        return nil
    }

    /// Adds a stream; nil at the bound.
    mutating func insert(
        _ id: UInt32,
        sendWindow: Int32,
        receiveWindow: Int32
    ) -> UnsafeMutablePointer<H2Stream>? {
        guard count < countMax else { return nil }
        if firstFree < 0, slotsUsed == capacity { enlarge() }
        guard let slots, let places else { return nil }
        var slot = firstFree
        if slot >= 0 {
            firstFree = slots[Int(slot)].next
        } else {
            slot = Int32(truncatingIfNeeded: slotsUsed)
            slotsUsed &+= 1
        }
        let stream = slots + Int(slot)
        stream.initialize(
            to: H2Stream(slot: slot, id: id, sendWindow: sendWindow, receiveWindow: receiveWindow)
        )
        put(slot, id, into: places)
        count &+= 1
        return stream
    }

    /// Takes a stream out and remembers how it ended.
    mutating func remove(_ stream: UnsafeMutablePointer<H2Stream>, _ end: ClosedStreams.End) {
        stream.pointee.wantsToWrite = false
        refresh(stream)
        closed.remember(stream.pointee.id, end)
        forgetPlace(of: stream)
        stream.pointee.id = 0
        stream.pointee.user = nil
        stream.pointee.next = firstFree
        firstFree = stream.pointee.slot
        count &-= 1
    }

    /// Remembers the end of a stream that was never in the table.
    mutating func remember(_ id: UInt32, _ end: ClosedStreams.End) { closed.remember(id, end) }

    /// Notes that a closed stream was reset here too, if it is remembered.
    mutating func markResetHere(_ id: UInt32) { closed.markResetHere(id) }

    /// Gives all memory back but the ends of streams, when none is open.
    mutating func releaseMemory() {
        guard count == 0 else { return }
        slots?.deallocate()
        places?.deallocate()
        heap?.deallocate()
        slots = nil
        places = nil
        heap = nil
        capacity = 0
        slotsUsed = 0
        firstFree = -1
    }

    // MARK: Hashing

    private var placeMask: Int { capacity &* 2 &- 1 }

    /// Ids go up by two, so the multiplication spreads them well; whoever picks ids that collide
    /// makes a search as long as the table, which the bound of streams keeps short.
    private func home(_ id: UInt32) -> Int {
        Int(truncatingIfNeeded: (id &* 0x9E37_79B1) &>> shift)
    }

    /// Safe: half of the places are empty at least, so the search ends.
    private func put(_ slot: Int32, _ id: UInt32, into places: UnsafeMutablePointer<Int32>) {
        var place = home(id)
        while places[place] >= 0 { place = (place &+ 1) & placeMask }
        places[place] = slot
    }

    /// Empties a stream's place and moves those up that were put behind it.
    private func forgetPlace(of stream: UnsafeMutablePointer<H2Stream>) {
        guard let places, let slots else { return }
        var hole = home(stream.pointee.id)
        while places[hole] != stream.pointee.slot { hole = (hole &+ 1) & placeMask }
        var place = hole
        while true {
            place = (place &+ 1) & placeMask
            let slot = places[place]
            if slot < 0 { break }
            // It may move up if its home is not behind the hole.
            let fromHome = (place &- home(slots[Int(slot)].id)) & placeMask
            if fromHome >= (place &- hole) & placeMask {
                places[hole] = slot
                hole = place
            }
        }
        places[hole] = -1
    }

    /// Safe: slots are trivial values, so they move by copying bytes; all in use are copied.
    private mutating func enlarge() {
        let larger = max(Self.smallest, capacity &* 2)
        let newSlots = UnsafeMutablePointer<H2Stream>.allocate(capacity: larger)
        let newHeap = UnsafeMutablePointer<Int32>.allocate(capacity: larger)
        let newPlaces = UnsafeMutablePointer<Int32>.allocate(capacity: larger &* 2)
        newPlaces.initialize(repeating: -1, count: larger &* 2)
        if let slots { newSlots.moveInitialize(from: slots, count: slotsUsed) }
        if let heap { newHeap.moveInitialize(from: heap, count: heapCount) }
        slots?.deallocate()
        heap?.deallocate()
        places?.deallocate()
        slots = newSlots
        heap = newHeap
        places = newPlaces
        capacity = larger
        shift = UInt32(truncatingIfNeeded: 32 &- (larger &* 2).trailingZeroBitCount)
        for slot in 0..<slotsUsed where newSlots[slot].id != 0 {
            put(Int32(truncatingIfNeeded: slot), newSlots[slot].id, into: newPlaces)
        }
    }
}

/// How the streams ended that were closed last.
///
/// A frame that comes after a stream's end may have been sent before its sender knew, or be an
/// error: which of the two depends on how the stream ended (RFC 9113 §5.1, "closed").
struct ClosedStreams {
    enum End: UInt32 {
        /// Both sides sent END_STREAM.
        case ended = 0
        case resetByPeer = 1
        /// By RST_STREAM of this side: anything may still be under way.
        case resetHere = 2
    }

    /// What is known of an id that is not open and not idle.
    enum Finding {
        case known(End)
        /// So long ago that it is not remembered.
        case forgotten
        /// Passed over: closed without ever having been open (RFC 9113 §5.1.1).
        case neverOpened
    }

    /// Ends that are remembered: as many streams as most peers have open at a time.
    static let countMax = 128
    /// Places at first; four times as many when they are used, up to `countMax`.
    private static let smallest = 8

    /// Odd ids, the end in place of the lowest bit and the one above, which is free.
    private var ring: UnsafeMutablePointer<UInt32>?
    private var capacity = 0
    private var used = 0
    private var nextPlace = 0
    private var highestForgotten: UInt32 = 0

    func deallocate() { ring?.deallocate() }

    /// Safe: places below `capacity` only, and those from `used` on are written before read.
    mutating func remember(_ id: UInt32, _ end: End) {
        if used == capacity, capacity < Self.countMax { enlarge() }
        guard let ring else { return }
        if used == Self.countMax {
            highestForgotten = max(highestForgotten, ring[nextPlace] &>> 1 | 1)
        } else {
            used &+= 1
        }
        ring[nextPlace] = (id &>> 1) &<< 2 | end.rawValue
        nextPlace = (nextPlace &+ 1) % Self.countMax
    }

    /// Before it is full the ring has not turned, so its places are copied as they are.
    private mutating func enlarge() {
        let larger = max(Self.smallest, capacity &* 4)
        let block = UnsafeMutablePointer<UInt32>.allocate(capacity: larger)
        if let ring {
            block.update(from: ring, count: used)
            ring.deallocate()
        }
        ring = block
        capacity = larger
        nextPlace = used
    }

    /// Changes how a stream ended; nothing when it is not remembered.
    mutating func markResetHere(_ id: UInt32) {
        guard let ring else { return }
        for place in 0..<used where ring[place] &>> 2 == id &>> 1 {
            ring[place] = (id &>> 1) &<< 2 | End.resetHere.rawValue
        }
    }

    /// Looks an odd id up, in as many steps as ends are remembered; only late frames need it.
    func find(_ id: UInt32) -> Finding {
        if let ring {
            for place in 0..<used where ring[place] &>> 2 == id &>> 1 {
                return .known(End(rawValue: ring[place] & 3) ?? .ended)
            }
        }
        return id <= highestForgotten ? .forgotten : .neverOpened
    }
}
