import CSluice

/// Bytes of a request's memory that are filled bit by bit: by its hooks, or by the results of its
/// callouts.
///
/// Keep it in the request's context; what is in it is valid until the end of the request. Zeroed
/// memory is one without room.
public struct Room: BitwiseCopyable {
    private var start: UnsafeMutablePointer<UInt8>?
    /// Bytes that there is room for in all.
    public private(set) var capacity: Int
    /// Number of bytes in it.
    public private(set) var count: Int

    init(start: UnsafeMutablePointer<UInt8>, capacity: Int) {
        self.start = start
        self.capacity = capacity
        count = 0
    }

    /// What is in it.
    public var bytes: Bytes { start.map { Bytes(UnsafePointer($0), count: count) } ?? .empty }

    /// Appends all the bytes, or, when there is no room for all of them, nothing.
    ///
    /// - Returns: whether they were taken.
    @discardableResult
    public mutating func append(_ bytes: Bytes) -> Bool {
        guard bytes.count <= capacity - count else { return false }
        guard let start, bytes.count > 0 else { return bytes.isEmpty }
        // Safe: there is room for them; they may lie in the same memory.
        (start + count).update(from: bytes.start, count: bytes.count)
        count += bytes.count
        return true
    }

    /// Appends one byte.
    ///
    /// - Returns: whether it was taken.
    @discardableResult
    public mutating func append(_ byte: UInt8) -> Bool {
        guard let start, count < capacity else { return false }
        start[count] = byte
        count += 1
        return true
    }

    /// Forgets what is in it.
    public mutating func removeAll() { count = 0 }
}

extension Exchange where Owner: ~Copyable {
    /// Memory of the request to be filled now or later; see `Room`.
    ///
    /// - Parameter capacity: 1 or more bytes, of the 64 KiB that all plugins of a request share.
    /// - Throws: `outOfMemory` when so many are not left.
    public func room(capacity: Int) throws(ServiceError) -> Room {
        let core = services.pointee.core
        guard let memory = core.pointee.request_alloc(request, UInt64(max(capacity, 0))) else {
            throw .outOfMemory
        }
        // Safe: the host gave `capacity` bytes, until the end of the request.
        return Room(start: memory.assumingMemoryBound(to: UInt8.self), capacity: capacity)
    }
}
