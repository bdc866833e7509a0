import CCache
import CacheDisk
import SluiceSDK
import Synchronization

/// Bytes of a file that an answer waits for: they are read by a task, into memory of the reader's
/// or only into that of the kernel.
///
/// It belongs to its reader; when that ends before the task does, the task frees it.
struct Load: ~Copyable {
    typealias Pointer = UnsafeMutablePointer<Load>

    enum State: UInt8 {
        case idle
        /// A task has it.
        case running
        case done
        case failed
        /// Likewise running, and nobody wants it any more.
        case abandoned
    }

    private var task = DiskTask(.load)
    private let stateWord = Atomic<UInt8>(State.idle.rawValue)
    var token = Token.none
    /// `Entry.toOpaque` of a reference of its own, or nil.
    fileprivate var entry: UnsafeMutableRawPointer?
    /// With a reference of its own, or nil.
    fileprivate var fill: Fill.Pointer?
    private(set) var descriptor: Int32 = -1
    /// Where in the file.
    private(set) var place: UInt64 = 0
    private(set) var count = 0
    var next: Pointer?

    /// Bytes behind it.
    static let bufferBytes = 262_144

    fileprivate init() {}

    var state: State { State(rawValue: stateWord.load(ordering: .acquiring)) ?? .failed }

    fileprivate func exchange(_ state: State) -> State {
        let old = stateWord.exchange(state.rawValue, ordering: .acquiringAndReleasing)
        return State(rawValue: old) ?? .failed
    }

    fileprivate mutating func set(_ descriptor: Int32, _ place: UInt64, _ count: Int) {
        self.descriptor = descriptor
        self.place = place
        self.count = count
    }
}

extension UnsafeMutablePointer where Pointee == Load {
    /// Where the bytes go: `Load.bufferBytes`.
    var buffer: UnsafeMutableRawPointer {
        // Safe: `LoadPool` allocates it behind each.
        UnsafeMutableRawPointer(self) + MemoryLayout<Load>.stride
    }

    /// Begins: the task is then to be left with the tier.
    func begin(_ descriptor: Int32, at place: UInt64, count: Int, _ token: Token) {
        pointee.set(descriptor, place, count)
        pointee.token = token
        _ = pointee.exchange(.running)
    }

    /// Reads; on a thread that may wait.
    func runBlocking() {
        let room = UnsafeMutableRawBufferPointer(start: buffer, count: pointee.count)
        let isRead = DiskFile.readBlocking(pointee.descriptor, into: room, at: pointee.place)
        let token = pointee.token
        if pointee.exchange(isRead ? .done : .failed) == .abandoned { return end() }
        // From here on it may be gone.
        token.resume()
    }

    /// Makes it ready for the next time, when no task has it.
    func rest() { _ = pointee.exchange(.idle) }

    /// Nobody wants it any more.
    ///
    /// - Returns: whether it is the caller's to free or to keep; otherwise the task does that.
    func abandon() -> Bool { pointee.exchange(.abandoned) != .running }

    /// What the file lives by, each with a reference that is taken over.
    func hold(entry: UnsafeMutableRawPointer?, fill: Fill.Pointer?) {
        pointee.entry = entry
        pointee.fill = fill
    }

    /// Gives up what the file lives by.
    func letGo() {
        if let entry = pointee.entry { _ = Entry(opaque: entry) }
        if let fill = pointee.fill { fill.release() }
        hold(entry: nil, fill: nil)
        _ = pointee.exchange(.idle)
    }

    func end() {
        letGo()
        deinitialize(count: 1)
        cache_free(self)
    }
}

/// Loads of one worker that are not in use.
struct LoadPool: BitwiseCopyable {
    private var first: Load.Pointer?
    private var count = 0

    /// Loads that are kept; more are freed.
    static let countMax = 16

    init() {}

    mutating func take() -> Load.Pointer? {
        if let load = first {
            first = load.pointee.next
            count -= 1
            return load
        }
        guard let memory = cache_allocate(MemoryLayout<Load>.stride + Load.bufferBytes) else {
            return nil
        }
        let load = memory.bindMemory(to: Load.self, capacity: 1)
        load.initialize(to: Load())
        return load
    }

    mutating func give(_ load: Load.Pointer) {
        guard count < Self.countMax else { return load.end() }
        load.letGo()
        load.pointee.next = first
        first = load
        count += 1
    }

    mutating func destroy() {
        while let load = first {
            first = load.pointee.next
            load.end()
        }
        count = 0
    }
}
