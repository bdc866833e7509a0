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
        node.pointee.previous = tail
        node.pointee.next = nil
        if let tail { tail.pointee.next = node } else { head = node }
        tail = node
        weight += node.pointee.weight
        count += 1
    }

    mutating func remove(_ node: Node.Pointer) {
        let previous = node.pointee.previous
        let next = node.pointee.next
        if let previous { previous.pointee.next = next } else { head = next }
        if let next { next.pointee.previous = previous } else { tail = previous }
        weight -= node.pointee.weight
        count -= 1
    }

    mutating func takeFirst() -> Node.Pointer? {
        guard let node = head else { return nil }
        remove(node)
        return node
    }

    /// Puts a node into the place of another one.
    mutating func replace(_ old: Node.Pointer, with new: Node.Pointer) {
        let previous = old.pointee.previous
        let next = old.pointee.next
        new.pointee.previous = previous
        new.pointee.next = next
        if let previous { previous.pointee.next = new } else { head = new }
        if let next { next.pointee.previous = new } else { tail = new }
        weight += new.pointee.weight - old.pointee.weight
    }
}
