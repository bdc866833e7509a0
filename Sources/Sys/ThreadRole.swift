import CLinux

/// What a thread does for this process; each of the host's says so when it begins.
public enum ThreadRole: Equatable, Sendable {
    /// Not one of the host's.
    case other
    /// Loads, starts and stops.
    case control
    /// Runs the loop of the worker of this index.
    case worker(Int)
    /// Runs work that may block.
    case blocking

    private static let kindShift: UInt64 = 32

    /// Makes this the role of the current thread.
    public static func enter(_ role: ThreadRole) {
        switch role {
        case .other: clinux_set_thread_word(0)
        case .control: clinux_set_thread_word(1 << kindShift)
        case .worker(let index):
            clinux_set_thread_word(2 << kindShift | UInt64(UInt32(index)))
        case .blocking: clinux_set_thread_word(3 << kindShift)
        }
    }

    /// The role of the current thread.
    public static var current: ThreadRole {
        let word = clinux_thread_word()
        return switch word >> kindShift {
        case 1: .control
        case 2: .worker(Int(UInt32(truncatingIfNeeded: word)))
        case 3: .blocking
        default: .other
        }
    }

    /// Index of the worker that this thread runs; -1 on any other thread.
    @inline(__always)
    public static var workerIndex: Int {
        let word = clinux_thread_word()
        return word >> kindShift == 2 ? Int(UInt32(truncatingIfNeeded: word)) : -1
    }
}
