/// Builds a value in memory of a bounded size.
///
/// What does not fit is left out, and the running hook's verdict becomes an error.
public struct Writer: ~Copyable {
    @usableFromInline let start: UnsafeMutablePointer<UInt8>
    @usableFromInline let capacity: Int
    @usableFromInline let failure: UnsafeMutablePointer<UInt32>
    /// Number of bytes written.
    public private(set) var count = 0

    /// A writer over `capacity` bytes from `start` on.
    ///
    /// `failure` is set when they do not suffice.
    @usableFromInline
    init(
        start: UnsafeMutablePointer<UInt8>,
        capacity: Int,
        failure: UnsafeMutablePointer<UInt32>
    ) {
        self.start = start
        self.capacity = capacity
        self.failure = failure
    }

    /// What was written.
    ///
    /// Lives as long as the memory: until the end of the request.
    public var bytes: Bytes { Bytes(UnsafePointer(start), count: count) }

    /// Appends bytes.
    public mutating func append(_ bytes: Bytes) {
        guard bytes.count <= capacity - count else { return overflow() }
        // Safe: there is room for all of them, and fresh memory overlaps nothing.
        (start + count).update(from: bytes.start, count: bytes.count)
        count += bytes.count
    }

    /// Appends one byte.
    public mutating func append(_ byte: UInt8) {
        guard count < capacity else { return overflow() }
        start[count] = byte
        count += 1
    }

    /// Appends a number in decimal digits.
    public mutating func append(decimal number: UInt64) {
        var divisor: UInt64 = 1
        while number / divisor >= 10 { divisor *= 10 }
        var rest = number
        while divisor > 0 {
            append(UInt8(0x30 + rest / divisor))
            rest %= divisor
            divisor /= 10
        }
    }

    /// Appends bytes as a quoted-string, with a backslash before `"` and `\` (RFC 9110 §5.6.4).
    public mutating func append(quoted bytes: Bytes) {
        append(0x22)
        for offset in bytes.indices {
            let byte = bytes[offset]
            if byte == 0x22 || byte == 0x5C { append(0x5C) }
            append(byte)
        }
        append(0x22)
    }

    private func overflow() {
        // A writer without memory noted its own reason.
        if failure.pointee == 0 { failure.pointee = FailureCode.writerFull.rawValue }
    }
}
