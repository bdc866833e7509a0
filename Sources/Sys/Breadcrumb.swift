import CLinux

/// What a crash record says of a plugin's instance; in memory that is never freed, because a signal
/// handler reads it.
public struct CrashLabel {
    // The order and sizes are those of `clinux_label`; a test compares them.
    private(set) var name: UnsafePointer<UInt8>?
    let library: UnsafePointer<UInt8>?
    let sha256: UnsafePointer<UInt8>?
    let version: UnsafePointer<UInt8>?
    private(set) var nameLength: UInt32
    let libraryLength: UInt32
    let sha256Length: UInt32
    let versionLength: UInt32
    private(set) var policy: UInt32
    let reserved: UInt32

    /// - Parameters:
    ///   - name: of the instance; empty while there is none yet.
    ///   - library: path of its file.
    ///   - sha256: of the file, in hex.
    ///   - version: as the plugin says.
    public init(
        name: String,
        library: String,
        sha256: String,
        version: String,
        policy: CrashPolicy = .restart
    ) {
        self.name = Self.permanent(name)
        self.library = Self.permanent(library)
        self.sha256 = Self.permanent(sha256)
        self.version = Self.permanent(version)
        nameLength = UInt32(clamping: name.utf8.count)
        libraryLength = UInt32(clamping: library.utf8.count)
        sha256Length = UInt32(clamping: sha256.utf8.count)
        versionLength = UInt32(clamping: version.utf8.count)
        self.policy = policy.rawValue
        reserved = 0
    }

    /// The label of an instance of a library that has this one; they share what is the library's.
    public func of(instance name: String, policy: CrashPolicy) -> CrashLabel {
        CrashLabel(of: self, name: name, policy: policy)
    }

    private init(of library: CrashLabel, name: String, policy: CrashPolicy) {
        self = library
        self.name = Self.permanent(name)
        nameLength = UInt32(clamping: name.utf8.count)
        self.policy = policy.rawValue
    }

    /// A copy of a text that is never freed.
    private static func permanent(_ text: String) -> UnsafePointer<UInt8>? {
        guard !text.isEmpty else { return nil }
        let copy = UnsafeMutablePointer<UInt8>.allocate(capacity: text.utf8.count)
        for (index, byte) in text.utf8.enumerated() { copy[index] = byte }
        return UnsafePointer(copy)
    }
}

/// What is done after a crash in a plugin.
public enum CrashPolicy: UInt32, Sendable, Equatable, CaseIterable {
    /// Serve again with the same plugins.
    case restart = 0
    /// Serve again without this plugin.
    case quarantine = 1
    /// Do not serve again.
    case halt = 2
}

/// Where a thread is in the code of plugins; written by that thread alone.
///
/// A crash handler reads it, and a watchdog samples a worker's from its own thread.
public struct Breadcrumb {
    // The order and sizes are those of `clinux_crumb`; a test compares them.
    /// Whose code runs; nil outside of a call that is marked here.
    public var label: UnsafePointer<CrashLabel>?
    /// The request that the call is about.
    public var request: UnsafeRawPointer?
    /// What is called: an index of `callName`.
    public var call: UInt32
    let worker: Int32
    let thread: Int32
    let reserved: UInt32
    /// Turns of the worker's loop so far: it moves while the worker does.
    public var turns: UInt64
    let hookRequest: UnsafeRawPointer?
    let hookEntry: UnsafeRawPointer?
    let hookPhase: UnsafeRawPointer?

    /// A worker's, whose hooks are not marked but found.
    ///
    /// - Parameters:
    ///   - worker: its index.
    ///   - hookRequest: address of the word that holds the request while a hook runs, else nil.
    ///   - hookEntry: address of the word that holds the hook's entry meanwhile.
    ///   - hookPhase: address of the 32 bits that hold the phase's number.
    public init(
        worker: Int,
        hookRequest: UnsafeRawPointer,
        hookEntry: UnsafeRawPointer,
        hookPhase: UnsafeRawPointer
    ) {
        label = nil
        request = nil
        call = 0
        self.worker = Int32(worker)
        thread = 0
        reserved = 0
        turns = 0
        self.hookRequest = hookRequest
        self.hookEntry = hookEntry
        self.hookPhase = hookPhase
    }

    /// This thread's.
    @inline(__always)
    public static var here: UnsafeMutablePointer<Breadcrumb> {
        // Safe: of the same layout, and there for as long as the thread.
        UnsafeMutableRawPointer(clinux_crumb_here()).assumingMemoryBound(to: Breadcrumb.self)
    }

    /// Makes one this thread's until it ends or says so again; nil for the one it has anyway.
    ///
    /// It must live until then.
    public static func use(_ crumb: UnsafeMutablePointer<Breadcrumb>?) {
        // Safe: of the same layout.
        let crumb = crumb.map { UnsafeMutableRawPointer($0) }
        clinux_set_crumb(crumb?.assumingMemoryBound(to: clinux_crumb.self))
    }

    /// What a call is called: the phase's name for 0 to 11.
    public static func callName(_ call: UInt32) -> String {
        String(cString: clinux_call_name(call))
    }

    /// What a thread does now, as seen from another one.
    public struct Sample: Equatable, Sendable {
        public var turns: UInt64
        /// The same as long as a call lasts; 0 outside of calls.
        public var call: UInt64

        public init(turns: UInt64, call: UInt64) {
            self.turns = turns
            self.call = call
        }
    }

    /// Looks at a thread's breadcrumb from another thread.
    ///
    /// - Parameter crumb: in memory that is never freed.
    public static func sample(_ crumb: UnsafePointer<Breadcrumb>) -> Sample {
        var turns: UInt64 = 0
        // Safe: of the same layout.
        let call = clinux_crumb_sample(
            UnsafeRawPointer(crumb).assumingMemoryBound(to: clinux_crumb.self),
            &turns
        )
        return Sample(turns: turns, call: call)
    }
}
