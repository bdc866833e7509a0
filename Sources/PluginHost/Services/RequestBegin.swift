import CSluice

/// What came of a request that was refused before it was one: the attribute
/// `sluice.request_begin`, in request_end.
public enum RequestBegin {
    /// Bytes of it that are kept.
    public static let bytesMax = 128

    private static let key: UInt32? = {
        var key: UInt32 = 0
        let name = sluice_slice("sluice.request_begin")
        let result = Attributes.key(name, type: UInt32(SLUICE_ATTR_BYTES), &key)
        return result == SLUICE_OK ? key : nil
    }()

    /// Keeps the first line of what came, or its begin, as it came; nothing when it is empty.
    public static func set(_ context: UnsafeMutablePointer<RequestContext>, _ bytes: Slice) {
        var count = 0
        while count < min(bytes.count, bytesMax), bytes.bytes[count] != UInt8(ascii: "\r"),
            bytes.bytes[count] != UInt8(ascii: "\n")
        {
            count += 1
        }
        guard count > 0, let key else { return }
        // Without room there is none: the end of the request is told all the same.
        _ = Attributes.set(context, key, sluice_slice(ptr: bytes.bytes, len: UInt64(count)))
    }
}
