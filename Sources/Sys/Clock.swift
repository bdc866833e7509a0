import CLinux

/// Time.
package enum Clock {
    /// CLOCK_MONOTONIC in nanoseconds; no system call, about 20 ns.
    @inline(__always)
    package static func monotonicNanoseconds() -> UInt64 {
        clinux_nanoseconds(CLOCK_MONOTONIC)
    }

    /// Seconds since the epoch.
    package static func wallSeconds() -> UInt64 {
        clinux_nanoseconds(CLOCK_REALTIME) / 1_000_000_000
    }

    /// Nanoseconds since the epoch.
    package static func wallNanoseconds() -> UInt64 {
        clinux_nanoseconds(CLOCK_REALTIME)
    }
}
