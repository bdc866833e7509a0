import CSluice
import PluginHost
import Sys

/// The file, the tables, and the life of instances without requests.
extension CheckContext {
    func checkFile() throws {
        let facts = library.facts
        let differences = subject.differences(facts)
        try expect(differences.isEmpty, differences.first ?? "")
        try expect(!facts.id.isEmpty, "the handshake has no id")
        try expect(!facts.version.isEmpty, "the handshake has no version")
        let known = Phase.allCases.reduce(UInt64(0)) { $0 | 1 << UInt64($1.rawValue) }
        let mask = library.hello.pointee.hooks_mask
        try expect(mask & ~(known | 0b1010) == 0, "hooks_mask has bits that are no phases")
        log.step("create an instance")
        let instance = try makeInstance()
        for phase in Phase.allCases where instance.hook(phase) != nil {
            try expect(
                mask & 1 << UInt64(phase.rawValue) != 0,
                "an instance has the hook \(phase.name), which the handshake leaves out"
            )
        }
        log.step("destroy the instance")
        instance.destroy()
    }

    func checkTables() throws {
        log.step("create an instance")
        let instance = try makeInstance()
        defer { instance.destroy() }
        let functions = instance.functions.pointee
        let ids = ["", "sluice", "sluice.lb/", "sluice.lb/99", "org.example.unknown/1"]
        for id in ids + [String(repeating: "x", count: 10_000)] {
            log.step("get_extension(\"\(id.prefix(40))\")")
            let table = functions.get_extension?(functions.state, id)
            try expect(table == nil, "get_extension(\"\(id.prefix(40))\") is not NULL")
        }
        for role in library.facts.roles {
            log.step("get_extension(\"\(role)\")")
            let first = functions.get_extension?(functions.state, role)
            let second = functions.get_extension?(functions.state, role)
            try expect(first == second, "get_extension(\"\(role)\") gives another table each time")
        }
    }

    // MARK: Growth

    /// Instances that are made and destroyed.
    private static let cycles = 1_000
    /// Bytes by which each may let the heap grow: less than the least block of the allocator, more
    /// than lists that grow now and then.
    private static let growthMax = 16

    /// The plugin's calls are made on threads of their own, which have another heap than the host:
    /// between blocks that a plugin has freed, the allocator would round up those that the host
    /// keeps of each instance, by more than a small leak.
    private static let apart = PluginGuards(controlNanoseconds: 3_600_000_000_000)

    /// What a process has.
    private struct Usage {
        let heapBytes = Sys.Process.heapBytes
        let descriptors = File.entries("/proc/self/fd")?.count ?? 0
        let threads = File.entries("/proc/self/task")?.count ?? 0
    }

    func checkLife() throws {
        // The host keeps some memory of each instance for ever: that is not the plugin's to answer
        // for, so it is measured with one that has nothing.
        log.step("create and destroy an instance of nothing, \(Self.cycles) times")
        let neighbour = try PluginLibrary(linked: Neighbour.hello, name: "nothing")
        let own = try growth(neighbour, .object([]), "nothing", isSubject: false)
        let tree = try growth(neighbour, subject.configuration, "nothing", isSubject: false)
        let (before, after) = try cycle(library, subject.configuration, "subject", isSubject: true)
        let grown = (after.heapBytes - before.heapBytes) / Self.cycles
        let threads = after.threads - before.threads
        try expect(threads <= 0, "\(threads) threads are left of \(Self.cycles) instances")
        let descriptors = after.descriptors - before.descriptors
        try expect(
            descriptors <= 0,
            "\(descriptors) descriptors are left of \(Self.cycles) instances"
        )
        let bytes = grown - max(own, tree)
        try expect(
            bytes <= Self.growthMax,
            "each instance leaves \(bytes) bytes of memory behind"
        )
    }

    private func growth(
        _ library: PluginLibrary,
        _ configuration: ConfigurationTree.Node,
        _ name: String,
        isSubject: Bool
    ) throws -> Int {
        let (before, after) = try cycle(library, configuration, name, isSubject: isSubject)
        return (after.heapBytes - before.heapBytes) / Self.cycles
    }

    private func cycle(
        _ library: PluginLibrary,
        _ configuration: ConfigurationTree.Node,
        _ name: String,
        isSubject: Bool
    ) throws -> (Usage, Usage) {
        var before = Usage()
        // What is made once for all is made in the first rounds.
        for round in -100..<Self.cycles {
            if round == 0 { before = Usage() }
            if round % 100 == 0, isSubject { log.step("create and destroy, round \(round)") }
            let instance = try Self.makeInstance(library, configuration, name, guards: Self.apart)
            let worker = PinnedThread.start(name: "worker") {
                ThreadRole.enter(.worker(0))
                let slot = instance.startWorker(0)
                instance.stopWorker(0, slot)
            }
            worker.join()
            instance.destroy()
        }
        // A thread that was told to end may take a moment.
        var after = Usage()
        for _ in 0..<100 where after.threads > before.threads {
            Sys.Process.sleep(milliseconds: 10)
            after = Usage()
        }
        return (before, after)
    }

    // MARK: Workers

    func checkWorkers() throws {
        let orders: [(starts: [Int], stops: [Int])] = [
            ([], []), ([0], [0]), ([2], [2]), ([0, 1, 2], [2, 1, 0]), ([2, 0, 1], [0, 1, 2]),
            ([1, 2, 0], [1, 0, 2]), ([0, 1, 2], [1, 2, 0]),
        ]
        for (starts, stops) in orders {
            log.step("create for 3 workers")
            let instance = try makeInstance(workerCount: 3)
            var slots: [Int: UnsafeMutableRawPointer] = [:]
            for worker in starts {
                log.step("worker_start(\(worker)) of \(starts)")
                ThreadRole.enter(.worker(worker))
                slots[worker] = instance.startWorker(worker)
            }
            for worker in stops {
                log.step("worker_stop(\(worker)) of \(stops)")
                ThreadRole.enter(.worker(worker))
                instance.stopWorker(worker, slots[worker])
            }
            ThreadRole.enter(.control)
            let distinct = Set(slots.values)
            try expect(distinct.count == slots.count, "two workers have the same slot")
            log.step("destroy after \(starts.count) workers")
            instance.destroy()
        }
    }
}
