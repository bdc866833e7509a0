import CLinux

/// Time.
public enum Clock {
    /// CLOCK_MONOTONIC in nanoseconds; no system call, about 20 ns.
    @inline(__always)
    public static func monotonicNanoseconds() -> UInt64 {
        clinux_nanoseconds(CLOCK_MONOTONIC)
    }

    /// The same, but by the kernel's clock also while `setManual` rules: for sleeping until then.
    public static func kernelNanoseconds() -> UInt64 {
        clinux_kernel_nanoseconds()
    }

    /// Stops the monotonic clock of this process at a time, for tests that move it by hand; 0 lets
    /// it run again.
    public static func setManual(_ nanoseconds: UInt64) {
        clinux_set_manual_nanoseconds(nanoseconds)
    }

    /// Seconds since the epoch.
    public static func wallSeconds() -> UInt64 {
        clinux_nanoseconds(CLOCK_REALTIME) / 1_000_000_000
    }

    /// Nanoseconds since the epoch.
    public static func wallNanoseconds() -> UInt64 {
        clinux_nanoseconds(CLOCK_REALTIME)
    }

    /// `2026-11-21T11:35:00Z` of seconds since the epoch (the civil-from-days algorithm).
    public static func timestamp(_ seconds: UInt64) -> String {
        let days = Int(seconds / 86_400) + 719_468
        let era = days / 146_097
        let dayOfEra = days - era * 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let date = "\(year)-\(twoDigits(month))-\(twoDigits(day))"
        let hour = twoDigits(Int(seconds / 3_600 % 24))
        let minute = twoDigits(Int(seconds / 60 % 60))
        return "\(date)T\(hour):\(minute):\(twoDigits(Int(seconds % 60)))Z"
    }

    private static func twoDigits(_ value: Int) -> String {
        (value < 10 ? "0" : "") + String(value)
    }
}
