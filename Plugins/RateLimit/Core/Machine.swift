internal import CRateLimit

/// What limits need to know of the process and its files.
public enum Machine {
    /// A number that no other process has, and all libraries of this one have in common.
    public static var process: KeyHash {
        var key = KeyHash(low: 0, high: 0)
        ratelimit_process(&key.low, &key.high)
        return key
    }

    /// The permission bits of a file; nil when there is none, or it can't be seen.
    public static func mode(of path: String) -> Int? {
        let mode = ratelimit_mode(path)
        return mode < 0 ? nil : Int(mode)
    }

    /// Whether a text is an IP address.
    public static func isAddress(_ text: String) -> Bool {
        var v4 = in_addr()
        var v6 = in6_addr()
        return inet_pton(AF_INET, text, &v4) == 1 || inet_pton(AF_INET6, text, &v6) == 1
    }

    /// Nanoseconds of the clock that only goes on.
    public static var nowNanoseconds: UInt64 { ratelimit_monotonic() }
}
