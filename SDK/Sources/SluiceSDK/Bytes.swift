public import CSluice

/// A run of bytes that somebody else owns: a field's value, a piece of configuration, text.
///
/// It is a pointer and a count, so it must not be kept beyond the life of what it points to. What
/// comes from a view lives until the hook returns, what comes from the configuration lives as long
/// as the instance, and a literal lives for ever.
public struct Bytes: BitwiseCopyable {
    /// The first byte; points nowhere useful when `count` is 0.
    public let start: UnsafePointer<UInt8>
    /// Number of bytes.
    public let count: Int

    /// Bytes of memory that the caller knows to stay valid for as long as the value is used.
    @inlinable
    public init(_ start: UnsafePointer<UInt8>, count: Int) {
        self.start = start
        self.count = count
    }

    /// The bytes of a literal, which live for ever.
    @inlinable
    public init(_ literal: StaticString) {
        self.init(literal.utf8Start, count: literal.utf8CodeUnitCount)
    }

    /// No bytes.
    @inlinable public static var empty: Bytes { Bytes("") }

    /// Bytes of a slice of the C interface, whose pointer may be NULL when it is empty.
    @inlinable
    public init(_ slice: sluice_slice) {
        if let start = slice.ptr {
            self.init(start, count: Int(truncatingIfNeeded: slice.len))
        } else {
            self = .empty
        }
    }

    /// The same as a slice of the C interface.
    @inlinable public var slice: sluice_slice { sluice_slice(ptr: start, len: UInt64(count)) }

    /// Whether there is no byte.
    @inlinable public var isEmpty: Bool { count == 0 }

    /// Offsets of all bytes.
    @inlinable public var indices: Range<Int> { 0..<count }

    /// The byte at an offset, 0 up to `count`.
    @inlinable
    public subscript(offset: Int) -> UInt8 {
        precondition(offset >= 0 && offset < count, "offset outside of the bytes")
        return start[offset]
    }

    /// The bytes of a range of offsets, not copied.
    @inlinable
    public subscript(range: Range<Int>) -> Bytes {
        precondition(
            range.lowerBound >= 0 && range.upperBound <= count,
            "range outside of the bytes"
        )
        return Bytes(start + range.lowerBound, count: range.count)
    }

    /// All from an offset on.
    @inlinable public func dropFirst(_ length: Int) -> Bytes { self[length..<count] }

    /// All before an offset.
    @inlinable public func prefix(_ length: Int) -> Bytes { self[0..<length] }

    /// Whether the bytes begin with those of `other`.
    @inlinable
    public func hasPrefix(_ other: Bytes) -> Bool {
        count >= other.count && equal(start, other.start, other.count)
    }

    /// Whether the bytes are the same when `A` to `Z` count as `a` to `z`.
    public func equalsIgnoringCase(_ other: Bytes) -> Bool {
        guard count == other.count else { return false }
        for offset in indices where lowered(start[offset]) != lowered(other.start[offset]) {
            return false
        }
        return true
    }

    /// The offset of the first such byte.
    @inlinable
    public func firstIndex(of byte: UInt8) -> Int? {
        // Eight bytes at a time: a byte that is equal becomes zero, and the lowest zero byte is the
        // first one to borrow when 1 is taken from each.
        let ones: UInt64 = 0x0101_0101_0101_0101
        let pattern = ones &* UInt64(byte)
        var offset = 0
        while offset &+ 8 <= count {
            // Safe: eight bytes are left.
            let word = UnsafeRawPointer(start).loadUnaligned(
                fromByteOffset: offset,
                as: UInt64.self
            )
            let different = word ^ pattern
            let zeros = (different &- ones) & ~different & (ones &* 0x80)
            if zeros != 0 { return offset &+ zeros.trailingZeroBitCount &>> 3 }
            offset &+= 8
        }
        while offset < count {
            if start[offset] == byte { return offset }
            offset &+= 1
        }
        return nil
    }

    /// Without spaces and tabs at both ends (optional whitespace, RFC 9110 §5.6.3).
    public var trimmed: Bytes {
        var lower = 0
        var upper = count
        while lower < upper, start[lower] == 0x20 || start[lower] == 0x09 { lower += 1 }
        while upper > lower, start[upper - 1] == 0x20 || start[upper - 1] == 0x09 { upper -= 1 }
        return Bytes(start + lower, count: upper - lower)
    }

    /// The number that the bytes spell in decimal digits and nothing else; nil also when it does
    /// not fit.
    public var decimal: UInt64? {
        guard !isEmpty else { return nil }
        var number: UInt64 = 0
        for offset in indices {
            let digit = start[offset] &- 0x30
            guard digit < 10 else { return nil }
            let (product, over) = number.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(UInt64(digit))
            guard !over, !carry else { return nil }
            number = sum
        }
        return number
    }

    /// Whether the bytes are a token: a method, a field's name (RFC 9110 §5.6.2).
    public var isToken: Bool {
        for offset in indices where !isTokenByte(start[offset]) { return false }
        return !isEmpty
    }

    /// Whether the bytes may be a field's value: no control character but the tab.
    public var isFieldValue: Bool {
        for offset in indices {
            let byte = start[offset]
            if (byte < 0x20 && byte != 0x09) || byte == 0x7F { return false }
        }
        return true
    }
}

extension Bytes: Equatable {
    /// Whether both have the same bytes.
    @inlinable
    public static func == (left: Bytes, right: Bytes) -> Bool {
        left.count == right.count && equal(left.start, right.start, left.count)
    }
}

extension Bytes: ExpressibleByStringLiteral {
    /// The bytes of a literal, which live for ever.
    @inlinable public init(stringLiteral literal: StaticString) { self.init(literal) }
}

extension String {
    /// The text that the bytes spell, with U+FFFD where they are no UTF-8.
    ///
    /// Allocates: meant for messages and configuration.
    public init(_ bytes: Bytes) {
        self.init(
            decoding: UnsafeBufferPointer(start: bytes.start, count: bytes.count),
            as: UTF8.self
        )
    }
}

/// Compares `count` bytes, eight at a time.
@inlinable
func equal(_ left: UnsafePointer<UInt8>, _ right: UnsafePointer<UInt8>, _ count: Int) -> Bool {
    // Safe: both have `count` bytes; unaligned loads stay below it.
    let left = UnsafeRawPointer(left)
    let right = UnsafeRawPointer(right)
    var offset = 0
    while offset &+ 8 <= count {
        if left.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            != right.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        {
            return false
        }
        offset &+= 8
    }
    while offset < count {
        if left.load(fromByteOffset: offset, as: UInt8.self)
            != right.load(fromByteOffset: offset, as: UInt8.self)
        {
            return false
        }
        offset &+= 1
    }
    return true
}

/// `A` to `Z` as `a` to `z`.
func lowered(_ byte: UInt8) -> UInt8 {
    byte &- 0x41 < 26 ? byte | 0x20 : byte
}

/// Whether a byte may stand in a token (tchar, RFC 9110 §5.6.2).
func isTokenByte(_ byte: UInt8) -> Bool {
    // Bit n is set when 0x20 + n, 0x40 + n, 0x60 + n is one of !#$%&'*+-.^_`|~, a digit or a
    // letter.
    switch byte >> 5 {
    case 1: (0x03FF_6CFA as UInt32) >> UInt32(byte & 31) & 1 == 1
    case 2: (0xC7FF_FFFE as UInt32) >> UInt32(byte & 31) & 1 == 1
    case 3: (0x57FF_FFFF as UInt32) >> UInt32(byte & 31) & 1 == 1
    default: false
    }
}
