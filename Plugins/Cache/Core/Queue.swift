/// A FIFO queue of nodes, linked through them, with the sum of their weights.
///
/// Under the lock.
struct Queue {
    private var head: Node.Pointer?
    private var tail: Node.Pointer?
    private(set) var weight = 0
    private(set) var count = 0

    var first: Node.Pointer? { head }

    mutating func append(_ node: Node.Pointer) {
        node.links.pointee.previous = tail
        node.links.pointee.next = nil
        if let tail { tail.links.pointee.next = node } else { head = node }
        tail = node
        weight += node.links.pointee.weight
        count += 1
    }

    mutating func remove(_ node: Node.Pointer) {
        let previous = node.links.pointee.previous
        let next = node.links.pointee.next
        if let previous { previous.links.pointee.next = next } else { head = next }
        if let next { next.links.pointee.previous = previous } else { tail = previous }
        weight -= node.links.pointee.weight
        count -= 1
    }

    mutating func takeFirst() -> Node.Pointer? {
        guard let node = head else { return nil }
        remove(node)
        return node
    }

    /// Puts a node into the place of another one.
    mutating func replace(_ old: Node.Pointer, with new: Node.Pointer) {
        let previous = old.links.pointee.previous
        let next = old.links.pointee.next
        new.links.pointee.previous = previous
        new.links.pointee.next = next
        if let previous { previous.links.pointee.next = new } else { head = new }
        if let next { next.links.pointee.previous = new } else { tail = new }
        weight += new.links.pointee.weight - old.links.pointee.weight
    }
}
