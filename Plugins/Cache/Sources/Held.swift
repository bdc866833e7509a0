import CacheDisk
import TinyUFO

/// A stored object that somebody reads, in memory or on the disk: it stays as it is until this goes
/// out of scope.
@frozen
@usableFromInline
struct Held: ~Copyable {
    /// Of a pin, or of an entry of the disk with `diskTag`.
    private let address: UnsafeMutableRawPointer

    /// Pins and entries are aligned to more than that.
    private static let diskTag: UInt = 1

    @inline(__always)
    init(_ pin: consuming Pin) { address = pin.toOpaque() }

    /// Nil when nothing was made of the entry's metadata yet.
    init?(_ entry: consuming Entry) {
        guard entry.form != nil else { return nil }
        address = entry.toOpaque() + Int(Self.diskTag)
    }

    deinit {
        if isOnDisk {
            _ = Entry(opaque: address - Int(Self.diskTag))
        } else {
            _ = Pin(opaque: address)
        }
    }

    @inline(__always)
    var isOnDisk: Bool { UInt(bitPattern: address) & Self.diskTag != 0 }

    /// The first block's bytes, which begin with the head; on the disk there is nothing behind it.
    @inline(__always)
    var bytes: UnsafeRawBufferPointer {
        if isOnDisk { return diskHead }
        let pin = Pin(opaque: address)
        let bytes = pin.bytes
        _ = pin.toOpaque()
        return bytes
    }

    private var diskHead: UnsafeRawBufferPointer {
        let entry = Entry(opaque: address - Int(Self.diskTag))
        let form = entry.form
        _ = entry.toOpaque()
        guard let form else { preconditionFailure("an entry without a head") }
        // Safe: `DiskHead.read` made it, and says where it ends.
        let head = form.assumingMemoryBound(to: ObjectHead.self)
        return UnsafeRawBufferPointer(start: form, count: Int(head.pointee.bodyOffset))
    }

    /// Shows the pin; nil on the disk.
    func withPin<Result>(_ body: (borrowing Pin) -> Result) -> Result? {
        if isOnDisk { return nil }
        let pin = Pin(opaque: address)
        let result = body(pin)
        _ = pin.toOpaque()
        return result
    }

    /// Shows the entry; nil in memory.
    func withEntry<Result>(_ body: (borrowing Entry) -> Result) -> Result? {
        guard isOnDisk else { return nil }
        let entry = Entry(opaque: address - Int(Self.diskTag))
        let result = body(entry)
        _ = entry.toOpaque()
        return result
    }

    /// As an address, for C; `init(opaque:)` takes it back.
    consuming func toOpaque() -> UnsafeMutableRawPointer {
        let address = address
        discard self
        return address
    }

    /// Takes over what `toOpaque` gave.
    @inline(__always)
    init(opaque: UnsafeMutableRawPointer) { address = opaque }
}
