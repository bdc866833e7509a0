internal import Synchronization

/// What `put` and `remove` do in a shard.
///
/// References are given up after the lock, as the last one frees memory.
extension Shard {
    /// What a key, its hash and a value are to a shard.
    struct Newcomer {
        let key: UnsafeRawBufferPointer
        let hash: UInt64
        /// `ByteBlock.toOpaque`; the shard takes the reference over if it stores the object.
        let value: UnsafeMutableRawPointer
        let weight: Int
    }

    /// How a change ended, and what is to be released after the lock.
    struct Change {
        var outcome: TinyUFO.PutOutcome
        var victims = Victims()
        /// An object that was replaced or removed.
        var old: Node.Pointer?
        var isValueTaken = false

        func release() {
            victims.release()
            old?.release()
        }
    }
}

extension UnsafeMutablePointer where Pointee == Shard {
    /// Puts an object; under the lock.
    func put(_ newcomer: Shard.Newcomer) -> Shard.Change {
        let popularity = guarded.pointee.sketch.increment(newcomer.hash)
        let place = pointee.index.place(newcomer.key, newcomer.hash)
        guard let place else { return Shard.Change(outcome: .crowded) }
        let weight = weight(newcomer.weight, keyCount: newcomer.key.count)
        guard canHold(weight) else { return forget(place.node, .tooLarge) }
        guard let node = takeNode() else { return forget(place.node, .noMemory) }
        // The node may have come with memory of its own.
        guard canHold(weight) else {
            giveNode(node)
            return forget(place.node, .tooLarge)
        }
        guard node.fill(newcomer.key, newcomer.hash, newcomer.value) else {
            giveNode(node)
            return forget(place.node, .noMemory)
        }
        node.links.pointee.weight = weight
        if let old = place.node { return replace(old, atSlot: place.slot, with: node) }
        return add(node, popularity)
    }

    private func add(_ node: Node.Pointer, _ popularity: UInt8) -> Shard.Change {
        let victims = victims(for: node.links.pointee.weight)
        if victims.count == 1, let victim = victims.first,
            guarded.pointee.sketch.estimate(victim.object.pointee.hash) > popularity
        {
            keep(victim)
            guarded.pointee.counts.rejected += 1
            // The node's reference is the value's as well: it frees both.
            return Shard.Change(outcome: .rejected, old: node, isValueTaken: true)
        }
        drop(victims)
        // To drop others moved the end of the run of slots, towards the key's home at most.
        guard let place = pointee.index.place(node.key, node.object.pointee.hash) else {
            preconditionFailure("an index with fewer objects has less room")
        }
        node.links.pointee.isInMain = false
        guarded.pointee.small.append(node)
        pointee.index.insert(node, atSlot: place.slot)
        guarded.pointee.counts.stored += 1
        let outcome = TinyUFO.PutOutcome.stored(evicted: victims.count)
        return Shard.Change(outcome: outcome, victims: victims, isValueTaken: true)
    }

    /// Puts a node into the place of one with the same key, which counts as a use.
    private func replace(
        _ old: Node.Pointer,
        atSlot slot: Int,
        with node: Node.Pointer
    ) -> Shard.Change {
        let uses = old.pointee.uses.load(ordering: .relaxed)
        node.pointee.uses.store(min(uses + 1, Node.usesMax), ordering: .relaxed)
        node.links.pointee.isInMain = old.links.pointee.isInMain
        if old.links.pointee.isInMain {
            guarded.pointee.main.replace(old, with: node)
        } else {
            guarded.pointee.small.replace(old, with: node)
        }
        pointee.index.replace(atSlot: slot, with: node)
        guarded.pointee.counts.replaced += 1
        let victims = victims(for: 0)
        drop(victims)
        return Shard.Change(
            outcome: .replaced(evicted: victims.count),
            victims: victims,
            old: old,
            isValueTaken: true
        )
    }

    /// What could not be replaced is gone all the same, as it is no longer what the key stands for.
    private func forget(
        _ old: Node.Pointer?,
        _ outcome: TinyUFO.PutOutcome
    ) -> Shard.Change {
        if let old { takeOut(old) }
        return Shard.Change(outcome: outcome, old: old)
    }

    /// Takes an object out of index and queue; its reference is the caller's then.
    private func takeOut(_ node: Node.Pointer) {
        pointee.index.remove(node)
        unlink(node)
        guarded.pointee.counts.removed += 1
    }

    /// Removes the object of a key; under the lock.
    ///
    /// - Parameter expected: only if it is this one; nil for any.
    /// - Returns: what the caller releases after the lock; nil when it is not there.
    func remove(
        _ key: UnsafeRawBufferPointer,
        _ hash: UInt64,
        only expected: Node.Pointer?
    ) -> Node.Pointer? {
        guard let node = pointee.index.place(key, hash)?.node else { return nil }
        if let expected, expected != node { return nil }
        takeOut(node)
        return node
    }
}
