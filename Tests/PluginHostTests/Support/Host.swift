import CSluice
import Synchronization
import Sys

@testable import PluginHost

/// Handles as the host gives them to instances.
enum Host {
    static func instance(
        _ name: String = "one",
        levelMax: UInt32 = 0,
        workerCount: Int = 1,
        memory: Int = InstanceHandle.memoryBytesDefault
    ) -> InstanceHandle {
        InstanceHandle(
            name: name,
            levelMax: levelMax,
            workerCount: workerCount,
            memoryBytesMax: memory
        )
    }

    static func handle(_ name: String = "one", levelMax: UInt32 = 0) -> OpaquePointer {
        instance(name, levelMax: levelMax).makeReference()
    }
}

/// Threads of a test that run at the same time.
enum Threads {
    /// Runs the body on this many threads, each with its index, and waits for all.
    ///
    /// All threads wait for the last one to be there before the body begins.
    static func run(
        _ count: Int,
        as role: @escaping @Sendable (Int) -> ThreadRole = { _ in .other },
        _ body: @escaping @Sendable (Int) -> Void
    ) {
        let gate = Gate()
        let threads = (0..<count).map { index in
            PinnedThread.start(name: "test-\(index)") {
                ThreadRole.enter(role(index))
                gate.arrived.wrappingAdd(1, ordering: .acquiringAndReleasing)
                while gate.arrived.load(ordering: .acquiring) < count { Process.yield() }
                body(index)
            }
        }
        for thread in threads { thread.join() }
    }

    private final class Gate: Sendable {
        let arrived = Atomic<Int>(0)
    }
}
