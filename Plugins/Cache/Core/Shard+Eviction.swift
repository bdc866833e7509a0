internal import Synchronization

/// S3-FIFO (Yang and others, "FIFO queues are all you need for cache eviction", SOSP 2023).
///
/// Objects come into the small queue. What was used twice or more when it gets to the front moves
/// on to the main queue, the rest goes. In the main queue what was used since goes back to the end.
/// The sketch then decides as in TinyLFU whether the newcomer is worth the one object that must go.
extension Shard {
    /// The small queue has a tenth of the weight.
    static let smallDivisor = 10
    /// Uses with which an object moves from the small queue to the main one.
    static let usesToPromote: UInt8 = 2
    /// Objects of the main queue that one search for a victim puts back to its end.
    ///
    /// Each was used since it was last there, so over time this is paid for by hits. At once it may
    /// be all of them; then the others would wait for the lock for milliseconds.
    static let reinsertionsMax = 1_024

    /// Objects that have left their queue, linked by `next`; they are still in the index.
    struct Victims {
        private(set) var first: Node.Pointer?
        private(set) var count = 0

        mutating func add(_ node: Node.Pointer) {
            node.links.pointee.next = first
            first = node
            count += 1
        }

        /// Gives up the index's references.
        ///
        /// Without the lock, as it takes long to free much.
        func release() {
            var next = first
            while let node = next {
                next = node.links.pointee.next
                node.release()
            }
        }
    }
}

extension UnsafeMutablePointer where Pointee == Shard {
    private var smallWeightMax: Int { pointee.limits.weightMax / Shard.smallDivisor + 1 }

    /// Makes room for one more object of this weight, or for none with 0.
    func victims(for extra: Int) -> Shard.Victims {
        var victims = Shard.Victims()
        let objects = extra > 0 ? 1 : 0
        while weight + extra > pointee.limits.weightMax
            || objectCount + objects > pointee.limits.objectsMax
        {
            guard let victim = nextVictim() else { break }
            victims.add(victim)
        }
        return victims
    }

    private func nextVictim() -> Node.Pointer? {
        if guarded.pointee.small.weight >= smallWeightMax, let victim = victimOfSmall() {
            return victim
        }
        return victimOfMain() ?? victimOfSmall() ?? victimOfMain()
    }

    /// - Returns: nil when all were promoted.
    private func victimOfSmall() -> Node.Pointer? {
        while let node = guarded.pointee.small.takeFirst() {
            if node.pointee.uses.load(ordering: .relaxed) < Shard.usesToPromote { return node }
            node.links.pointee.isInMain = true
            guarded.pointee.main.append(node)
        }
        return nil
    }

    private func victimOfMain() -> Node.Pointer? {
        for _ in 0..<Shard.reinsertionsMax {
            guard let node = guarded.pointee.main.takeFirst() else { return nil }
            let uses = node.pointee.uses.load(ordering: .relaxed)
            if uses == 0 { return node }
            // A hit that is noted meanwhile may be lost.
            node.pointee.uses.store(uses - 1, ordering: .relaxed)
            guarded.pointee.main.append(node)
        }
        return guarded.pointee.main.takeFirst()
    }

    /// Back to the end of the small queue, as if it were new.
    func keep(_ victim: Node.Pointer) {
        victim.links.pointee.isInMain = false
        victim.pointee.uses.store(0, ordering: .relaxed)
        guarded.pointee.small.append(victim)
    }

    /// Takes victims out of the index.
    func drop(_ victims: Shard.Victims) {
        var next = victims.first
        while let node = next {
            next = node.links.pointee.next
            pointee.index.remove(node)
        }
        guarded.pointee.counts.evicted += victims.count
    }

    /// Takes an object out of its queue.
    func unlink(_ node: Node.Pointer) {
        if node.links.pointee.isInMain {
            guarded.pointee.main.remove(node)
        } else {
            guarded.pointee.small.remove(node)
        }
    }
}
