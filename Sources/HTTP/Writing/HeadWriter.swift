/// Writes heads into memory that the caller has made large enough.
///
/// Safe: each function says how much room `out` must have, and returns how much it wrote.
package enum HeadWriter {
    /// Bytes of the longest decimal number.
    package static let decimalBytesMax = 20
    /// Bytes of a date.
    package static let dateBytes = 29

    /// Copies the field lines that are not dropped as they were received: case, order and white
    /// space.
    ///
    /// Lines that stand together are copied together. Returns the bytes written; `out` has room for
    /// `fieldsEnd - fields[0].nameStart` bytes.
    package static func copyFields(
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
    package static func writeDecimal(_ value: UInt64, to out: UnsafeMutablePointer<UInt8>) -> Int {
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
    @inline(__always)  // With a literal the length is known and the copy becomes a few stores.
    package static func copy(_ text: StaticString, to out: UnsafeMutablePointer<UInt8>) -> Int {
        copy(text.utf8Start, count: text.utf8CodeUnitCount, to: out)
    }

    /// Copies bytes; `out` has room for all of them.
    @inline(__always)  // Nothing but memmove.
    package static func copy(
        _ bytes: UnsafePointer<UInt8>,
        count: Int,
        to out: UnsafeMutablePointer<UInt8>
    ) -> Int {
        out.update(from: bytes, count: count)
        return count
    }

    /// Writes an IMF-fixdate such as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7): always
    /// `dateBytes` bytes.
    ///
    /// Times outside the years 0 to 9999 become the nearest one within.
    package static func writeDate(
        secondsSinceEpoch: Int64,
        to out: UnsafeMutablePointer<UInt8>
    ) -> Int {
        let seconds = min(max(secondsSinceEpoch, -62_167_219_200), 253_402_300_799)
        // Days are counted from 1 March of the year 0, so that a leap day ends its year; all
        // numbers are positive from here on.
        let sinceMarch = seconds + 719_528 * 86_400
        let days = Int(sinceMarch / 86_400)
        let second = Int(sinceMarch % 86_400)
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

    /// The Gregorian date of a day counted from 1 January of the year 0; January is month 0.
    private static func civil(_ days: Int) -> (year: Int, month: Int, day: Int) {
        // Shifted by the 306 days from March to December, years begin in March and the leap day is
        // the last one; 400 such years have 146,097 days.
        let shifted = days + 306
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        // Months of 31 and 30 days from March on follow (153 * month + 2) / 5.
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = (monthFromMarch + 2) % 12
        let year = era * 400 + yearOfEra - 1 + (month < 2 ? 1 : 0)
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
