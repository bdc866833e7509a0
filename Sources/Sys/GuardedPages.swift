import CLinux
import Glibc

/// Whole pages of memory that can be made to fault, so that a test sees who still reads them.
public struct GuardedPages: @unchecked Sendable {
    // Safe: an address and a length; whoever holds it decides who touches the memory.
    public let start: UnsafeMutableRawPointer
    public let count: Int

    /// Pages for at least `count` bytes, all 0; nil when there are none.
    public init?(_ count: Int) {
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        self.count = max(1, (count + page - 1) / page) * page
        let flags = MAP_PRIVATE | MAP_ANONYMOUS
        guard let memory = mmap(nil, self.count, PROT_READ | PROT_WRITE, flags, -1, 0),
            memory != MAP_FAILED
        else { return nil }
        start = memory
    }

    /// From now on touching them ends the process with SIGSEGV.
    public func forbid() {
        mprotect(start, count, PROT_NONE)
    }

    /// Gives them back.
    public func release() {
        munmap(start, count)
    }
}
