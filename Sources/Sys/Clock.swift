import CLinux

/// Time.
public enum Clock {
    /// CLOCK_MONOTONIC in nanoseconds; no system call, about 20 ns.
    @inline(__always)
    public static func monotonicNanoseconds() -> UInt64 {
        clinux_nanoseconds(CLOCK_MONOTONIC)
    }

    /// Seconds since the epoch.
    public static func wallSeconds() -> UInt64 {
        clinux_nanoseconds(CLOCK_REALTIME) / 1_000_000_000
    }

    /// Nanoseconds since the epoch.
    public static func wallNanoseconds() -> UInt64 {
        clinux_nanoseconds(CLOCK_REALTIME)
    }
}
