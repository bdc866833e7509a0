/// Writes heads into memory that the caller has made large enough.
///
/// Safe: each function says how much room `out` must have, and returns how much it wrote.
public enum HeadWriter {
    /// Bytes of the longest decimal number.
    public static let decimalBytesMax = 20
    /// Bytes of a date.
    public static let dateBytes = 29

    /// Copies the field lines that are not dropped as they were received: case, order and white
    /// space.
    ///
    /// Lines that stand together are copied together. Returns the bytes written; `out` has room for
    /// `fieldsEnd - fields[0].nameStart` bytes.
    public static func copyFields(
        _ base: UnsafePointer<UInt8>,
        _ fields: UnsafePointer<FieldSpan>,
        count: Int,
        fieldsEnd: Int,
        to out: UnsafeMutablePointer<UInt8>
    ) -> Int {
        var written = 0
        var index = 0
        while index < count {
            if fields[index].flags & FieldSpan.dropped != 0 {
                index &+= 1
                continue
            }
            let start = Int(fields[index].nameStart)
            repeat {
                index &+= 1
            } while index < count && fields[index].flags & FieldSpan.dropped == 0
            let end = index < count ? Int(fields[index].nameStart) : fieldsEnd
            written &+= copy(base + start, count: end &- start, to: out + written)
        }
        return written
    }

    /// Writes a decimal number: at most `decimalBytesMax` bytes.
    public static func writeDecimal(_ value: UInt64, to out: UnsafeMutablePointer<UInt8>) -> Int {
        if value < 10 {
            out[0] = Byte.zero &+ UInt8(truncatingIfNeeded: value)
            return 1
        }
        if value >= 100, value < 1_000 {
            // A status, most often.
            let digits = UInt32(truncatingIfNeeded: value)
            out[0] = Byte.zero &+ UInt8(truncatingIfNeeded: digits / 100)
            out[1] = Byte.zero &+ UInt8(truncatingIfNeeded: digits / 10 % 10)
            out[2] = Byte.zero &+ UInt8(truncatingIfNeeded: digits % 10)
            return 3
        }
        var count = 1
        var bound = value
        while bound >= 10 {
            bound /= 10
            count &+= 1
        }
        var rest = value
        var at = count
        while at > 0 {
            at &-= 1
            out[at] = Byte.zero &+ UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
        return count
    }

    /// Copies a text; `out` has room for all of it.
    @inlinable @inline(__always)  // With a literal the length is known: a few stores.
    public static func copy(_ text: StaticString, to out: UnsafeMutablePointer<UInt8>) -> Int {
        copy(text.utf8Start, count: text.utf8CodeUnitCount, to: out)
    }

    /// Copies bytes; `out` has room for all of them.
    @inlinable  // Short texts, which most are, cost two loads and two stores; a call costs 20.
    public static func copy(
        _ bytes: UnsafePointer<UInt8>,
        count: Int,
        to out: UnsafeMutablePointer<UInt8>
    ) -> Int {
        // Safe: the two halves overlap where they must, and stay within `count` bytes.
        let from = UnsafeRawPointer(bytes)
        let to = UnsafeMutableRawPointer(out)
        if count > 16 {
            guard count <= 32 else {
                to.copyMemory(from: from, byteCount: count)
                return count
            }
            let end = count &- 16
            let first = from.loadUnaligned(as: SIMD2<UInt64>.self)
            let last = from.loadUnaligned(fromByteOffset: end, as: SIMD2<UInt64>.self)
            to.storeBytes(of: first, as: SIMD2<UInt64>.self)
            to.storeBytes(of: last, toByteOffset: end, as: SIMD2<UInt64>.self)
        } else if count >= 8 {
            let last = from.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
            to.storeBytes(of: from.loadUnaligned(as: UInt64.self), as: UInt64.self)
            to.storeBytes(of: last, toByteOffset: count &- 8, as: UInt64.self)
        } else if count >= 4 {
            let last = from.loadUnaligned(fromByteOffset: count &- 4, as: UInt32.self)
            to.storeBytes(of: from.loadUnaligned(as: UInt32.self), as: UInt32.self)
            to.storeBytes(of: last, toByteOffset: count &- 4, as: UInt32.self)
        } else if count > 0 {
            let last = bytes[count &- 1]
            let middle = bytes[count &>> 1]
            out[0] = bytes[0]
            out[count &>> 1] = middle
            out[count &- 1] = last
        }
        return count
    }

    /// Writes an IMF-fixdate such as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7): always
    /// `dateBytes` bytes.
    ///
    /// Times outside the years 0 to 9999 become the nearest one within.
    public static func writeDate(
        secondsSinceEpoch: Int64,
        to out: UnsafeMutablePointer<UInt8>
    ) -> Int {
        let seconds = min(max(secondsSinceEpoch, -62_167_219_200), 253_402_300_799)
        // The epoch is day 719,528 of the year 0: no number is negative from here on.
        let sinceYearZero = seconds + 719_528 * 86_400
        let days = Int(sinceYearZero / 86_400)
        let second = Int(sinceYearZero % 86_400)
        let (year, month, day) = civil(days)
        // 1 January of the year 0 was a Saturday.
        var at = copyThree("SunMonTueWedThuFriSat", (days + 6) % 7, to: out)
        at &+= copy(", ", to: out + at)
        at &+= writeTwo(day, to: out + at)
        at &+= copy(" ", to: out + at)
        at &+= copyThree("JanFebMarAprMayJunJulAugSepOctNovDec", month, to: out + at)
        at &+= copy(" ", to: out + at)
        at &+= writeTwo(year / 100, to: out + at)
        at &+= writeTwo(year % 100, to: out + at)
        at &+= copy(" ", to: out + at)
        at &+= writeTwo(second / 3_600, to: out + at)
        at &+= copy(":", to: out + at)
        at &+= writeTwo(second / 60 % 60, to: out + at)
        at &+= copy(":", to: out + at)
        at &+= writeTwo(second % 60, to: out + at)
        at &+= copy(" GMT", to: out + at)
        return at
    }

    /// The same as a text.
    public static func date(secondsSinceEpoch: Int64) -> String {
        String(unsafeUninitializedCapacity: dateBytes) { text in
            // Safe: there is room for as many as were asked for.
            text.baseAddress.map { writeDate(secondsSinceEpoch: secondsSinceEpoch, to: $0) } ?? 0
        }
    }

    /// The Gregorian date of a day counted from 1 January of the year 0; January is month 0.
    private static func civil(_ days: Int) -> (year: Int, month: Int, day: Int) {
        // Counted from 1 March of the year -400, so that a leap day ends its year and all numbers
        // are positive; 400 years have 146,097 days, and January and February of the year 0
        // have 60.
        let shifted = days + 146_097 - 60
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        // Months of 31 and 30 days from March on follow (153 * month + 2) / 5.
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = (monthFromMarch + 2) % 12
        let year = (era - 1) * 400 + yearOfEra + (month < 2 ? 1 : 0)
        return (year, month, day)
    }

    private static func copyThree(
        _ text: StaticString,
        _ index: Int,
        to out: UnsafeMutablePointer<UInt8>
    ) -> Int {
        copy(text.utf8Start + index &* 3, count: 3, to: out)
    }

    private static func writeTwo(_ value: Int, to out: UnsafeMutablePointer<UInt8>) -> Int {
        out[0] = Byte.zero &+ UInt8(truncatingIfNeeded: value / 10)
        out[1] = Byte.zero &+ UInt8(truncatingIfNeeded: value % 10)
        return 2
    }
}
