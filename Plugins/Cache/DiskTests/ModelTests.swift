import CacheDisk
import Testing
import TinyUFOWorkloads

/// Random calls beside a dictionary that knows what must be in the store.
struct ModelTests {
    private let folder = TestFolder()

    @Test(arguments: [1, 2, 3], [1 << 30, 2 << 20])
    func `gives what was stored last, or nothing if it was driven out`(
        seed: UInt64,
        size: UInt64
    ) throws {
        var chance = Chance(seed: seed)
        var store = try open(size)
        var known: [String: TestStore.Object] = [:]
        var evicted = 0
        for step in 0..<3_000 {
            let key = "key \(chance.below(150))"
            switch chance.below(100) {
            case 0:
                evicted += store.statistics.evicted
                store = try open(size)
            case 1 where chance.below(5) == 0:
                let count = store.statistics.objects
                #expect(try store.store.removeAllBlocking() == count)
                known = [:]
            case 2:
                try sweep(store, &known, "\(chance.below(10))")
            case 3...8:
                let isThere = store.finding(key) != "absent"
                #expect(try store.remove(key) == isThere)
                known[key] = nil
            case 9...11:
                store.store.forget(hash: TestStore.hash(key))
                known[key] = nil
            case 12...50:
                let body = noise(step, count: chance.below(chance.below(10) == 0 ? 200_000 : 9_000))
                let meta = "\(step % 10) " + String(repeating: "m", count: chance.below(3_000))
                let stored = store.put(key, body, meta: meta, knowsLength: step % 2 == 0)
                #expect(stored == .done(.stored))
                known[key] = .init(meta: meta, body: body)
            default:
                guard let object = store.get(key) else {
                    #expect(known[key] == nil || size < 1 << 30)
                    continue
                }
                #expect(object == known[key])
            }
            if step % 100 == 0 { check(store, known, size) }
        }
        check(store, known, size)
        evicted += store.statistics.evicted
        #expect((evicted > 0) == (size < 1 << 30))
    }

    private func open(_ size: UInt64) throws -> TestStore {
        try TestStore(folder.path, size: size) { $0.openFilesMax = 7 }
    }

    /// Removes what has this word in its metadata.
    private func sweep(
        _ store: TestStore,
        _ known: inout [String: TestStore.Object],
        _ word: String
    ) throws {
        var sweep = DiskStore.Sweep()
        let objects = store.statistics.objects
        var seen = 0
        while try store.store.sweepBlocking(
            &sweep,
            objectsMax: 10,
            { key, meta in
                seen += 1
                #expect(key.starts(with: "key ".utf8))
                return meta.first == word.utf8.first
            }
        ) {}
        #expect(seen == objects)
        #expect(store.statistics.objects == objects - sweep.removed)
        known = known.filter { $0.value.meta.first != word.first }
    }

    private func check(
        _ store: TestStore,
        _ known: [String: TestStore.Object],
        _ size: UInt64
    ) {
        _ = store.store.workBlocking(filesMax: 1)
        let statistics = store.statistics
        #expect(statistics.damaged == 0 && statistics.foreign == 0 && statistics.failures == 0)
        #expect(statistics.bytes <= size)
        #expect(statistics.bytes == UInt64(folder.usedBytes))
        #expect(statistics.objects == folder.files.count)
        #expect(statistics.openFiles <= 7)
        for key in known.keys where size == 1 << 30 { #expect(store.finding(key) != "absent") }
        #expect(statistics.objects <= known.count)
    }
}
