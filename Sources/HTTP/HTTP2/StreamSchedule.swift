/// Which stream sends next (RFC 9218 §10).
///
/// Lower urgency comes first. Within one urgency, streams that take turns stand in a ring; the
/// others are sent one after the other by id, from a heap. When an urgency has both, the two groups
/// alternate, so that neither waits for ever. All steps are O(1) or O(log n).
extension StreamTable {
    /// Puts a stream among those that are ready, or takes it out, as its state asks.
    mutating func refresh(_ stream: UnsafeMutablePointer<H2Stream>) {
        let isReady = stream.pointee.wantsToWrite && stream.pointee.sendWindow > 0
        guard isReady != stream.pointee.isReady else { return }
        stream.pointee.isReady = isReady
        isReady ? enter(stream) : leave(stream)
    }

    /// Changes what a stream's place depends on.
    mutating func setPriority(_ stream: UnsafeMutablePointer<H2Stream>, _ priority: H2Priority) {
        let isReady = stream.pointee.isReady
        if isReady { leave(stream) }
        stream.pointee.priority = priority
        stream.pointee.isPrioritySignalled = true
        if isReady { enter(stream) }
    }

    /// The stream whose turn it is, and moves the turn on; nil when none is ready.
    mutating func nextReady() -> UnsafeMutablePointer<H2Stream>? {
        // 8 when no bit is set: after all levels.
        let turnLevel = turnLevels.trailingZeroBitCount
        var heapLevel = 8
        if heapCount > 0, let heap {
            let first = stream(at: heap[0])
            heapLevel = Int(first.pointee.priority.urgency)
            let bit: UInt8 = 1 &<< UInt8(truncatingIfNeeded: heapLevel)
            if heapLevel < turnLevel || heapLevel == turnLevel && turnIsNext & bit == 0 {
                turnIsNext |= bit
                return first
            }
        }
        guard turnLevel < 8 else { return nil }
        turnIsNext &= ~(1 &<< UInt8(truncatingIfNeeded: turnLevel))
        let first = stream(at: turnHeads[turnLevel])
        if first.pointee.next >= 0 {
            leave(first)
            enter(first)
        }
        return first
    }

    /// Whether a stream of this urgency, or of a lower number, is ready.
    func isAnyReady(upTo urgency: UInt8) -> Bool {
        // 8 when no bit is set: after all levels.
        if turnLevels.trailingZeroBitCount <= Int(urgency) { return true }
        guard heapCount > 0, let heap else { return false }
        return stream(at: heap[0]).pointee.priority.urgency <= urgency
    }

    private mutating func enter(_ stream: UnsafeMutablePointer<H2Stream>) {
        guard stream.pointee.takesTurns else { return push(stream) }
        let level = Int(stream.pointee.priority.urgency)
        let last = turnTails[level]
        stream.pointee.previous = last
        stream.pointee.next = -1
        turnTails[level] = stream.pointee.slot
        if last >= 0 {
            self.stream(at: last).pointee.next = stream.pointee.slot
        } else {
            turnHeads[level] = stream.pointee.slot
            turnLevels |= 1 &<< stream.pointee.priority.urgency
        }
    }

    private mutating func leave(_ stream: UnsafeMutablePointer<H2Stream>) {
        guard stream.pointee.heapPlace < 0 else { return pull(stream) }
        let level = Int(stream.pointee.priority.urgency)
        let next = stream.pointee.next
        let previous = stream.pointee.previous
        if previous >= 0 {
            self.stream(at: previous).pointee.next = next
        } else {
            turnHeads[level] = next
        }
        if next >= 0 {
            self.stream(at: next).pointee.previous = previous
        } else {
            turnTails[level] = previous
        }
        if turnHeads[level] < 0 { turnLevels &= ~(1 &<< stream.pointee.priority.urgency) }
    }

    // MARK: Heap

    private func key(_ slot: Int32) -> UInt64 {
        let stream = stream(at: slot)
        return UInt64(stream.pointee.priority.urgency) &<< 32 | UInt64(stream.pointee.id)
    }

    private mutating func push(_ stream: UnsafeMutablePointer<H2Stream>) {
        guard let heap else { return }
        // Safe: each slot is in the heap once, and it has as many places as there are slots.
        heapCount &+= 1
        rise(stream.pointee.slot, from: heapCount &- 1, heap)
    }

    private mutating func pull(_ stream: UnsafeMutablePointer<H2Stream>) {
        guard let heap else { return }
        let place = Int(stream.pointee.heapPlace)
        stream.pointee.heapPlace = -1
        heapCount &-= 1
        guard place < heapCount else { return }
        let last = heap[heapCount]
        if place > 0, key(last) < key(heap[(place &- 1) / 2]) {
            rise(last, from: place, heap)
        } else {
            sink(last, from: place, heap)
        }
    }

    private func rise(_ slot: Int32, from: Int, _ heap: UnsafeMutablePointer<Int32>) {
        var place = from
        let own = key(slot)
        while place > 0 {
            let parent = (place &- 1) / 2
            guard own < key(heap[parent]) else { break }
            settle(heap[parent], place, heap)
            place = parent
        }
        settle(slot, place, heap)
    }

    private func sink(_ slot: Int32, from: Int, _ heap: UnsafeMutablePointer<Int32>) {
        var place = from
        let own = key(slot)
        while place &* 2 &+ 1 < heapCount {
            var child = place &* 2 &+ 1
            if child &+ 1 < heapCount, key(heap[child &+ 1]) < key(heap[child]) { child &+= 1 }
            guard key(heap[child]) < own else { break }
            settle(heap[child], place, heap)
            place = child
        }
        settle(slot, place, heap)
    }

    private func settle(_ slot: Int32, _ place: Int, _ heap: UnsafeMutablePointer<Int32>) {
        heap[place] = slot
        stream(at: slot).pointee.heapPlace = Int32(truncatingIfNeeded: place)
    }
}
