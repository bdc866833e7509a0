import CLinux
import Glibc
import Synchronization

/// Facts about and controls of this process.
public enum Process {
    /// Cores that this process may use: the affinity mask, bounded by the cgroup's CPU quota
    /// (rounded up), at least 1.
    public static func coreCount() -> Int {
        let affinity = Int(clinux_affinity_count())
        guard let quota = cgroupQuota() else { return affinity }
        return max(1, min(affinity, quota))
    }

    /// Cores of the cgroup's quota, rounded up; nil without one (cgroup v2 `cpu.max`, then v1).
    private static func cgroupQuota() -> Int? {
        if let text = File.read("/sys/fs/cgroup/cpu.max", bytesMax: 128) {
            let parts = text.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\n") }
            return quota(parts)
        }
        guard let quotaText = File.read("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", bytesMax: 128),
            let periodText = File.read("/sys/fs/cgroup/cpu/cpu.cfs_period_us", bytesMax: 128)
        else { return nil }
        let newline = UInt8(ascii: "\n")
        return quota([
            quotaText[...].filter { $0 != newline }[...], periodText.filter { $0 != newline }[...],
        ])
    }

    private static func quota(_ parts: [ArraySlice<UInt8>]) -> Int? {
        guard parts.count == 2, let quota = Int(String(decoding: parts[0], as: UTF8.self)),
            let period = Int(String(decoding: parts[1], as: UTF8.self)), quota > 0, period > 0
        else { return nil }
        return (quota + period - 1) / period
    }

    /// Raises the limit of open descriptors as far as allowed; the limit that holds.
    public static func raiseDescriptorLimit() -> Int {
        Int(clamping: clinux_raise_descriptor_limit())
    }

    /// Path of the running executable, links resolved.
    public static func executablePath() -> String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 4_096) { buffer in
            guard let to = buffer.baseAddress else { return "" }
            let count = readlink("/proc/self/exe", to, buffer.count)
            guard count > 0 else { return "" }
            return String(
                decoding: buffer[..<count].map { UInt8(bitPattern: $0) },
                as: UTF8.self
            )
        }
    }

    /// The path that the running program was started by, from the root, links not resolved; that
    /// of the executable when it is no longer there.
    public static func startedPath() -> String {
        let executable = executablePath()
        guard let word = CommandLine.arguments.first else { return executable }
        var places: [String] = []
        if word.hasPrefix("/") {
            places = [word]
        } else if word.contains("/") {
            places = [(File.absolute(".") ?? "") + "/" + word]
        } else {
            places = (environment("PATH") ?? "").split(separator: ":").map { "\($0)/\(word)" }
        }
        return places.first { File.absolute($0) == executable } ?? executable
    }

    /// Value of an environment variable.
    public static func environment(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }
    }

    public static var id: Int32 { getpid() }

    /// The user whose rights this process has.
    public static var effectiveUser: UInt32 { geteuid() }

    /// A number that no other thread of this process has now.
    public static var thread: UInt { UInt(pthread_self()) }

    /// Bytes that the C library's allocator has given out and not got back.
    public static var heapBytes: Int { Int(clinux_heap_bytes()) }

    /// Lets others run for some time.
    public static func sleep(milliseconds: UInt32) {
        usleep(milliseconds * 1_000)
    }

    /// Fills `bytes` with random bytes of the kernel.
    public static func random<T: BitwiseCopyable>(_ value: inout T) {
        withUnsafeMutableBytes(of: &value) { bytes in
            var at = 0
            while at < bytes.count {
                let got = Int(clinux_random(bytes.baseAddress?.advanced(by: at), bytes.count - at))
                precondition(got > 0, "getrandom failed with errno \(-got)")
                at += got
            }
        }
    }

    /// 64 random bits, fast, not for secrets.
    public static func randomWord() -> UInt64 {
        clinux_random_word()
    }

    /// Lets another thread run before this one goes on.
    public static func yield() {
        sched_yield()
    }

    /// Makes this process one that nobody is to miss: it ends with the thread that started it,
    /// leaves no core file, and is the first that the kernel ends when memory is short.
    public static func becomeExpendable() {
        clinux_become_expendable()
    }

    /// Ends the process at once with this status.
    public static func exit(_ status: Int32) -> Never {
        _exit(status)
    }
}

/// Signals that a serving process takes; they are blocked in every thread and waited for in one.
public enum Signals {
    public enum Received: Equatable, Sendable {
        /// INT: stop at once.
        case interrupt
        /// TERM or QUIT: let requests finish.
        case terminate
        /// USR1: reopen logs.
        case reopenLogs
        /// HUP: reload.
        case reload
        /// USR2: upgrade.
        case upgrade
    }

    /// Call before the first thread is started.
    public static func block() {
        clinux_block_signals()
    }

    /// Makes writing to a closed connection an error of the call, as in every process of sluice.
    public static func ignorePipe() {
        clinux_ignore_pipe()
    }

    /// Waits for the next one.
    public static func wait() -> Received { Received(clinux_wait_signal()) }
}

extension Signals.Received {
    init(_ number: Int32) {
        self =
            switch number {
            case SIGINT: .interrupt
            case SIGUSR1: .reopenLogs
            case SIGHUP: .reload
            case SIGUSR2: .upgrade
            default: .terminate
            }
    }
}

/// Small files, read or written whole.
///
/// Start-up only.
public enum File {
    /// The bytes of a file, or nil when it can't be read or is longer than `bytesMax`.
    public static func read(_ path: String, bytesMax: Int) -> [UInt8]? {
        try? readAll(path, bytesMax: bytesMax)
    }

    /// The bytes of a file.
    ///
    /// - Throws: what `open` or `read` said; EFBIG when it is longer than `bytesMax`.
    public static func readAll(_ path: String, bytesMax: Int) throws(Errno) -> [UInt8] {
        try readWithVersion(path, bytesMax: bytesMax).bytes
    }

    /// The bytes of a file, and what it was when they were read: its mode is that of these bytes,
    /// whatever becomes of the path meanwhile.
    ///
    /// - Throws: as `readAll`.
    public static func readWithVersion(
        _ path: String,
        bytesMax: Int
    ) throws(Errno) -> (bytes: [UInt8], version: FileVersion) {
        let fd = FileDescriptor(owning: Int32(try Errno.check(Int(clinux_open_read(path)))))
        let version = try FileVersion(descriptor: fd.number)
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let got = try Errno.check(Int(clinux_read(fd.number, &chunk, chunk.count)))
            if got == 0 { return (bytes, version) }
            bytes.append(contentsOf: chunk[..<got])
            if bytes.count > bytesMax { throw Errno(EFBIG) }
        }
    }

    /// Makes a new file with these bytes; fails when there is one of this name.
    public static func writeNew(
        _ path: String,
        _ bytes: [UInt8],
        mode: UInt32
    ) throws(Errno) {
        let fd = FileDescriptor(owning: Int32(try Errno.check(Int(clinux_open_new(path, mode)))))
        var at = 0
        while at < bytes.count {
            let result = bytes.withUnsafeBytes { from in
                Int(clinux_write(fd.number, from.baseAddress?.advanced(by: at), from.count - at))
            }
            at += try Errno.check(result)
        }
    }

    public static func remove(_ path: String) {
        _ = unlink(path)
    }

    /// Makes a folder for everybody to read; fails when there is something of this name.
    public static func makeFolder(_ path: String) throws(Errno) {
        guard mkdir(path, 0o777) == 0 else { throw Errno(errno) }
    }

    /// Makes a folder of a name that begins so, for this user only; its path.
    public static func makeTemporaryFolder(prefix: String) throws(Errno) -> String {
        var template = Array((prefix + String(repeating: "X", count: 6)).utf8CString)
        guard mkdtemp(&template) != nil else { throw Errno(errno) }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    public static func removeFolder(_ path: String) {
        _ = rmdir(path)
    }

    public static func exists(_ path: String) -> Bool {
        access(path, F_OK) == 0
    }

    /// Whether it is an ordinary file, or a link to one: whoever opens a pipe may wait for ever.
    public static func isFile(_ path: String) -> Bool {
        let mode = Int(clinux_file_mode(path))
        // The bits of `S_IFMT`, and `S_IFREG`.
        return mode >= 0 && mode & 0o170_000 == 0o100_000
    }

    /// The path from the root, links resolved; nil when nothing is there.
    public static func absolute(_ path: String) -> String? {
        guard let found = realpath(path, nil) else { return nil }
        defer { free(found) }
        return String(cString: found)
    }

    /// What a symbolic link says; nil when it is none, or says more than a path can be.
    public static func linkTarget(_ path: String) -> String? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(PATH_MAX)) { buffer in
            guard let to = buffer.baseAddress else { return nil }
            let count = readlink(path, to, buffer.count)
            guard count > 0, count < buffer.count else { return nil }
            return String(
                decoding: buffer[..<count].map { UInt8(bitPattern: $0) },
                as: UTF8.self
            )
        }
    }

    public static func isFolder(_ path: String) -> Bool {
        guard let folder = opendir(path) else { return false }
        closedir(folder)
        return true
    }

    /// Names of the entries of a folder, sorted; nil when it can't be read.
    public static func entries(_ path: String) -> [String]? {
        guard let folder = opendir(path) else { return nil }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Writes to the error output; what can't be written is lost.
    public static func writeError(_ bytes: UnsafeRawPointer, _ count: Int) {
        _ = clinux_write(errorOutput.load(ordering: .relaxed), bytes, count)
    }

    private static let errorOutput = Atomic<Int32>(2)

    /// Where `writeError` writes from now on: 2, or a descriptor that a test reads.
    public static func setErrorOutput(_ fd: Int32) {
        errorOutput.store(fd, ordering: .relaxed)
    }

    /// Writes to an output descriptor, 1 or 2, whole.
    public static func write(_ text: String, to fd: Int32) {
        var text = text
        text.withUTF8 { bytes in
            var at = 0
            while at < bytes.count {
                let count = Int(
                    clinux_write(fd, bytes.baseAddress?.advanced(by: at), bytes.count - at)
                )
                guard count > 0 else { return }
                at += count
            }
        }
    }
}
