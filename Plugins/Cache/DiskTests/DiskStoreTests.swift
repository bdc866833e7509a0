import CacheDisk
import Glibc
import Testing

struct DiskStoreTests {
    private let folder = TestFolder()

    @Test(arguments: [0, 1, 4_095, 4_096, 4_097, 100_000, 3_000_000], [true, false])
    func `gives back what was stored`(count: Int, knowsLength: Bool) throws {
        let store = try TestStore(folder.path)
        let body = noise(count, count: count)
        #expect(store.finding("key") == "absent")
        let stored = store.put("key", body, meta: "head", knowsLength: knowsLength)
        #expect(stored == .done(.stored))
        #expect(store.finding("key") == "closed")
        #expect(store.get("key") == .init(meta: "head", body: body))
        #expect(store.finding("key") == "open")
        #expect(store.get("other") == nil)
        #expect(store.statistics.bytes == UInt64(4_096 + (count + 4_095) / 4_096 * 4_096))
        #expect(store.statistics.bytes == UInt64(folder.usedBytes))
        #expect(folder.newFiles == [])
    }

    @Test func `finds it again when the folder is opened again`() throws {
        var store = try TestStore(folder.path)
        for number in 0..<300 {
            store.put("key \(number)", noise(number, count: number * 100), meta: "\(number)")
        }
        let statistics = store.statistics
        store = try TestStore(folder.path, isRebuilt: false)
        #expect(store.state == .rebuilding)
        #expect(store.put("new", []) == .refused("rebuilding"))
        store.rebuild()
        #expect(store.state == .storing)
        #expect(store.statistics.found == 300)
        #expect(store.statistics.bytes == statistics.bytes)
        for number in 0..<300 {
            let body = noise(number, count: number * 100)
            #expect(store.get("key \(number)") == .init(meta: "\(number)", body: body))
        }
        #expect(store.statistics.verified == 300)
        for number in 0..<300 { #expect(store.get("key \(number)") != nil) }
        #expect(store.statistics.verified == 300)
        #expect(store.statistics.damaged == 0)
    }

    @Test func `finds some files in each step`() throws {
        var store = try TestStore(folder.path)
        for number in 0..<300 { store.put("key \(number)", [1]) }
        store = try TestStore(folder.path, isRebuilt: false)
        var steps = 0
        var most = 0
        while true {
            let found = store.statistics.found
            guard store.store.workBlocking(filesMax: 10) else { break }
            most = max(most, store.statistics.found - found)
            steps += 1
        }
        #expect(most <= 10)
        // Each file and the end of each of 257 folders.
        #expect(steps == (300 + 257) / 10)
    }

    @Test func `a newer object takes the place of an older one`() throws {
        var store = try TestStore(folder.path)
        store.put("key", noise(1, count: 10_000))
        store.put("key", noise(2, count: 100))
        #expect(store.get("key")?.body == noise(2, count: 100))
        #expect(store.statistics.replaced == 1)
        #expect(store.statistics.objects == 1)
        #expect(store.statistics.bytes == 8_192)
        #expect(folder.files.count == 1)
        store = try TestStore(folder.path)
        #expect(store.get("key")?.body == noise(2, count: 100))
    }

    @Test func `the one that was begun later stays`() throws {
        let store = try TestStore(folder.path)
        guard case .writer(let early) = store.begin("key", meta: "early"),
            case .writer(let late) = store.begin("key", meta: "late")
        else { return #expect(Bool(false)) }
        #expect(late.commitBlocking() == .stored)
        #expect(early.commitBlocking() == .superseded)
        #expect(store.get("key")?.meta == "late")
        #expect(folder.files.count == 1 && folder.newFiles == [])
        #expect(store.statistics.bytes == 4_096)
    }

    @Test func `what is not committed is not there`() throws {
        let store = try TestStore(folder.path)
        do {
            guard case .writer(let writer) = store.begin("key") else {
                return #expect(Bool(false))
            }
            try with([1, 2, 3]) { try writer.writeBlocking($0) }
            #expect(folder.newFiles.count == 1)
            #expect(store.statistics.writers == 1)
            #expect(store.finding("key") == "absent")
        }
        #expect(folder.newFiles == [])
        #expect(store.statistics.writers == 0 && store.statistics.bytes == 0)
    }

    @Test func `two keys of one hash are never mistaken for each other`() throws {
        let store = try TestStore(folder.path)
        store.put("one", [1], hash: 7)
        #expect(store.get("two", hash: 7) == nil)
        #expect(store.get("one", hash: 7)?.body == [1])
        #expect(store.finding("two", hash: 7) == "absent")
        store.put("two", [2], hash: 7)
        #expect(store.get("one", hash: 7) == nil)
        #expect(store.get("two", hash: 7)?.body == [2])
    }

    @Test func `an object can be read after it is gone`() throws {
        let store = try TestStore(folder.path)
        let body = noise(3, count: 50_000)
        store.put("key", body, meta: "meta")
        let entry = try store.entry("key")
        #expect(try store.remove("key"))
        #expect(store.finding("key") == "absent")
        #expect(folder.files == [])
        #expect(TestStore.object(entry) == .init(meta: "meta", body: body))
        // As long as it is open it is on the disk.
        #expect(store.statistics.bytes > 50_000 && store.statistics.openFiles == 1)
        _ = consume entry
        _ = store.store.workBlocking(filesMax: 1)
        #expect(store.statistics.bytes == 0 && store.statistics.openFiles == 0)
    }

    @Test func `an entry outlives its store`() throws {
        var store: TestStore? = try TestStore(folder.path)
        store?.put("key", noise(4, count: 5_000))
        let entry = try #require(store).entry("key")
        store = nil
        #expect(TestStore.body(entry) == noise(4, count: 5_000))
        #expect(TestStore.body(Entry(opaque: entry.toOpaque())) == noise(4, count: 5_000))
    }

    @Test func `other metadata take the place of those that are there`() throws {
        var store = try TestStore(folder.path)
        let body = noise(5, count: 300_000)
        store.put("key", body, meta: "old")
        do {
            let entry = try store.entry("key")
            let outcome = with(Array("new and longer".utf8)) {
                store.store.renewBlocking(entry, hash: TestStore.hash("key"), meta: $0)
            }
            #expect(outcome == .stored)
            #expect(TestStore.object(entry) == .init(meta: "old", body: body))
        }
        #expect(store.get("key") == .init(meta: "new and longer", body: body))
        store = try TestStore(folder.path)
        #expect(store.get("key") == .init(meta: "new and longer", body: body))
        #expect(store.statistics.verified == 1)
    }

    @Test func `gives parts of a body where files can't be sent`() throws {
        let store = try TestStore(folder.path)
        store.put("key", noise(6, count: 1_000))
        let entry = try store.entry("key")
        let body = noise(6, count: 1_000)
        #expect(try TestStore.part(entry, at: 0, room: 600) == body[..<600])
        #expect(try TestStore.part(entry, at: 600, room: 600) == body[600...])
        #expect(try TestStore.part(entry, at: 999, room: 1) == body[999...])
        #expect(try TestStore.part(entry, at: 1_000, room: 1) == [])
        #expect(try TestStore.part(entry, at: .max, room: 1) == [])
    }

    @Test func `an object of no use is not found again`() throws {
        var store = try TestStore(folder.path)
        let now = UInt64(time(nil))
        store.put("old", [1], keepUntil: now - 1)
        store.put("fresh", [2], keepUntil: now + 1_000)
        #expect(store.get("old")?.body == [1])
        store = try TestStore(folder.path)
        #expect(store.get("old") == nil && store.get("fresh")?.body == [2])
        #expect(store.statistics.leftovers == 1)
        #expect(folder.files.count == 1)
        let entry = try store.entry("fresh")
        #expect(entry.keepUntil == now + 1_000)
        #expect(entry.storedAt - now < 10)
    }

    @Test func `waits for the disk if it is told to`() throws {
        var store = try TestStore(folder.path) { $0.sync = .data }
        #expect(store.put("key", noise(7, count: 10_000)) == .done(.stored))
        store = try TestStore(folder.path)
        #expect(store.get("key")?.body == noise(7, count: 10_000))
    }
}
