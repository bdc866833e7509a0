internal import CCacheDisk

/// An object whose file is open: it can be read until this goes out of scope, whatever becomes of
/// the object.
///
/// It may outlive the store; then the last one closes the folder, and waits for the disk.
@frozen
public struct Entry: ~Copyable, @unchecked Sendable {
    // Safe: what an open file is does not change while there is a reference, which any thread may
    // give up.
    private let address: UnsafeMutableRawPointer

    /// Takes over a reference, and a use of the store.
    init(_ file: OpenFile.Pointer) { address = UnsafeMutableRawPointer(file) }

    var file: OpenFile.Pointer {
        // Safe: only addresses of open files get there.
        address.assumingMemoryBound(to: OpenFile.self)
    }

    private var head: Head {
        guard let head = file.pointee.head else { preconditionFailure("a file without a head") }
        return head
    }

    var header: FileHeader { head.header }

    deinit {
        let file = file
        let store = file.pointee.store
        store.locked { store.release(file, &$0) }
        store.leave()
    }

    /// The key: valid as long as the entry.
    public var key: UnsafeRawBufferPointer { head.key }

    /// The metadata: valid as long as the entry.
    public var meta: UnsafeRawBufferPointer { head.meta }

    /// The file, to be used with offsets alone, and not after the entry.
    public var descriptor: Int32 { file.pointee.descriptor }

    /// Where in the file the body begins.
    public var bodyOffset: UInt64 { header.bodyOffset }

    /// Bytes of the body.
    public var bodyCount: UInt64 { header.bodyCount }

    /// When the object was stored, in seconds since 1970.
    public var storedAt: UInt64 { header.storedAt }

    /// Until when it is of use, in seconds since 1970; 0: always.
    public var keepUntil: UInt64 { header.keepUntil }

    /// Since when it is stale by order, in nanoseconds since 1970; 0: it is not.
    public var staleSince: UInt64 { header.staleSince }

    /// What the owner of the store has made of the metadata; nil until it has.
    ///
    /// It is the same for all entries of one open file, and valid as long as one of them.
    public var form: UnsafeMutableRawPointer? {
        withUnsafeMutablePointer(to: &file.pointee.form) { cachedisk_address($0) }
    }

    /// Keeps what was made of the metadata, if nobody else has been first.
    ///
    /// - Parameter form: memory of `malloc`, which is freed with the file.
    /// - Returns: whether it was taken; otherwise it stays the caller's.
    public func setForm(_ form: UnsafeMutableRawPointer) -> Bool {
        withUnsafeMutablePointer(to: &file.pointee.form) { cachedisk_set_address($0, form) != 0 }
    }

    /// Another reference to the same open file.
    public func copy() -> Entry {
        let file = file
        file.pointee.store.locked { guarded in
            file.pointee.references += 1
            guarded.users += 1
        }
        return Entry(file)
    }

    /// Reads a part of the body, where a file can't be sent.
    ///
    /// - Parameters:
    ///   - buffer: gets the bytes: as many as there is room for, and as are left.
    ///   - offset: in the body.
    /// - Returns: how many there were; 0 at the end.
    public func readBlocking(
        into buffer: UnsafeMutableRawBufferPointer,
        at offset: UInt64
    ) throws(DiskError) -> Int {
        guard offset < bodyCount, let start = buffer.baseAddress else { return 0 }
        let count = Int(min(UInt64(buffer.count), bodyCount - offset))
        let result = cachedisk_read(descriptor, start, count, bodyOffset + offset)
        guard result == 0 else { throw DiskError(.read, result) }
        return count
    }

    /// The entry as an address, for C; `init(opaque:)` takes it back.
    public consuming func toOpaque() -> UnsafeMutableRawPointer {
        let address = address
        discard self
        return address
    }

    /// Takes over the entry that `toOpaque` gave.
    public init(opaque: UnsafeMutableRawPointer) {
        address = opaque
    }
}
