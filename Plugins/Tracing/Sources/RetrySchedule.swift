package import SluiceSDK

/// When a batch that was not taken is sent again: after a time that doubles, or when the collector
/// says.
package struct RetrySchedule: BitwiseCopyable {
    /// Nanoseconds before the second attempt, and most before any.
    package static let firstWait: UInt64 = 1_000_000_000
    package static let waitMax: UInt64 = 30_000_000_000

    /// Until then nothing is sent; 0 for now.
    ///
    /// It outlives a batch that was given up.
    package private(set) var holdUntil: UInt64 = 0
    /// When the batch was sent first; 0 before.
    private var first: UInt64 = 0
    private var failures: UInt64 = 0

    package init() {}

    /// A batch is sent for the first time, or again.
    package mutating func begin(now: UInt64) {
        if first == 0 { first = max(now, 1) }
    }

    /// It was not taken.
    ///
    /// - Parameters:
    ///   - wish: nanoseconds that the collector wants us to wait; nil when it did not say.
    ///   - giveUp: nanoseconds after the first attempt from which on there is no further one.
    ///   - random: 64 random bits: several workers must not come back in step.
    /// - Returns: whether it is sent again, at `holdUntil`; else it is given up.
    package mutating func failed(
        now: UInt64,
        wish: UInt64?,
        giveUp: UInt64,
        random: UInt64
    ) -> Bool {
        let doubled = min(Self.firstWait << min(failures, 6), Self.waitMax)
        failures += 1
        // Between a half of it and all of it.
        let wait = wish ?? doubled / 2 + random % (doubled / 2 + 1)
        holdUntil = now + wait
        if holdUntil - first <= giveUp { return true }
        first = 0
        return false
    }

    /// It was taken, or refused for good.
    package mutating func done() {
        first = 0
        failures = 0
        holdUntil = 0
    }

    /// The process ends: what waits is sent once more now.
    package mutating func hurry() { holdUntil = 0 }
}

/// `Retry-After` (RFC 9110 §10.2.3).
package enum RetryAfter {
    /// Seconds that we wait at most, whatever is wished: an hour.
    package static let secondsMax: UInt64 = 3_600

    /// Nanoseconds to wait; nil when the value is neither a number of seconds nor a date.
    ///
    /// - Parameter now: seconds since 1970.
    package static func nanoseconds(_ value: Bytes, now: UInt64) -> UInt64? {
        let text = value.trimmed
        if let seconds = text.decimal { return min(seconds, secondsMax) * 1_000_000_000 }
        guard let date = seconds(ofDate: text) else { return nil }
        return min(date > now ? date - now : 0, secondsMax) * 1_000_000_000
    }

    /// Seconds since 1970 of a date such as "Sun, 06 Nov 1994 08:49:37 GMT" (IMF-fixdate, RFC 9110
    /// §5.6.7); nil for anything else.
    private static func seconds(ofDate text: Bytes) -> UInt64? {
        guard text.count == 29, text[3] == 0x2C, text.dropFirst(25) == " GMT",
            text[19] == 0x3A, text[22] == 0x3A,
            let day = text[5..<7].decimal, let year = text[12..<16].decimal, year >= 1970,
            let hour = text[17..<19].decimal, let minute = text[20..<22].decimal,
            let second = text[23..<25].decimal, day >= 1, day <= 31, hour < 24, minute < 60,
            second <= 60, let month = month(text[8..<11])
        else { return nil }
        return days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second
    }

    private static func month(_ name: Bytes) -> UInt64? {
        let names: Bytes = "JanFebMarAprMayJunJulAugSepOctNovDec"
        for index in 0..<12 where names[3 * index..<3 * index + 3] == name {
            return UInt64(index + 1)
        }
        return nil
    }

    /// Days since 1970 of a date of the Gregorian calendar: years that begin in March have their
    /// leap day at the end.
    private static func days(_ year: UInt64, _ month: UInt64, _ day: UInt64) -> UInt64 {
        let year = month > 2 ? year : year - 1
        let shifted = month > 2 ? month - 3 : month + 9
        let dayOfYear = (153 * shifted + 2) / 5 + day - 1
        return year * 365 + year / 4 - year / 100 + year / 400 + dayOfYear - 719_468
    }
}
