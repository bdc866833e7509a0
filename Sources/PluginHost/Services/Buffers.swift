public import CSluice
import Synchronization
import Sys

/// `sluice_buf`: bytes that are counted by reference, and whose instance has a budget for them.
///
/// The host's words of a buffer (`reserved`) are the count of references, the owner's handle with
/// the kind in its lowest bits, and two or three words that depend on the kind.
public enum Buffers {
    /// Bytes of one buffer.
    public static let capacityMax = 16_777_216

    typealias Reference = UnsafeMutablePointer<sluice_buf>
    typealias Free = @convention(c) (UnsafeMutableRawPointer?) -> Void

    private enum Kind {
        /// The bytes follow the struct; the third word is how many there are.
        static let own: UInt64 = 0
        /// The fourth and fifth word are the function that frees and its context.
        static let wrapped: UInt64 = 1
        /// The third word is the buffer that the slice is of.
        static let slice: UInt64 = 2
        static let mask: UInt64 = 3
    }

    /// What every buffer is charged for itself.
    static let headerBytes = MemoryLayout<sluice_buf>.size

    private static let countOffset =
        MemoryLayout<sluice_buf>.offset(of: \.reserved) ?? headerBytes

    private static func count(_ buf: Reference) -> UnsafeMutablePointer<Atomic<UInt64>> {
        // Safe: the word is the host's own, 8-byte aligned, and only ever used as an atomic.
        (UnsafeMutableRawPointer(buf) + countOffset).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    /// A struct with `extra` bytes behind it and one reference, charged to the instance.
    private static func make(
        _ handle: InstanceHandle,
        extra: Int,
        kind: UInt64
    ) -> Reference? {
        guard handle.takeMemory(headerBytes + extra) else { return nil }
        guard let memory = Memory.allocate(headerBytes + extra) else {
            handle.giveMemory(headerBytes + extra)
            return nil
        }
        let buf = memory.bindMemory(to: sluice_buf.self, capacity: 1)
        buf.initialize(to: sluice_buf())
        buf.pointee.reserved.0 = 1
        let owner = UInt64(UInt(bitPattern: Unmanaged.passUnretained(handle).toOpaque()))
        buf.pointee.reserved.1 = owner | kind
        return buf
    }

    /// `buf_new` of the ABI.
    static func new(_ handle: InstanceHandle, capacity: UInt64) -> Reference? {
        guard capacity > 0, capacity <= UInt64(capacityMax),
            let buf = make(handle, extra: Int(capacity), kind: Kind.own)
        else { return nil }
        buf.pointee.data = (UnsafeMutableRawPointer(buf) + headerBytes)
            .assumingMemoryBound(to: UInt8.self)
        buf.pointee.capacity = capacity
        buf.pointee.reserved.2 = capacity
        return buf
    }

    /// `buf_wrap` of the ABI.
    static func wrap(
        _ handle: InstanceHandle,
        _ bytes: sluice_slice,
        free: Free?,
        context: UnsafeMutableRawPointer?
    ) -> Reference? {
        guard bytes.ptr != nil || bytes.len == 0,
            let buf = make(handle, extra: 0, kind: Kind.wrapped)
        else { return nil }
        buf.pointee.data = UnsafeMutablePointer(mutating: bytes.ptr)
        buf.pointee.len = bytes.len
        // Kept apart from `len`, which the plugin could overwrite.
        buf.pointee.reserved.2 = bytes.len
        buf.pointee.reserved.3 = UInt64(UInt(bitPattern: unsafeBitCast(free, to: Int.self)))
        buf.pointee.reserved.4 = UInt64(UInt(bitPattern: context))
        return buf
    }

    /// `buf_slice`; a slice of a slice is one of the whole.
    static func slice(_ buf: Reference, offset: UInt64, length: UInt64) -> Reference? {
        guard let bytes = bytes(of: buf), offset <= UInt64(bytes.count),
            length <= UInt64(bytes.count) - offset
        else { return nil }
        let isSlice = buf.pointee.reserved.1 & Kind.mask == Kind.slice
        let whole = isSlice ? parent(buf) : buf
        guard let whole,
            let slice = owner(whole)._withUnsafeGuaranteedRef({
                make($0, extra: 0, kind: Kind.slice)
            })
        else { return nil }
        retain(whole)
        slice.pointee.data = UnsafeMutablePointer(mutating: bytes.bytes + Int(offset))
        slice.pointee.len = length
        slice.pointee.reserved.2 = UInt64(UInt(bitPattern: whole))
        slice.pointee.reserved.3 = length
        return slice
    }

    private static func parent(_ buf: Reference) -> Reference? {
        Reference(bitPattern: UInt(buf.pointee.reserved.2))
    }

    private static func owner(_ buf: Reference) -> Unmanaged<InstanceHandle> {
        // Safe: the host wrote the word; handles live for ever.
        guard let address = UnsafeRawPointer(bitPattern: UInt(buf.pointee.reserved.1 & ~Kind.mask))
        else { preconditionFailure("a buffer without an owner") }
        return Unmanaged.fromOpaque(address)
    }

    /// The bytes of a buffer; never more than it has, whatever its plugin wrote into `len`.
    ///
    /// - Returns: nil for a buffer of no bytes that has no address.
    public static func bytes(of buf: UnsafeMutablePointer<sluice_buf>) -> Slice? {
        guard let data = buf.pointee.data else { return nil }
        let isSlice = buf.pointee.reserved.1 & Kind.mask == Kind.slice
        let most = isSlice ? buf.pointee.reserved.3 : buf.pointee.reserved.2
        return Slice(UnsafePointer(data), Int(min(buf.pointee.len, most)))
    }

    /// `buf_retain` of the ABI, from any thread.
    public static func retain(_ buf: UnsafeMutablePointer<sluice_buf>) {
        count(buf).pointee.wrappingAdd(1, ordering: .relaxed)
    }

    /// `buf_release` of the ABI, from any thread.
    public static func release(_ buf: UnsafeMutablePointer<sluice_buf>) {
        let left = count(buf).pointee.wrappingSubtract(1, ordering: .acquiringAndReleasing).newValue
        guard left == 0 else { return }
        var charge = headerBytes
        switch buf.pointee.reserved.1 & Kind.mask {
        case Kind.own: charge += Int(buf.pointee.reserved.2)
        case Kind.wrapped:
            let context = UnsafeMutableRawPointer(bitPattern: UInt(buf.pointee.reserved.4))
            if buf.pointee.reserved.3 != 0 {
                let free = unsafeBitCast(Int(buf.pointee.reserved.3), to: Free.self)
                owner(buf)._withUnsafeGuaranteedRef { $0.mark(.free) { free(context) } }
            }
        default:
            // The whole is no slice, so this goes one step deep.
            if let parent = parent(buf) { release(parent) }
        }
        owner(buf)._withUnsafeGuaranteedRef { $0.giveMemory(charge) }
        Memory.free(UnsafeMutableRawPointer(buf))
    }
}
