public import CSluice

/// A reference to bytes that the host counts: it is given up when the value goes out of scope.
///
/// Whoever made a buffer may write into it until another reference exists; from then on its bytes
/// must not change. Buffers live as long as there is a reference, also beyond the instance.
@frozen
public struct Buffer: ~Copyable {
    @usableFromInline let pointer: UnsafeMutablePointer<sluice_buf>
    @usableFromInline let core: UnsafePointer<sluice_core>

    @usableFromInline
    init(_ pointer: UnsafeMutablePointer<sluice_buf>, _ core: UnsafePointer<sluice_core>) {
        self.pointer = pointer
        self.core = core
    }

    deinit { core.pointee.buf_release(pointer) }

    /// The bytes: valid as long as there is a reference.
    @inlinable public var bytes: Bytes { Bytes(UnsafePointer(pointer.pointee.data), count: count) }

    /// Number of bytes.
    @inlinable public var count: Int { Int(pointer.pointee.len) }

    /// Bytes that there is room for; 0 for a slice, or for wrapped bytes.
    @inlinable public var capacity: Int { Int(pointer.pointee.capacity) }

    /// Appends as many of the bytes as there is room for; by the only owner.
    ///
    /// - Returns: how many were taken.
    @discardableResult
    public mutating func append(_ bytes: Bytes) -> Int {
        let taken = min(bytes.count, max(capacity - count, 0))
        // Safe: there is room for them, and nobody else may look at the rest of the buffer.
        (pointer.pointee.data + count).update(from: bytes.start, count: taken)
        pointer.pointee.len += UInt64(taken)
        return taken
    }

    /// Takes all bytes out again; by the only owner.
    public mutating func removeAll() {
        precondition(capacity > 0, "a slice or wrapped bytes do not change")
        pointer.pointee.len = 0
    }

    /// Another reference to the same bytes.
    public func copy() -> Buffer {
        core.pointee.buf_retain(pointer)
        return Buffer(pointer, core)
    }

    /// A reference to a part of the bytes; nil when the range is not within them, or no memory is
    /// left.
    public func slice(_ range: Range<Int>) -> Buffer? {
        guard range.lowerBound >= 0 else { return nil }
        let offset = UInt64(range.lowerBound)
        let slice = core.pointee.buf_slice(pointer, offset, UInt64(range.count))
        return slice.map { Buffer($0, core) }
    }

    /// Gives the reference away, as to a list of one's own; `Host.adopt` takes it back.
    public consuming func leak() -> UnsafeMutablePointer<sluice_buf> {
        let pointer = pointer
        discard self
        return pointer
    }
}

extension Host {
    /// A buffer with room for bytes, 16-byte aligned.
    ///
    /// Any thread.
    ///
    /// - Parameter capacity: 1 to 16 MiB.
    /// - Returns: nil when the instance's budget (64 MiB unless the manifest says otherwise) is
    ///   used up, or without a host.
    public func makeBuffer(capacity: Int) -> Buffer? {
        guard let services, capacity > 0 else { return nil }
        let core = services.pointee.core
        let buffer = core.pointee.buf_new(services.pointee.handle, UInt64(capacity))
        return buffer.map { Buffer($0, core) }
    }

    /// A buffer over bytes of the plugin's own, which must not change.
    ///
    /// - Parameters:
    ///   - bytes: valid until `free` is called.
    ///   - context: passed to `free`.
    ///   - free: called when the last reference is gone, on whatever thread that happens.
    /// - Returns: nil when no memory is left, or without a host; then `free` is not called.
    public func wrap(
        _ bytes: Bytes,
        _ context: UnsafeMutableRawPointer? = nil,
        free: @convention(c) (UnsafeMutableRawPointer?) -> Void
    ) -> Buffer? {
        guard let services else { return nil }
        let core = services.pointee.core
        let buffer = core.pointee.buf_wrap(services.pointee.handle, bytes.slice, free, context)
        return buffer.map { Buffer($0, core) }
    }

    /// Takes a reference back that `Buffer.leak` gave away.
    public func adopt(_ pointer: UnsafeMutablePointer<sluice_buf>) -> Buffer? {
        services.map { Buffer(pointer, $0.pointee.core) }
    }
}
