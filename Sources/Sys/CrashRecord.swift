import CLinux
import Glibc

/// What a process left behind that died, or was ended because it was stuck.
///
/// Which plugin it names is a hint: memory that one plugin has damaged may fail in the next one.
public struct CrashRecord: Sendable, Equatable {
    /// How the process ended.
    public enum Kind: Sendable, Equatable {
        /// By this signal; `address` is that of a fault.
        case signal(Int32, address: UInt64)
        /// A worker was in one call for so many nanoseconds.
        case hang(nanoseconds: UInt64)
    }

    /// The plugin whose code ran.
    public struct Plugin: Sendable, Equatable {
        /// Name of the instance; empty while the library was loaded.
        public var name: String
        public var library: String
        /// In lower-case hex.
        public var sha256: String
        public var version: String
        /// A phase, or another call such as "create"; empty when the plugin's code ran on a thread
        /// of its own.
        public var hook: String
        /// What its manifest entry wants done.
        public var policy: CrashPolicy
    }

    public var kind: Kind
    /// Nil when no plugin's code ran, as far as that can be told.
    public var plugin: Plugin?
    public var process: Int32
    public var threadName: String
    /// Nil for a thread that is no worker.
    public var worker: Int?
    public var requestNumber: UInt64
    /// Empty when the call was about no request, as is `path`.
    public var method: String
    /// Up to 256 bytes, without the query, which may hold secrets.
    public var path: String
    /// Since the epoch.
    public var wallNanoseconds: UInt64

    /// Bytes of the file that a record is kept in.
    public static let byteCount = Int(CLINUX_CRASH_BYTES)

    // MARK: The process that may die

    /// Where the handler finds what it reads of a request and of a hook: offsets in bytes.
    public struct Layout: Sendable {
        var places = clinux_crash_layout()

        /// - Parameters:
        ///   - entryLabel: in a hook's entry, of the address of its `CrashLabel`.
        ///   - number: in a request, of its number.
        ///   - method: of an address and a count of 64 bits each.
        ///   - path: the same.
        public init(entryLabel: Int, number: Int, method: Int, path: Int) {
            places.entry_label = UInt32(entryLabel)
            places.request_number = UInt32(number)
            places.request_method = UInt32(method)
            places.request_path = UInt32(path)
        }
    }

    /// Begins to watch this process for crashes: call early, from the main thread.
    ///
    /// - Parameter descriptor: of a file that `makeFile` made in another process; nil keeps the
    ///   record in this one, whose error output tells it.
    public static func watch(_ descriptor: Int32?, layout: Layout) throws(Errno) {
        _ = try Errno.check(Int(clinux_crash_open(descriptor ?? -1)))
        clinux_crash_stack()
        takeSignals(layout)
    }

    /// Takes the signals again that a library may have taken while it was loaded, as the Swift
    /// runtime does when `SWIFT_BACKTRACE` asks for it.
    ///
    /// Nothing happens in a process that is not watched.
    public static func takeSignals(_ layout: Layout) {
        var places = layout.places
        clinux_crash_take_signals(&places)
    }

    /// Remembers whose code is around an address, for crashes on threads that a plugin made.
    ///
    /// - Parameter label: never freed.
    public static func add(
        codeAround address: UnsafeRawPointer,
        of label: UnsafePointer<CrashLabel>
    ) {
        // Safe: of the same layout.
        clinux_crash_add_code(
            address,
            UnsafeRawPointer(label).assumingMemoryBound(to: clinux_label.self)
        )
    }

    /// Records a worker that is stuck, and ends the process by SIGABRT.
    public static func endStuck(
        _ crumb: UnsafePointer<Breadcrumb>,
        nanoseconds: UInt64
    ) -> Never {
        // Safe: of the same layout.
        clinux_crash_hang(
            UnsafeRawPointer(crumb).assumingMemoryBound(to: clinux_crumb.self),
            nanoseconds
        )
    }

    // MARK: The process that reads it

    /// A file for the record of one process, to be given to it.
    public static func makeFile() throws(Errno) -> FileDescriptor {
        let file = FileDescriptor(
            owning: Int32(try Errno.check(Int(clinux_memory_file("crash-record"))))
        )
        _ = try Errno.check(ftruncate(file.number, byteCount) < 0 ? -Int(errno) : 0)
        return file
    }

    /// What a process that has ended left in its file; nil when it did not crash, or could not say
    /// how.
    ///
    /// - Parameter descriptor: of a file of `makeFile`. Nothing in it is taken on trust: the
    ///   process may have written anything there.
    public static func read(_ descriptor: Int32) -> CrashRecord? {
        var raw = clinux_crash_record()
        let count = withUnsafeMutableBytes(of: &raw) { bytes in
            Int(clinux_read_at(descriptor, bytes.baseAddress, bytes.count, 0))
        }
        guard count == MemoryLayout<clinux_crash_record>.size,
            raw.magic == UInt64(CLINUX_CRASH_MAGIC), raw.version == UInt32(CLINUX_CRASH_VERSION),
            raw.state != CLINUX_CRASH_EMPTY.rawValue
        else { return nil }
        return CrashRecord(raw)
    }

    private init?(_ raw: clinux_crash_record) {
        switch raw.kind {
        case CLINUX_CRASH_SIGNAL.rawValue: kind = .signal(raw.signal, address: raw.address)
        case CLINUX_CRASH_HANG.rawValue: kind = .hang(nanoseconds: raw.hang_nanoseconds)
        default: return nil
        }
        process = raw.process
        worker = raw.worker < 0 ? nil : Int(raw.worker)
        requestNumber = raw.request
        wallNanoseconds = raw.wall_nanoseconds
        threadName = Self.text(raw.thread_name)
        method = Self.text(raw.method)
        path = Self.text(raw.path)
        guard raw.found != CLINUX_FOUND_NOT.rawValue else { return }
        plugin = Plugin(
            name: Self.text(raw.plugin),
            library: Self.text(raw.library),
            sha256: Self.text(raw.sha256),
            version: Self.text(raw.plugin_version),
            hook: Self.text(raw.hook),
            policy: CrashPolicy(rawValue: raw.policy) ?? .restart
        )
    }

    /// The text up to the first NUL; what is not printable ASCII becomes "?".
    private static func text<Bytes>(_ bytes: Bytes) -> String {
        withUnsafeBytes(of: bytes) { bytes in
            let printable = bytes.prefix { $0 != 0 }.map { byte in
                0x20..<0x7f ~= byte ? byte : UInt8(ascii: "?")
            }
            return String(decoding: printable, as: UTF8.self)
        }
    }
}
