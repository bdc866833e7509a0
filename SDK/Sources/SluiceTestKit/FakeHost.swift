public import CSluice

/// A host for tests: a clock that stands still, seeded random numbers, and a log that is kept.
public final class FakeHost {
    /// Lines that were logged, with their levels.
    public var log: [(level: UInt32, line: String)] = []
    /// The highest level that is written.
    public var logLevel: UInt32 = 4
    /// The monotonic clock.
    public var nowNanoseconds: UInt64 = 1_000_000_000
    /// Seconds since the epoch.
    public var wallClockSeconds: UInt64 = 1_700_000_000
    /// State of the random numbers; set it to repeat them.
    public var seed: UInt64 = 1

    /// A host with its defaults.
    public init() {}

    /// What `create` gets as its host; valid as long as this object.
    public var handle: OpaquePointer {
        OpaquePointer(Unmanaged.passUnretained(self).toOpaque())
    }

    fileprivate func random() -> UInt64 {
        // SplitMix64.
        seed &+= 0x9E37_79B9_7F4A_7C15
        var word = seed
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }

    /// What the host says to a library; the tables in it live for ever.
    public static func hello() -> sluice_host_hello {
        var hello = sluice_host_hello()
        hello.size = UInt32(MemoryLayout<sluice_host_hello>.size)
        hello.abi_minor = SLUICE_ABI_MINOR
        hello.get_extension = { id in
            guard let id, String(cString: id) == SLUICE_CORE_ID else { return nil }
            return UnsafeRawPointer(FakeHost.core)
        }
        return hello
    }

    // Safe: made once, never changed, never freed.
    private nonisolated(unsafe) static let core: UnsafePointer<sluice_core> = {
        let core = UnsafeMutablePointer<sluice_core>.allocate(capacity: 1)
        core.initialize(to: sluice_core())
        core.pointee.size = UInt32(MemoryLayout<sluice_core>.size)
        core.pointee.log = { FakeHost.of($0).log.append((level: $1, line: String($2))) }
        core.pointee.log_level = { FakeHost.of($0).logLevel }
        core.pointee.now = { FakeHost.of($0).nowNanoseconds }
        core.pointee.wall_clock = { FakeHost.of($0).wallClockSeconds }
        core.pointee.random = { FakeHost.of($0).random() }
        core.pointee.request_alloc = { request, length in
            RequestFixture.of(request).allocate(length)
        }
        return UnsafePointer(core)
    }()

    private static func of(_ handle: OpaquePointer?) -> FakeHost {
        guard let handle else { preconditionFailure("the plugin passed no host") }
        return Unmanaged<FakeHost>.fromOpaque(UnsafeRawPointer(handle)).takeUnretainedValue()
    }
}
