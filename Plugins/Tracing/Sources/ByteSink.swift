package import SluiceSDK

/// Memory of a bounded size that a batch is written to.
///
/// What does not fit is left out, and `isFull` says so.
package struct ByteSink: ~Copyable {
    package let start: UnsafeMutablePointer<UInt8>
    /// Bytes that there is room for; less than all while room is kept back for an end.
    package var capacity: Int
    /// Bytes written.
    package private(set) var count = 0
    /// Whether something did not fit since the last `rewind`.
    package private(set) var isFull = false

    /// - Parameter start: room for `capacity` bytes.
    package init(_ start: UnsafeMutablePointer<UInt8>, capacity: Int) {
        self.start = start
        self.capacity = capacity
    }

    /// What was written.
    package var bytes: Bytes { Bytes(UnsafePointer(start), count: count) }

    /// Forgets all from an offset on.
    package mutating func rewind(to offset: Int) {
        count = offset
        isFull = false
    }

    @inline(__always)
    package mutating func append(_ byte: UInt8) {
        guard count < capacity else {
            isFull = true
            return
        }
        start[count] = byte
        count &+= 1
    }

    package mutating func append(_ bytes: Bytes) {
        guard bytes.count <= capacity - count else {
            isFull = true
            return
        }
        // Safe: there is room for all of them, and they lie elsewhere.
        (start + count).update(from: bytes.start, count: bytes.count)
        count += bytes.count
    }

    /// Appends the bytes of a number, the lowest first.
    package mutating func append(little number: UInt64) {
        guard capacity - count >= 8 else {
            isFull = true
            return
        }
        // Safe: there is room for eight bytes.
        UnsafeMutableRawPointer(start + count)
            .storeBytes(of: number.littleEndian, as: UInt64.self)
        count += 8
    }

    /// Appends the bytes of a number, the highest first.
    package mutating func append(big number: UInt64) { append(little: number.byteSwapped) }

    /// Appends 16 lower-case hexadecimal digits.
    package mutating func append(hexadecimal number: UInt64) {
        guard capacity - count >= 16 else {
            isFull = true
            return
        }
        Hexadecimal.write(number, to: start + count)
        count += 16
    }

    /// Appends decimal digits.
    package mutating func append(decimal number: UInt64) {
        var divisor: UInt64 = 1
        while number / divisor >= 10 { divisor *= 10 }
        var rest = number
        while divisor > 0 {
            append(UInt8(0x30 + rest / divisor))
            rest %= divisor
            divisor /= 10
        }
    }

    /// Makes room before bytes that are written already.
    ///
    /// - Parameters:
    ///   - offset: where.
    ///   - length: bytes of the room; what lies there is not changed.
    mutating func open(_ length: Int, at offset: Int) {
        guard length <= capacity - count else {
            isFull = true
            return
        }
        // Safe: all bytes behind the offset are moved by `length`, within the capacity.
        (start + offset + length).update(from: start + offset, count: count - offset)
        count += length
    }
}
