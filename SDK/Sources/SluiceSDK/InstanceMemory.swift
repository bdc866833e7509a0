/// Memory that lives as long as an instance: what `init` puts here need not be owned by anybody.
///
/// Properties of a plugin that are made of `Bytes`, `List` and numbers are trivial: a hook reads
/// them without a reference count. To be used in `init` and `build` only, as it takes no lock.
public struct InstanceMemory: BitwiseCopyable {
    let blocks: Unmanaged<Blocks>

    /// A copy of a text.
    public func copy(_ text: String) -> Bytes {
        let utf8 = text.utf8
        let start = allocate(UInt8.self, utf8.count)
        // Safe: there is room for all bytes of the text.
        for (offset, byte) in utf8.enumerated() { (start + offset).initialize(to: byte) }
        return Bytes(UnsafePointer(start), count: utf8.count)
    }

    /// Copies of several pieces, one behind the other.
    public func join(_ pieces: [Bytes]) -> Bytes {
        let start = allocate(UInt8.self, pieces.reduce(0) { $0 + $1.count })
        var count = 0
        for piece in pieces {
            // Safe: there is room for all bytes of all pieces.
            (start + count).initialize(from: piece.start, count: piece.count)
            count += piece.count
        }
        return Bytes(UnsafePointer(start), count: count)
    }

    /// A copy of an array.
    public func list<Element: BitwiseCopyable>(_ elements: [Element]) -> List<Element> {
        let start = allocate(Element.self, elements.count)
        // Safe: there is room for all elements.
        for (index, element) in elements.enumerated() { (start + index).initialize(to: element) }
        return List(start: UnsafePointer(start), count: elements.count)
    }

    func allocate<Element>(
        _ type: Element.Type,
        _ count: Int
    ) -> UnsafeMutablePointer<Element> {
        // Safe: the instance keeps the blocks alive.
        blocks._withUnsafeGuaranteedRef {
            $0.allocate(
                byteCount: max(count, 1) * MemoryLayout<Element>.stride,
                alignment: MemoryLayout<Element>.alignment
            )
        }
        .bindMemory(to: Element.self, capacity: max(count, 1))
    }
}

/// An array that lives as long as the instance, and is read without a reference count.
public struct List<Element: BitwiseCopyable>: BitwiseCopyable, Sequence {
    @usableFromInline let start: UnsafePointer<Element>
    /// Number of elements.
    public let count: Int

    init(start: UnsafePointer<Element>, count: Int) {
        self.start = start
        self.count = count
    }

    /// Whether there is no element.
    @inlinable public var isEmpty: Bool { count == 0 }

    /// The element at an index, 0 up to `count`.
    @inlinable
    public subscript(index: Int) -> Element {
        precondition(index >= 0 && index < count, "index outside of the list")
        return start[index]
    }

    /// Goes through all elements.
    public struct Iterator: IteratorProtocol {
        @usableFromInline var place: UnsafePointer<Element>
        @usableFromInline let end: UnsafePointer<Element>

        @inlinable
        init(place: UnsafePointer<Element>, end: UnsafePointer<Element>) {
            self.place = place
            self.end = end
        }

        /// The next element, or nil after the last.
        @inlinable
        public mutating func next() -> Element? {
            guard place != end else { return nil }
            defer { place += 1 }
            return place.pointee
        }
    }

    /// Begins at the first element.
    @inlinable
    public func makeIterator() -> Iterator { Iterator(place: start, end: start + count) }
}

/// The blocks of one instance's memory, freed with it.
final class Blocks {
    private var blocks: [UnsafeMutableRawPointer] = []

    func allocate(byteCount: Int, alignment: Int) -> UnsafeMutableRawPointer {
        let block = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: alignment)
        blocks.append(block)
        return block
    }

    /// A copy of one trivial value; C's structs are, but not every compiler mode knows it.
    func place<Value>(_ value: Value) -> UnsafePointer<Value> {
        let start = allocate(
            byteCount: MemoryLayout<Value>.size,
            alignment: MemoryLayout<Value>.alignment
        ).bindMemory(to: Value.self, capacity: 1)
        start.initialize(to: value)
        return UnsafePointer(start)
    }

    deinit {
        for block in blocks { block.deallocate() }
    }
}
