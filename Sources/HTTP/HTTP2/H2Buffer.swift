/// Where a connection takes blocks of bytes from, so that it can use its worker's pool.
///
/// A connection holds a block only while it has bytes to keep: part of a frame, a header block in
/// several frames, output that was not taken.
public struct H2Memory {
    /// What the two functions get first.
    public var context: UnsafeMutableRawPointer?
    /// A block of exactly so many bytes: 4,096 times a power of four.
    public var take: @convention(c) (UnsafeMutableRawPointer?, Int) -> UnsafeMutablePointer<UInt8>
    /// Takes a block of so many bytes back.
    public var give:
        @convention(c) (UnsafeMutableRawPointer?, UnsafeMutablePointer<UInt8>, Int) ->
            Void

    public init(
        context: UnsafeMutableRawPointer?,
        take:
            @escaping @convention(c) (UnsafeMutableRawPointer?, Int) -> UnsafeMutablePointer<
                UInt8
            >,
        give:
            @escaping @convention(c) (UnsafeMutableRawPointer?, UnsafeMutablePointer<UInt8>, Int)
            -> Void
    ) {
        self.context = context
        self.take = take
        self.give = give
    }

    /// The process's heap.
    public static var heap: H2Memory {
        H2Memory(
            context: nil,
            take: { _, count in .allocate(capacity: count) },
            give: { _, block, _ in block.deallocate() }
        )
    }
}

/// Bytes that are added at the end and taken from the start; without a block while empty.
struct H2Buffer: ~Copyable {
    static let smallestBlock = 4_096

    private var block: UnsafeMutablePointer<UInt8>?
    private var capacity = 0
    private var start = 0
    private var end = 0
    private let memory: H2Memory

    init(memory: H2Memory) { self.memory = memory }

    deinit {
        if let block { memory.give(memory.context, block, capacity) }
    }

    var count: Int { end &- start }

    /// The bytes held; nil when there are none and no room was made.
    var bytes: UnsafeMutablePointer<UInt8>? { block.map { $0 + start } }

    /// Room for `room` bytes behind those held: valid until the buffer is next changed.
    ///
    /// Safe: the block has at least `end + room` bytes afterwards; moved bytes fit because the new
    /// block, or the old one from its start, has `count + room` bytes.
    mutating func makeRoom(_ room: Int) -> UnsafeMutablePointer<UInt8> {
        if let block, end &+ room <= capacity { return block + end }
        let held = count
        if let block, held &+ room <= capacity {
            block.update(from: block + start, count: held)
            start = 0
            end = held
            return block + end
        }
        var wanted = Self.smallestBlock
        while wanted < held &+ room { wanted &<<= 2 }
        let larger = memory.take(memory.context, wanted)
        if let block {
            larger.update(from: block + start, count: held)
            memory.give(memory.context, block, capacity)
        }
        block = larger
        capacity = wanted
        start = 0
        end = held
        return larger + end
    }

    /// Counts in bytes that were written into the room.
    mutating func grow(_ added: Int) {
        precondition(end &+ added <= capacity, "\(added) bytes were written beyond the room")
        end &+= added
    }

    mutating func append(_ source: UnsafePointer<UInt8>, _ count: Int) {
        guard count > 0 else { return }
        makeRoom(count).update(from: source, count: count)
        grow(count)
    }

    /// Drops bytes from the start; the block goes back with the last one.
    mutating func dropFirst(_ dropped: Int) {
        precondition(dropped >= 0 && dropped <= count, "\(dropped) of \(count) bytes dropped")
        start &+= dropped
        if start == end { release() }
    }

    /// Keeps `kept` bytes from `offset` on, alone.
    mutating func keep(from offset: Int, count kept: Int) {
        precondition(offset >= 0 && kept >= 0 && offset &+ kept <= count, "kept beyond the end")
        start &+= offset
        end = start &+ kept
    }

    mutating func release() {
        start = 0
        end = 0
        guard let block else { return }
        memory.give(memory.context, block, capacity)
        self.block = nil
        capacity = 0
    }
}
