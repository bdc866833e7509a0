/// One reply of a Redis server (RESP 2), as it begins a run of bytes.
///
/// Only what the commands of limits get: numbers, lines, errors, and strings that are skipped.
public enum StoreReply: Equatable, Sendable {
    /// ":5"
    case integer(Int64)
    /// "+OK"
    case line
    /// "$5": its bytes are skipped.
    case string
    /// "-ERR ...": offsets of the text behind the dash.
    case error(Range<Int>)
    /// There is more to come.
    case incomplete
    /// Not a reply of this protocol, or a longer one than any of these commands gets.
    case malformed

    /// Bytes of a line.
    public static let lineBytesMax = 1_024
    /// Bytes of a string.
    public static let stringBytesMax = 65_536

    /// Reads the reply that begins at an offset, which is moved behind it when it is complete.
    public static func read(
        _ bytes: UnsafeRawBufferPointer,
        _ offset: inout Int
    ) -> StoreReply {
        guard offset < bytes.count else { return .incomplete }
        var end = offset + 1
        // Lines end with CR LF, and have neither of them inside.
        while end < bytes.count, bytes[end] != 0x0D {
            if bytes[end] == 0x0A || end - offset > lineBytesMax + 1 { return .malformed }
            end += 1
        }
        guard end + 1 < bytes.count else {
            return end - offset > lineBytesMax + 1 ? .malformed : .incomplete
        }
        guard bytes[end + 1] == 0x0A else { return .malformed }
        let text = offset + 1..<end
        let kind = bytes[offset]
        let next = end + 2
        switch kind {
        case 0x2B:
            offset = next
            return .line
        case 0x2D:
            offset = next
            return .error(text)
        case 0x3A:
            guard let number = integer(bytes, text) else { return .malformed }
            offset = next
            return .integer(number)
        case 0x24:
            guard let length = integer(bytes, text), length >= -1, length <= stringBytesMax else {
                return .malformed
            }
            // "$-1" is no string at all.
            let stringEnd = length < 0 ? next : next + Int(length) + 2
            guard stringEnd <= bytes.count else { return .incomplete }
            guard length < 0 || (bytes[stringEnd - 2] == 0x0D && bytes[stringEnd - 1] == 0x0A)
            else { return .malformed }
            offset = stringEnd
            return .string
        default: return .malformed
        }
    }

    /// A whole number with or without a sign; nil for anything else, and when it does not fit.
    private static func integer(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> Int64? {
        guard let first = range.first else { return nil }
        let isNegative = bytes[first] == 0x2D
        let digits = (isNegative || bytes[first] == 0x2B ? first + 1 : first)..<range.upperBound
        guard !digits.isEmpty else { return nil }
        var number: Int64 = 0
        for index in digits {
            let digit = bytes[index] &- 0x30
            guard digit < 10 else { return nil }
            let (product, over) = number.multipliedReportingOverflow(by: 10)
            // Downward, as there is one number more below 0 than above.
            let (sum, carry) = product.subtractingReportingOverflow(Int64(digit))
            guard !over, !carry else { return nil }
            number = sum
        }
        if isNegative { return number }
        return number == .min ? nil : -number
    }
}
