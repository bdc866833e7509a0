internal import CTinyUFO
internal import Synchronization

/// A reference to bytes that are counted by reference; given up when it goes out of scope.
///
/// One thread fills a block; others may read meanwhile what it has appended so far. A value whose
/// length is not known before is a chain of blocks: the first one owns the second, and so on.
/// References are counted atomically, so that any thread may give one up.
@frozen
public struct ByteBlock: ~Copyable, @unchecked Sendable {
    // Safe: the count and the link are atomics, and bytes below `count` do not change any more.

    /// What stands before the bytes.
    private struct Header: ~Copyable {
        let references = Atomic<Int>(1)
        let count = Atomic<Int>(0)
        let capacity: Int
        /// The address of the block that follows; 0 for none.
        let next = Atomic<UInt>(0)
    }

    private typealias Pointer = UnsafeMutablePointer<Header>

    /// Bytes that a block takes beside those that it holds: the header, and what `malloc` adds.
    public static var overheadBytes: Int { MemoryLayout<Header>.size + 16 }

    private let address: UnsafeMutableRawPointer

    private init(_ header: Pointer) { address = UnsafeMutableRawPointer(header) }

    private var header: Pointer {
        // Safe: only addresses of headers get there.
        address.assumingMemoryBound(to: Header.self)
    }

    /// A block without bytes.
    ///
    /// - Parameter capacity: bytes that there will be room for; 0 or more.
    /// - Returns: nil when there is not as much memory.
    public init?(capacity: Int) {
        precondition(capacity >= 0, "capacity \(capacity)")
        let (size, isOver) = capacity.addingReportingOverflow(MemoryLayout<Header>.size)
        guard !isOver, let memory = tinyufo_allocate(size) else { return nil }
        address = memory
        memory.bindMemory(to: Header.self, capacity: 1).initialize(to: Header(capacity: capacity))
    }

    deinit { Self.release(header) }

    /// Another reference to the same block.
    public func copy() -> ByteBlock {
        header.pointee.references.wrappingAdd(1, ordering: .relaxed)
        return ByteBlock(header)
    }

    /// Bytes that there is room for.
    public var capacity: Int { header.pointee.capacity }

    /// Bytes of this block so far.
    public var count: Int { header.pointee.count.load(ordering: .acquiring) }

    /// The bytes so far: valid as long as there is a reference.
    public var bytes: UnsafeRawBufferPointer { Self.bytes(header) }

    /// What the block and those that follow take, in bytes, their headers included.
    public var memoryBytes: Int {
        var total = 0
        var next: Pointer? = header
        while let block = next {
            total += block.pointee.capacity + Self.overheadBytes
            next = Self.following(block)
        }
        return total
    }

    /// Appends as many of the bytes as there is room for; only ever one thread at a time.
    ///
    /// - Returns: how many were taken.
    @discardableResult
    public func append(_ bytes: UnsafeRawBufferPointer) -> Int {
        let count = header.pointee.count.load(ordering: .relaxed)
        let taken = min(bytes.count, capacity - count)
        guard taken > 0, let start = bytes.baseAddress else { return 0 }
        // Safe: there is room for them, and nobody reads beyond `count`.
        (UnsafeMutableRawPointer(header + 1) + count).copyMemory(from: start, byteCount: taken)
        header.pointee.count.store(count + taken, ordering: .releasing)
        return taken
    }

    /// Lets a block follow, which this one then owns.
    ///
    /// Once only, and never in a circle.
    public func attach(_ next: consuming ByteBlock) {
        let address = UInt(bitPattern: next.toOpaque())
        let old = header.pointee.next.exchange(address, ordering: .acquiringAndReleasing)
        precondition(old == 0, "a block has one that follows")
    }

    /// Gives up the block that follows, so that this one keeps none of the others.
    ///
    /// Only when nobody else reads this one's `next`.
    public func detach() {
        let old = header.pointee.next.exchange(0, ordering: .acquiringAndReleasing)
        if let next = Pointer(bitPattern: old) { Self.release(next) }
    }

    /// A reference to the block that follows; nil as long as there is none.
    public var next: ByteBlock? {
        guard let next = Self.following(header) else { return nil }
        next.pointee.references.wrappingAdd(1, ordering: .relaxed)
        return ByteBlock(next)
    }

    // MARK: References as addresses

    /// The reference as an address, for C; `init(opaque:)` takes it back.
    public consuming func toOpaque() -> UnsafeMutableRawPointer {
        let address = address
        discard self
        return address
    }

    /// Takes over the reference that `toOpaque` gave.
    public init(opaque: UnsafeMutableRawPointer) {
        address = opaque
    }

    /// The bytes behind an address that `toOpaque` gave, whose reference stays there.
    static func bytes(opaque: UnsafeMutableRawPointer) -> UnsafeRawBufferPointer {
        bytes(opaque.assumingMemoryBound(to: Header.self))
    }

    private static func bytes(_ header: Pointer) -> UnsafeRawBufferPointer {
        // Safe: the bytes follow the header, and as many were appended.
        UnsafeRawBufferPointer(
            start: UnsafeRawPointer(header + 1),
            count: header.pointee.count.load(ordering: .acquiring)
        )
    }

    private static func following(_ header: Pointer) -> Pointer? {
        // Safe: `attach` stored the address of a header, and this block has a reference to it.
        Pointer(bitPattern: header.pointee.next.load(ordering: .acquiring))
    }

    private static func release(_ first: Pointer) {
        var block = first
        // A loop, as chains are long.
        while block.pointee.references.wrappingSubtract(1, ordering: .acquiringAndReleasing)
            .newValue == 0
        {
            let next = following(block)
            tinyufo_free(block)
            guard let next else { return }
            block = next
        }
    }
}
