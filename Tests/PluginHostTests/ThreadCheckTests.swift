import CSluice
import Synchronization
import Sys
import Testing

@testable import PluginHost

struct ThreadCheckTests {
    @Test(arguments: [
        (ThreadRole.other, SLUICE_THREAD_OTHER, UInt32.max),
        (.control, SLUICE_THREAD_CONTROL, .max), (.blocking, SLUICE_THREAD_BLOCKING, .max),
        (.worker(0), SLUICE_THREAD_WORKER, 0), (.worker(7), SLUICE_THREAD_WORKER, 7),
    ])
    func `a thread is told what it is`(role: ThreadRole, kind: Int, index: UInt32) {
        let seen = Mutex<(UInt32, UInt32)>((99, 99))
        PinnedThread.start(name: "check") {
            ThreadRole.enter(role)
            let check = CoreTable.threadCheck.pointee
            seen.withLock { $0 = (check.current(), check.worker_index()) }
        }.join()
        #expect(seen.withLock { $0 } == (UInt32(kind), index))
    }
}
