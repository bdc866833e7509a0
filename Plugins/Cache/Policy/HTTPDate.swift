/// Times of HTTP in seconds since 1970 (RFC 9110 §5.6.7).
package enum HTTPDate {
    /// Bytes of the preferred format, "Sun, 06 Nov 1994 08:49:37 GMT".
    package static let byteCount = 29

    /// Reads each of the three formats, in letters of any case (RFC 9111 §4.2).
    ///
    /// - Parameter now: seconds since 1970, which say what century two digits of a year are in.
    /// - Returns: nil when it is none of them, or names a day or a time that there is not.
    package static func parse(_ text: Text, now: Int64) -> Int64? {
        if text.count == byteCount, text[3] == 0x2C { return fixed(text) }
        if text.count == 24, text[3] == 0x20 { return asctime(text) }
        return rfc850(text, now: now)
    }

    /// Writes the preferred format.
    ///
    /// - Parameters:
    ///   - seconds: since 1970, 0 up to the end of the year 9999.
    ///   - room: `byteCount` bytes.
    package static func write(_ seconds: Int64, to room: UnsafeMutablePointer<UInt8>) {
        let seconds = min(max(seconds, 0), 253_402_300_799)
        let days = seconds / 86_400
        let time = Int(seconds % 86_400)
        let date = civil(days)
        var at = 0
        func put(_ text: Text) {
            // Safe: all pieces together are `byteCount` bytes.
            for offset in 0..<text.count { room[at + offset] = text.start[offset] }
            at += text.count
        }
        func put(_ number: Int, digits: Int) {
            var rest = number
            for place in stride(from: digits - 1, through: 0, by: -1) {
                room[at + place] = UInt8(0x30 + rest % 10)
                rest /= 10
            }
            at += digits
        }
        put(dayNames[Int((days + 4) % 7) * 3..<Int((days + 4) % 7) * 3 + 3])
        put(", ")
        put(date.day, digits: 2)
        put(" ")
        put(monthNames[(date.month - 1) * 3..<date.month * 3])
        put(" ")
        put(date.year, digits: 4)
        put(" ")
        put(time / 3_600, digits: 2)
        put(":")
        put(time / 60 % 60, digits: 2)
        put(":")
        put(time % 60, digits: 2)
        put(" GMT")
    }

    private static var dayNames: Text { "SunMonTueWedThuFriSat" }
    private static var monthNames: Text { "JanFebMarAprMayJunJulAugSepOctNovDec" }

    /// Reads "Sun, 06 Nov 1994 08:49:37 GMT".
    private static func fixed(_ text: Text) -> Int64? {
        guard isDay(text[0..<3]), text[4] == 0x20, text[7] == 0x20, text[11] == 0x20,
            text[16] == 0x20, text[25..<29].equalsIgnoringCase(" GMT"),
            let day = digits(text[5..<7]), let month = month(text[8..<11]),
            let year = digits(text[12..<16])
        else { return nil }
        return seconds(year, month, day, text[17..<25])
    }

    /// Reads "Sunday, 06-Nov-94 08:49:37 GMT".
    private static func rfc850(_ text: Text, now: Int64) -> Int64? {
        guard let comma = text.firstIndex(of: 0x2C), text.count == comma + 24, comma >= 6,
            isDay(text[0..<3]), text[comma - 3..<comma].equalsIgnoringCase("day")
        else { return nil }
        let rest = text.dropFirst(comma + 1)
        guard rest[0] == 0x20, rest[3] == 0x2D, rest[7] == 0x2D, rest[10] == 0x20,
            rest[19..<23].equalsIgnoringCase(" GMT"),
            let day = digits(rest[1..<3]), let month = month(rest[4..<7]),
            let short = digits(rest[8..<10])
        else { return nil }
        // More than 50 years ahead is the past (RFC 9110 §5.6.7).
        let thisYear = civil(max(now, 0) / 86_400).year
        var year = thisYear / 100 * 100 + short
        if year > thisYear + 50 { year -= 100 }
        return seconds(year, month, day, rest[11..<19])
    }

    /// Reads "Sun Nov  6 08:49:37 1994".
    private static func asctime(_ text: Text) -> Int64? {
        guard isDay(text[0..<3]), text[7] == 0x20, text[10] == 0x20, text[19] == 0x20,
            let month = month(text[4..<7]), let year = digits(text[20..<24]),
            let day = digits(text[8] == 0x20 ? text[9..<10] : text[8..<10])
        else { return nil }
        return seconds(year, month, day, text[11..<19])
    }

    private static func isDay(_ name: Text) -> Bool {
        for day in 0..<7 where dayNames[day * 3..<day * 3 + 3].equalsIgnoringCase(name) { return true }
        return false
    }

    private static func month(_ name: Text) -> Int? {
        for month in 0..<12 where monthNames[month * 3..<month * 3 + 3].equalsIgnoringCase(name) {
            return month + 1
        }
        return nil
    }

    private static func digits(_ text: Text) -> Int? {
        text.number(atMost: 9_999).map { Int($0) }
    }

    /// - Parameter time: "08:49:37"; a leap second counts as the one before.
    private static func seconds(_ year: Int, _ month: Int, _ day: Int, _ time: Text) -> Int64? {
        guard time[2] == 0x3A, time[5] == 0x3A, let hour = digits(time[0..<2]), hour < 24,
            let minute = digits(time[3..<5]), minute < 60,
            let second = digits(time[6..<8]), second <= 60,
            day >= 1, day <= dayCount(year, month)
        else { return nil }
        let clock = hour * 3_600 + minute * 60 + min(second, 59)
        return Int64(days(year, month, day) * 86_400 + clock)
    }

    private static func dayCount(_ year: Int, _ month: Int) -> Int {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Days since 1970 of the Gregorian calendar, whose years begin in March here, so that the leap
    /// day is the last one.
    private static func days(_ year: Int, _ month: Int, _ day: Int) -> Int {
        let year = month <= 2 ? year - 1 : year
        let era = (year >= 0 ? year : year - 399) / 400
        let yearOfEra = year - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    private static func civil(_ days: Int64) -> (year: Int, month: Int, day: Int) {
        let shifted = Int(days) + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }
}
