internal import CAccessLog
import SluiceSDK
internal import Synchronization

/// Lines of one worker on their way to the output: a ring that one thread fills and another one
/// empties, without a lock.
///
/// The order stays.
///
/// Lines end with a line feed and have none inside, so the ring needs no lengths.
struct Lane: BitwiseCopyable, @unchecked Sendable {
    // Safe: the counters are only used as atomics, and say which side may touch which bytes.

    /// Bytes before the ring: the counters, each on a cache line of its own, so that the two
    /// threads do not take them from each other.
    private static let headerBytes = 192
    private static let tailOffset = 64
    private static let roomOffset = 128

    private let start: UnsafeMutableRawPointer
    /// A power of two.
    private let capacity: Int
    /// Bytes of `line`.
    private let lineBytes: Int

    /// - Parameters:
    ///   - capacity: bytes of lines; a power of two.
    ///   - lineBytes: bytes that the longest line needs, with its line feed.
    init?(capacity: Int, lineBytes: Int) {
        precondition(capacity.nonzeroBitCount == 1 && capacity > lineBytes, "\(capacity) bytes")
        let count = Lane.headerBytes + lineBytes + capacity
        guard let start = accesslog_zeroed(UInt64(count)) else { return nil }
        self.start = start
        self.capacity = capacity
        self.lineBytes = lineBytes
    }

    /// The lane at an address that `address` gave.
    init?(at address: UInt, capacity: Int, lineBytes: Int) {
        guard let start = UnsafeMutableRawPointer(bitPattern: address) else { return nil }
        self.start = start
        self.capacity = capacity
        self.lineBytes = lineBytes
    }

    var address: UInt { UInt(bitPattern: start) }

    /// Neither side may use it any more.
    func free() { accesslog_free(start) }

    private var head: UnsafeMutablePointer<Atomic<UInt64>> {
        start.assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    private var tail: UnsafeMutablePointer<Atomic<UInt64>> {
        (start + Lane.tailOffset).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    /// Where the clock's texts lie.
    var clockRoom: UnsafeMutablePointer<UInt8> {
        (start + Lane.roomOffset).assumingMemoryBound(to: UInt8.self)
    }

    /// Where the worker writes its next line.
    var line: UnsafeMutablePointer<UInt8> {
        (start + Lane.headerBytes).assumingMemoryBound(to: UInt8.self)
    }

    private var ring: UnsafeMutablePointer<UInt8> { line + lineBytes }

    // MARK: The worker

    /// Bytes that were ever put in. [worker]
    var written: UInt64 { tail.pointee.load(ordering: .relaxed) }

    var isEmpty: Bool {
        head.pointee.load(ordering: .acquiring) == tail.pointee.load(ordering: .acquiring)
    }

    /// Puts the first `count` bytes of `line` in; false when there is no room. [worker]
    func push(_ count: Int) -> Bool {
        let end = tail.pointee.load(ordering: .relaxed)
        let used = Int(end &- head.pointee.load(ordering: .acquiring))
        guard count <= capacity &- used else { return false }
        let at = Int(end) & (capacity &- 1)
        let first = min(count, capacity &- at)
        // Safe: the bytes from `end` on are not read before `tail` says that they are there.
        (ring + at).update(from: line, count: first)
        ring.update(from: line + first, count: count &- first)
        tail.pointee.store(end &+ UInt64(count), ordering: .releasing)
        return true
    }

    // MARK: The output

    /// Takes the first line into memory with room for `lineBytes`; its length, with the line feed,
    /// or 0 when there is none. [one thread]
    func pop(to: UnsafeMutablePointer<UInt8>) -> Int {
        let begin = head.pointee.load(ordering: .relaxed)
        let count = Int(tail.pointee.load(ordering: .acquiring) &- begin)
        guard count > 0 else { return 0 }
        let at = Int(begin) & (capacity &- 1)
        let first = min(count, capacity &- at, lineBytes)
        var length: Int
        if let end = Bytes(UnsafePointer(ring + at), count: first).firstIndex(of: 0x0A) {
            length = end + 1
            // Safe: no line is longer than `lineBytes`.
            to.update(from: ring + at, count: length)
        } else {
            let rest = Bytes(UnsafePointer(ring), count: min(count &- first, lineBytes &- first))
            length = first + (rest.firstIndex(of: 0x0A) ?? 0) + 1
            to.update(from: ring + at, count: first)
            (to + first).update(from: ring, count: length &- first)
        }
        head.pointee.store(begin &+ UInt64(length), ordering: .releasing)
        return length
    }
}
