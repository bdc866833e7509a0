import Glibc
import Synchronization

/// One lock for all that plugins may call on any thread.
///
/// A kit for tests can wait. Nothing of a plugin is called under it.
private let lock = Mutex<Void>(())

func locked<Result>(_ body: () -> Result) -> Result {
    nonisolated(unsafe) let body = body
    // Safe: the closure runs here and now, and its result is not used by another thread.
    nonisolated(unsafe) var result: Result?
    lock.withLock { _ in result = body() }
    guard let result else { preconditionFailure("the body has run") }
    return result
}

/// What a thread stands for at a time.
struct ThreadRole: Equatable {
    /// A number of `SLUICE_THREAD_`.
    var kind: UInt32
    /// The worker's index; `UInt32.max` on another thread.
    var worker: UInt32 = .max

    static let other = ThreadRole(kind: 0)
    static let control = ThreadRole(kind: 1)
    static let blocking = ThreadRole(kind: 3)

    static func worker(_ index: Int) -> ThreadRole { ThreadRole(kind: 2, worker: UInt32(index)) }

    // Safe: read and written under the lock.
    private nonisolated(unsafe) static var roles: [pthread_t: ThreadRole] = [:]

    static var current: ThreadRole {
        let thread = pthread_self()
        return locked { roles[thread] ?? .other }
    }

    /// Runs something as if on that thread.
    func run<Result>(_ body: () throws -> Result) rethrows -> Result {
        let thread = pthread_self()
        let before = locked {
            let before = Self.roles[thread]
            Self.roles[thread] = self
            return before
        }
        defer { locked { Self.roles[thread] = before } }
        return try body()
    }

    var text: String {
        switch kind {
        case 1: "the control thread"
        case 2: "worker \(worker)"
        case 3: "a blocking thread"
        default: "no thread of the host"
        }
    }
}
