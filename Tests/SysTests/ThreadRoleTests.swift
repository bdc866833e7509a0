import Synchronization
import Testing

@testable import Sys

struct ThreadRoleTests {
    /// What a new thread sees before and after it took this role.
    private static func seen(_ role: ThreadRole) -> [(ThreadRole, Int)] {
        let seen = Mutex<[(ThreadRole, Int)]>([])
        PinnedThread.start(name: "role") {
            seen.withLock { $0.append((ThreadRole.current, ThreadRole.workerIndex)) }
            ThreadRole.enter(role)
            seen.withLock { $0.append((ThreadRole.current, ThreadRole.workerIndex)) }
        }.join()
        return seen.withLock { $0 }
    }

    @Test(arguments: [
        (ThreadRole.other, -1), (.control, -1), (.blocking, -1), (.worker(0), 0),
        (.worker(1_023), 1_023),
    ])
    func `a role is the thread's own`(role: ThreadRole, index: Int) {
        let seen = Self.seen(role)
        #expect(seen.count == 2)
        #expect(seen[0] == (.other, -1))
        #expect(seen[1] == (role, index))
    }
}
