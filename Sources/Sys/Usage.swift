import CLinux
import Glibc

/// What this process uses of the machine, as the kernel counts it: for those who watch it, not for
/// the path of a request.
public enum Usage {
    /// The kernel's number of the current thread.
    public static var thread: Int32 { clinux_thread_number() }

    /// Nanoseconds of CPU that a thread of this process has used; 0 of one that is gone.
    public static func cpuNanoseconds(ofThread number: Int32) -> UInt64 {
        clinux_thread_cpu_nanoseconds(number)
    }

    /// Nanoseconds of CPU that this process has used.
    public static var cpuNanoseconds: UInt64 { clinux_nanoseconds(CLOCK_PROCESS_CPUTIME_ID) }

    /// Bytes of address space and of memory; nil where `/proc` is not to be had.
    public static var memory: (virtual: Int, resident: Int)? {
        guard let text = File.read("/proc/self/statm", bytesMax: 256) else { return nil }
        let words = text.split(separator: UInt8(ascii: " ")).map {
            Int(String(decoding: $0, as: UTF8.self))
        }
        guard words.count > 1, let total = words[0], let resident = words[1] else { return nil }
        let page = sysconf(Int32(_SC_PAGESIZE))
        return (total * page, resident * page)
    }

    /// Descriptors that are open, but for the one that counts them; nil without `/proc`.
    public static var openDescriptors: Int? {
        guard let folder = opendir("/proc/self/fd") else { return nil }
        defer { closedir(folder) }
        var count = 0
        while let entry = readdir(folder) {
            // "." and "..".
            if entry.pointee.d_name.0 != CChar(bitPattern: UInt8(ascii: ".")) { count += 1 }
        }
        return max(count - 1, 0)
    }

    /// Descriptors that may be open.
    public static var descriptorLimit: Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 0 }
        return Int(clamping: limit.rlim_cur)
    }

    /// When this process began, in seconds since the epoch; nil without `/proc`.
    public static let startSeconds: Double? = {
        guard let stat = File.read("/proc/self/stat", bytesMax: 4_096),
            let boot = File.read("/proc/stat", bytesMax: 1_048_576),
            let end = stat.lastIndex(of: UInt8(ascii: ")"))
        else { return nil }
        // Field 22; the second one ends with the parenthesis (proc(5)).
        let fields = stat[(end + 1)...].split(separator: UInt8(ascii: " "))
        let lines = String(decoding: boot, as: UTF8.self).split(separator: "\n")
        guard fields.count > 19, let ticks = Double(String(decoding: fields[19], as: UTF8.self)),
            let line = lines.first(where: { $0.hasPrefix("btime ") }),
            let booted = Double(line.dropFirst(6))
        else { return nil }
        return booted + ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
    }()
}
