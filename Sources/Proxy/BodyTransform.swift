import CSluice
import HTTP
import PluginHost
import Sys

/// Bytes that wait on a body's way through plugins.
///
/// On the heap: they are there only while a hook wants more room, waits, or wants a whole body.
struct WaitingBytes {
    private(set) var bytes: UnsafeMutablePointer<UInt8>?
    private var capacity = 0
    private var start = 0
    private var end = 0

    var count: Int { end &- start }
    var isEmpty: Bool { end == start }
    /// The first of `count` bytes; not to be used when there are none.
    var first: UnsafeMutablePointer<UInt8> { bytes.unsafelyUnwrapped + start }

    mutating func append(_ from: UnsafePointer<UInt8>, _ length: Int) {
        guard length > 0 else { return }
        if end &+ length > capacity { grow(by: length) }
        // Safe: `grow` made room for them.
        (bytes.unsafelyUnwrapped + end).update(from: from, count: length)
        end &+= length
    }

    private mutating func grow(by length: Int) {
        let larger = max(16_384, capacity &* 2, count &+ length)
        let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: larger)
        let kept = count
        if let bytes {
            memory.update(from: bytes + start, count: kept)
            bytes.deallocate()
        }
        bytes = memory
        capacity = larger
        start = 0
        end = kept
    }

    mutating func drop(_ length: Int) {
        start &+= length
        if start == end {
            start = 0
            end = 0
        }
    }

    mutating func release() {
        bytes?.deallocate()
        self = WaitingBytes()
    }
}

/// The body hook of one plugin for one body.
struct BodyStage {
    let entry: UnsafeMutablePointer<HookEntry>
    let phase: Phase
    /// Input that the hook left, or that is collected for it.
    var rest = WaitingBytes()
    /// Flags of the chunk that `rest` is of.
    var restFlags: UInt32 = 0
    /// Bytes that the hook consumed.
    var offset: UInt64 = 0
    /// Bytes that are collected for one call; 0 for chunks.
    var collects = 0
    var streamsOverflow = false
    /// The hook is to be called though nothing new came.
    var isDue = false
    var isWaiting = false
    /// What it is to be told when it is called next.
    var resumption: Resumption?
    /// It made something else of the body than it got: it can't be stepped over any more.
    var hasReplaced = false

    var position: Int { Int(entry.pointee.position) }
}

/// A body's way through plugins: from stage to stage, and what has not gone out yet.
struct BodyTransform {
    let stages: UnsafeMutablePointer<BodyStage>
    let count: Int
    /// The stage that holds the response's head, -1 without one.
    ///
    /// Nothing goes beyond it.
    var holder = -1
    /// Where the hooks of the head go on when it is let go, and whether they do.
    var holdIndex = 0
    var isReleasing = false
    /// What came out of the holder's stage.
    var heldOut = WaitingBytes()
    var heldFlags: UInt32 = 0
    /// What came out of the last stage and has not been written.
    var outRest = WaitingBytes()
    var outEnds = false
    /// A head in the worker's memory that goes out with the first bytes.
    var pendingHead = 0
    /// Bytes that the head announced; -1 when it did not.
    var expected: Int64 = -1
    var produced: Int64 = 0
    var dropsAll = false
    /// Bytes were given to the first stage without FLUSH: it comes when the sender pauses.
    var owesFlush = false
    /// The input's end has been given to the first stage.
    var isFed = false
    var isDone = false
    var trailers: UnsafeMutablePointer<TrailerSection>?

    /// Whether anything is to be done without new input.
    var hasWork: Bool {
        if !outRest.isEmpty || outEnds { return true }
        for index in 0..<count where stages[index].isDue || stages[index].isWaiting { return true }
        return false
    }

    /// Whether a hook waits.
    var isWaiting: Bool {
        for index in 0..<count where stages[index].isWaiting { return true }
        return false
    }

    /// The stage of a plugin's hook; nil when it has none.
    func stage(_ phase: Phase, position: Int) -> Int? {
        for index in 0..<count
        where stages[index].phase == phase && stages[index].position == position {
            return index
        }
        return nil
    }

    mutating func release() {
        for index in 0..<count { stages[index].rest.release() }
        heldOut.release()
        outRest.release()
    }
}

/// A direction of an exchange.
enum BodyWay {
    case request
    case response
}

/// How far a body that goes through plugins has come.
enum BodyProgress {
    /// The next bytes are wanted.
    case more
    /// The receiver takes no more now.
    case blocked
    /// A plugin waits.
    case waiting
    /// All of it has been written.
    case done
    /// The exchange took another way; it may be over.
    case left
}
