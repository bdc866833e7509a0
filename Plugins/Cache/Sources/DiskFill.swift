import CCache
import CacheDisk
import Synchronization
import TinyUFO

/// The way of a fetch to the disk: what came and is not written yet, and the file.
///
/// It belongs to its fill, whose lock guards what is said to be guarded. Who wrote to the fill has
/// a reference until the task has ended it. Those who read along read the file, as far as it is
/// written.
struct DiskFill: ~Copyable {
    typealias Pointer = UnsafeMutablePointer<DiskFill>

    enum Phase: UInt8 {
        /// There is no file yet.
        case waiting
        /// It can be read as far as it is written.
        case begun
        /// It will never be whole.
        case failed
    }

    enum Ending: UInt8 {
        case none
        case commit
        case abort
    }

    private var task = DiskTask(.diskFill)
    let tier: DiskTier.Pointer
    let fill: Fill.Pointer
    /// What is stored beside the body; allocated.
    let meta: UnsafeMutableRawBufferPointer
    /// Seconds since 1970; 0: always.
    let keepUntil: UInt64

    // Guarded.
    /// What had come before there was a diskFill, which is written first.
    private var start: UnsafeMutableRawPointer?
    /// `ByteBlock.toOpaque` of a chain that is not written yet, and its last block.
    private var first: UnsafeMutableRawPointer?
    private var last: UnsafeMutableRawPointer?
    private var waitingBytes = 0
    private var isQueued = false
    private var ending = Ending.none

    // The task's, but for what others read once the phase is `begun`.
    /// `DiskWriter.toOpaque`.
    var writer: UnsafeMutableRawPointer?
    var descriptor: Int32 = -1
    var bodyOffset: UInt64 = 0
    /// Bytes at the beginning of `start` that are no body.
    private var skipped = 0
    private let phaseWord = Atomic<UInt8>(Phase.waiting.rawValue)
    private let writtenWord = Atomic<UInt64>(0)
    private let endingWord = Atomic<Bool>(false)

    /// Bytes of one fetch that wait for the disk; more, and the disk is slower than the origin.
    static let waitingBytesMax = 33_554_432
    private static let blockBytes = 262_144
    private static let blockBytesLeast = 4_096

    /// - Parameters:
    ///   - meta: memory that it takes over.
    ///   - chain: what has come so far, with a reference that it takes over.
    ///   - skipped: bytes of its first block that are no body.
    static func make(
        _ tier: DiskTier.Pointer,
        _ fill: Fill.Pointer,
        meta: UnsafeMutableRawBufferPointer,
        keepUntil: UInt64,
        chain: UnsafeMutableRawPointer?,
        skipped: Int
    ) -> Pointer {
        let diskFill = Pointer.allocate(capacity: 1)
        diskFill.initialize(to: DiskFill(tier, fill, meta, keepUntil))
        diskFill.pointee.start = chain
        diskFill.pointee.skipped = skipped
        return diskFill
    }

    private init(
        _ tier: DiskTier.Pointer,
        _ fill: Fill.Pointer,
        _ meta: UnsafeMutableRawBufferPointer,
        _ keepUntil: UInt64
    ) {
        self.tier = tier
        self.fill = fill
        self.meta = meta
        self.keepUntil = keepUntil
    }

    var phase: Phase { Phase(rawValue: phaseWord.load(ordering: .acquiring)) ?? .failed }
    /// Bytes of the body that are in the file.
    var writtenBytes: UInt64 { writtenWord.load(ordering: .acquiring) }

    /// Whether all of the body has come.
    var isEnding: Bool { endingWord.load(ordering: .acquiring) }

    func set(_ phase: Phase) { phaseWord.store(phase.rawValue, ordering: .releasing) }
    func setWritten(_ bytes: UInt64) { writtenWord.store(bytes, ordering: .releasing) }

    // MARK: Guarded

    /// Appends to the last block that waits.
    ///
    /// - Returns: how many bytes it had room for.
    fileprivate mutating func append(_ bytes: UnsafeRawBufferPointer) -> Int {
        guard let last else { return 0 }
        return BlockChain.append(bytes, to: last)
    }

    /// Lets a block wait.
    fileprivate mutating func add(_ block: consuming ByteBlock) {
        waitingBytes += block.capacity
        if let last {
            self.last = BlockChain.attach(block, to: last)
        } else {
            let address = block.toOpaque()
            first = address
            last = address
        }
    }

    /// Whether the task is to be left with the tier now.
    fileprivate mutating func queue() -> Bool {
        if isQueued { return false }
        isQueued = true
        return true
    }

    fileprivate mutating func note(_ ending: Ending) {
        self.ending = ending
        endingWord.store(ending == .commit, ordering: .releasing)
    }

    fileprivate func mayWait(_ bytes: Int) -> Bool { waitingBytes + bytes <= Self.waitingBytesMax }

    /// What the task is to do next.
    struct Work: BitwiseCopyable {
        /// `ByteBlock.toOpaque` of a chain, with its reference.
        var chain: UnsafeMutableRawPointer?
        /// Bytes of it that are counted.
        var bytes: Int
        var skipped: Int
        var ending: Ending
    }

    /// Takes what waits; nil when nothing is to be done, and the task is over for now.
    fileprivate mutating func take() -> Work? {
        if let start {
            self.start = nil
            return Work(chain: start, bytes: 0, skipped: skipped, ending: ending)
        }
        guard first != nil || ending != .none else {
            isQueued = false
            return nil
        }
        let work = Work(chain: first, bytes: waitingBytes, skipped: 0, ending: ending)
        first = nil
        last = nil
        waitingBytes = 0
        return work
    }

    fileprivate func freeMemory() {
        if let start { _ = ByteBlock(opaque: start) }
        if let first { _ = ByteBlock(opaque: first) }
        if let writer { _ = DiskWriter(opaque: writer) }
        if descriptor >= 0 { DiskFile.closeBlocking(descriptor) }
        cache_free(meta.baseAddress)
    }

    /// Bytes of the next block.
    fileprivate static func blockBytes(_ rest: Int, _ fill: Fill.Pointer) -> Int {
        let declared = fill.pointee.declaredBytes
        guard declared != .max else { return max(blockBytes, rest) }
        let left = Int(clamping: declared - min(declared, fill.pointee.writtenBytes))
        return max(min(left, blockBytes), rest, blockBytesLeast)
    }
}

extension UnsafeMutablePointer where Pointee == DiskFill {
    /// Takes bytes of the body; false when the file can't be written, or not as fast.
    ///
    /// - Returns: whether they were taken.
    func write(_ bytes: UnsafeRawBufferPointer, _ store: Store.Pointer) -> Bool {
        let fill = pointee.fill
        var rest = bytes
        while !rest.isEmpty {
            if pointee.phase == .failed { return false }
            let taken = fill.locked { pointee.append(rest) }
            fill.pointee.writtenBytes += UInt64(taken)
            rest = UnsafeRawBufferPointer(rebasing: rest[taken...])
            if rest.isEmpty { break }
            let size = DiskFill.blockBytes(rest.count, fill)
            guard fill.locked({ pointee.mayWait(size) }), store.pointee.reserve(size) else {
                return false
            }
            guard let block = ByteBlock(capacity: size) else {
                store.pointee.unreserve(size)
                return false
            }
            let count = block.append(rest)
            fill.pointee.writtenBytes += UInt64(count)
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            let opaque = block.toOpaque()
            fill.locked { pointee.add(ByteBlock(opaque: opaque)) }
        }
        push()
        return true
    }

    /// No more bytes follow; the task then gives up the reference of who wrote.
    func end(_ ending: DiskFill.Ending) {
        pointee.fill.locked { pointee.note(ending) }
        push()
    }

    private func push() {
        if pointee.fill.locked({ pointee.queue() }) { pointee.tier.pointee.push(task) }
    }

    /// What is to be done next.
    func take() -> DiskFill.Work? { pointee.fill.locked { pointee.take() } }

    /// Has the memory freed by a task, as that closes files.
    func retire() {
        task.pointee.kind = .retire
        pointee.tier.pointee.push(task)
    }

    /// Drops what will never be written.
    func drop() {
        if let writer = pointee.writer { _ = DiskWriter(opaque: writer) }
        pointee.writer = nil
        pointee.fill.release()
    }

    func free() {
        pointee.freeMemory()
        deinitialize(count: 1)
        deallocate()
    }
}
