/// Integers of HPACK (RFC 7541 §5.1).
enum HPACKInteger {
    /// Bytes after the first one: enough for 32 bits, and what shorter numbers may waste.
    static let continuationBytesMax = 5
    /// Bytes of the longest integer that `encode` writes, for values below 2 to the 32nd.
    static let encodedBytesMax = 6

    /// Results of `decode` that are no value.
    static let truncated = -1
    static let tooLong = -2

    /// Decodes the integer whose first byte, at `at`, holds its first bits below `prefix`; moves
    /// `at` past it.
    ///
    /// `prefix` is the mask of those bits. At most 35 bits follow, so nothing overflows.
    @inline(__always)  // One comparison for most indices and lengths.
    static func decode(
        _ bytes: UnsafePointer<UInt8>,
        count: Int,
        at: inout Int,
        prefix: UInt8
    ) -> Int {
        let first = bytes[at] & prefix
        at &+= 1
        return first < prefix
            ? Int(first) : decodeLong(bytes, count: count, at: &at, from: Int(first))
    }

    @inline(never)  // Lengths over 126 and indices over 62, seldom.
    private static func decodeLong(
        _ bytes: UnsafePointer<UInt8>,
        count: Int,
        at: inout Int,
        from first: Int
    ) -> Int {
        var value = first
        var shift = 0
        while shift < 7 &* continuationBytesMax {
            guard at < count else { return truncated }
            let byte = bytes[at]
            at &+= 1
            value &+= Int(byte & 0x7F) &<< shift
            if byte < 0x80 { return value }
            shift &+= 7
        }
        return tooLong
    }

    /// Writes an integer of 0 to 4,294,967,295 and returns its length, at most `encodedBytesMax`.
    ///
    /// `pattern` holds the bits of the first byte above `prefix`.
    @inline(__always)  // One comparison and one store, most often.
    static func encode(
        _ value: Int,
        prefix: UInt8,
        pattern: UInt8,
        to out: UnsafeMutablePointer<UInt8>
    ) -> Int {
        if value < Int(prefix) {
            out[0] = pattern | UInt8(truncatingIfNeeded: value)
            return 1
        }
        out[0] = pattern | prefix
        return 1 &+ encodeRest(value &- Int(prefix), to: out + 1)
    }

    @inline(never)  // Long strings, seldom.
    private static func encodeRest(_ value: Int, to out: UnsafeMutablePointer<UInt8>) -> Int {
        var rest = value
        var written = 0
        while rest >= 0x80 {
            out[written] = UInt8(truncatingIfNeeded: rest) | 0x80
            rest &>>= 7
            written &+= 1
        }
        out[written] = UInt8(truncatingIfNeeded: rest)
        return written &+ 1
    }
}
