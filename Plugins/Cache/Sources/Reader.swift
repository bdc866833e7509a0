import CCache
import CSluice
import CachePolicy
import SluiceSDK
import TinyUFO

/// One answer on its way out: what it reads from, and the memory of what stands beside the stored
/// fields.
///
/// Taken from a pool of the worker's, so that a hit allocates nothing.
struct Reader: BitwiseCopyable {
    typealias Pointer = UnsafeMutablePointer<Reader>

    /// Fields beside those that are stored.
    typealias More = (sluice_field, sluice_field, sluice_field, sluice_field)

    /// `Pin.toOpaque` of an object of the store.
    var pin: UnsafeMutableRawPointer?
    /// `ByteBlock.toOpaque` of an object that is not in the store, or not yet.
    var block: UnsafeMutableRawPointer?
    /// What the bytes still come from, with a reference.
    var fill: Fill.Pointer?
    var waiter = Waiter(
        token: .none,
        fill: nil,
        next: nil,
        previous: nil,
        isLinked: false,
        isHeir: false
    )
    /// The first block's bytes.
    var first: UnsafeRawPointer?
    var firstCount = 0
    var bodyOffset = 0
    /// A block that was read last, which the chain owns; nil: the first.
    var current: UnsafeMutableRawPointer?
    /// Where it begins in the body.
    var currentStart: UInt64 = 0
    var more = (sluice_field(), sluice_field(), sluice_field(), sluice_field())
    var moreCount: UInt32 = 0
    var part = sluice_cache_part()
    /// Parts and texts of an answer with several ranges, allocated.
    var ranges: UnsafeMutableRawPointer?
    var textCount = 0
    var next: Pointer?

    /// Bytes behind the reader for texts: an age, `Cache-Status` and `Content-Range`.
    static let textCapacity = 256

    fileprivate init() {}
}

/// What a reader has beside when it reads along with a fill; guarded by the fill's lock.
///
/// A hit has none: the memory is there, and `Fill.link` makes one of it.
struct Along: BitwiseCopyable {
    var next: Reader.Pointer?
    var previous: Reader.Pointer?
    var isLinked = true
    /// `ByteBlock.toOpaque`, with a reference: where it goes on behind the fill's chain.
    var block: UnsafeMutableRawPointer?
    /// Where that block begins in the body.
    var start: UInt64 = 0
    /// Where it read last, and where it did when the fill began to wait for it.
    var place: UInt64 = 0
    var placeBefore: UInt64 = 0
}

extension UnsafeMutablePointer where Pointee == Reader {
    /// Made by `Fill.link`.
    var along: UnsafeMutablePointer<Along> {
        // Safe: `ReaderPool` allocates its room behind that of the text.
        (UnsafeMutableRawPointer(self) + MemoryLayout<Reader>.stride + Reader.textCapacity)
            .assumingMemoryBound(to: Along.self)
    }

    /// Where a text goes.
    var text: UnsafeMutablePointer<UInt8> {
        // Safe: `ReaderPool` allocates the text's room behind each reader.
        (UnsafeMutableRawPointer(self) + MemoryLayout<Reader>.stride)
            .assumingMemoryBound(to: UInt8.self) + pointee.textCount
    }

    var textRoom: Int { Reader.textCapacity - pointee.textCount }

    /// Adds a field; its value is text that was written last.
    func add(_ name: Text, _ id: Int, _ value: Text) {
        precondition(pointee.moreCount < 4, "\(pointee.moreCount) fields")
        var field = sluice_field()
        field.name = name.start
        field.name_len = UInt32(name.count)
        field.value = value.start
        field.value_len = UInt32(value.count)
        field.id = UInt16(id)
        withUnsafeMutablePointer(to: &pointee.more) { more in
            // Safe: there is room for four.
            UnsafeMutableRawPointer(more).assumingMemoryBound(to: sluice_field.self)[
                Int(pointee.moreCount)
            ] = field
        }
        pointee.moreCount += 1
    }

    var moreFields: UnsafePointer<sluice_field> {
        withUnsafeMutablePointer(to: &pointee.more) {
            UnsafePointer(UnsafeMutableRawPointer($0).assumingMemoryBound(to: sluice_field.self))
        }
    }

    var partPointer: UnsafeMutablePointer<sluice_cache_part> {
        withUnsafeMutablePointer(to: &pointee.part) { $0 }
    }

    var waiterPointer: UnsafeMutablePointer<Waiter> {
        withUnsafeMutablePointer(to: &pointee.waiter) { $0 }
    }
}

/// Readers of one worker that are not in use.
struct ReaderPool: BitwiseCopyable {
    private var first: Reader.Pointer?
    private var count = 0

    /// Readers that are kept; more are freed.
    static let countMax = 1_024

    init() {}

    mutating func take() -> Reader.Pointer? {
        if let reader = first {
            first = reader.pointee.next
            count -= 1
            reader.initialize(to: Reader())
            return reader
        }
        let size = MemoryLayout<Reader>.stride + Reader.textCapacity + MemoryLayout<Along>.size
        guard let memory = cache_allocate(size) else { return nil }
        let reader = memory.bindMemory(to: Reader.self, capacity: 1)
        reader.initialize(to: Reader())
        return reader
    }

    mutating func give(_ reader: Reader.Pointer) {
        guard count < Self.countMax else { return cache_free(reader) }
        reader.pointee.next = first
        first = reader
        count += 1
    }

    mutating func destroy() {
        while let reader = first {
            first = reader.pointee.next
            cache_free(reader)
        }
        count = 0
    }
}

/// Blocks by their addresses, without taking over the reference that somebody else has.
enum BlockChain {
    /// Bytes of a block so far.
    @inline(__always)
    static func bytes(_ address: UnsafeMutableRawPointer) -> UnsafeRawBufferPointer {
        let block = ByteBlock(opaque: address)
        let bytes = block.bytes
        _ = block.toOpaque()
        return bytes
    }

    static func capacity(_ address: UnsafeMutableRawPointer) -> Int {
        let block = ByteBlock(opaque: address)
        let capacity = block.capacity
        _ = block.toOpaque()
        return capacity
    }

    /// The block that follows; it lives as long as the chain.
    static func next(_ address: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? {
        let block = ByteBlock(opaque: address)
        let next = block.next
        _ = block.toOpaque()
        guard let next else { return nil }
        let following = next.toOpaque()
        // The one before has a reference of its own.
        _ = ByteBlock(opaque: following)
        return following
    }

    static func copy(_ address: UnsafeMutableRawPointer) -> ByteBlock {
        let block = ByteBlock(opaque: address)
        let copy = block.copy()
        _ = block.toOpaque()
        return copy
    }

    /// Gives up the block that follows.
    static func detach(_ address: UnsafeMutableRawPointer) {
        let block = ByteBlock(opaque: address)
        block.detach()
        _ = block.toOpaque()
    }

    static func append(
        _ bytes: UnsafeRawBufferPointer,
        to address: UnsafeMutableRawPointer
    ) -> Int {
        let block = ByteBlock(opaque: address)
        let count = block.append(bytes)
        _ = block.toOpaque()
        return count
    }

    /// Lets a block follow, whose address is given back.
    static func attach(
        _ next: consuming ByteBlock,
        to address: UnsafeMutableRawPointer
    ) -> UnsafeMutableRawPointer {
        let following = next.toOpaque()
        let block = ByteBlock(opaque: address)
        block.attach(ByteBlock(opaque: following))
        _ = block.toOpaque()
        return following
    }
}
