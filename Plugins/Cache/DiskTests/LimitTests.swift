import CacheDisk
import Testing

/// Every limit at its edge.
struct LimitTests {
    private let folder = TestFolder()

    private func text(_ count: Int) -> String { String(repeating: "k", count: count) }

    @Test func `keys and metadata have a longest`() throws {
        var store = try TestStore(folder.path)
        let key = text(DiskStore.keyBytesMax)
        let meta = text(DiskStore.metaBytesMax)
        #expect(store.put(key, [1, 2], meta: meta) == .done(.stored))
        #expect(store.put(key + "k", []) == .refused("too large"))
        #expect(store.put("", [], meta: meta + "m") == .refused("too large"))
        #expect(store.put("", []) == .done(.stored))
        store = try TestStore(folder.path)
        #expect(store.get(key) == .init(meta: meta, body: [1, 2]))
        #expect(store.get("") == .init(meta: "", body: []))
    }

    @Test(arguments: [true, false])
    func `a body has a longest`(knowsLength: Bool) throws {
        let store = try TestStore(folder.path) { $0.bodyBytesMax = 100_000 }
        let body = noise(1, count: 100_001)
        let whole = Array(body.dropLast())
        #expect(store.put("a", whole, knowsLength: knowsLength) == .done(.stored))
        let tooLong = store.put("b", body, knowsLength: knowsLength)
        #expect(tooLong == (knowsLength ? .refused("too large") : .done(.failed(.tooLarge))))
        #expect(store.get("a")?.body == whole)
        #expect(store.finding("b") == "absent")
        #expect(folder.newFiles == [])
        #expect(store.statistics.writers == 0)
    }

    @Test func `an object may be as large as the store, and then is the only one`() throws {
        let size = Int(DiskStore.sizeMin)
        let store = try TestStore(folder.path, size: UInt64(size)) { $0.bodyBytesMax = 1 << 40 }
        store.put("small", [1])
        let whole = noise(1, count: size - 4_096)
        #expect(store.put("large", whole) == .done(.stored))
        #expect(store.finding("small") == "absent")
        #expect(store.statistics.bytes == UInt64(size))
        #expect(store.put("larger", whole + [1]) == .refused("too large"))
        // Without a length it is only seen when there is no more room.
        #expect(store.put("larger", whole + [1], knowsLength: false) == .done(.failed(.crowded)))
        #expect(store.statistics.bytes <= UInt64(size))
    }

    @Test func `bytes stay in their bounds`() throws {
        let store = try TestStore(folder.path, size: 1 << 20) { $0.objectsMax = 1_000 }
        for number in 0..<200 {
            let body = noise(number, count: number * 397 % 40_000)
            #expect(store.put("\(number)", body, knowsLength: number % 3 != 0) == .done(.stored))
            #expect(store.statistics.bytes <= 1 << 20)
            #expect(folder.usedBytes <= 1 << 20)
        }
        #expect(store.statistics.evicted > 100)
        // Room for what was not known to be so short: an eighth.
        #expect(store.statistics.bytes > (1 << 20) * 7 / 8 - 50_000)
    }

    @Test func `a smaller store keeps what fits`() throws {
        var store = try TestStore(folder.path)
        for number in 0..<100 { store.put("\(number)", noise(number, count: 20_000)) }
        store = try TestStore(folder.path, size: 1 << 20) { $0.objectsMax = 1_000 }
        #expect(store.statistics.bytes <= 1 << 20)
        #expect(store.statistics.objects == (1 << 20) / 24_576)
        #expect(folder.usedBytes <= 1 << 20)
    }

    @Test func `objects have a highest number`() throws {
        var store = try TestStore(folder.path) { $0.objectsMax = 10 }
        for number in 0..<10 { store.put("\(number)", []) }
        #expect(store.statistics.evicted == 0)
        store.put("10", [])
        #expect(store.statistics.evicted == 1 && store.statistics.objects == 10)
        #expect(folder.files.count == 10)
        store = try TestStore(folder.path) { $0.objectsMax = 3 }
        #expect(store.statistics.objects == 3 && folder.files.count == 3)
    }

    @Test func `what was used stays when others go`() throws {
        let store = try TestStore(folder.path) { $0.objectsMax = 10 }
        for number in 0..<10 { store.put("\(number)", []) }
        for number in 0..<100 {
            #expect(store.finding("3") != "absent")
            store.put("new \(number)", [])
        }
    }

    @Test func `files that are open have a highest number`() throws {
        let store = try TestStore(folder.path) { $0.openFilesMax = 2 }
        for number in 0..<4 { store.put("\(number)", [UInt8(number)]) }
        do {
            let first = try store.entry("0")
            let second = try store.entry("1")
            #expect(store.opening("2") == "crowded")
            #expect(store.statistics.openFiles == 2)
            #expect(TestStore.body(first) == [0] && TestStore.body(second) == [1])
        }
        // Now nobody reads them.
        for number in 0..<4 { #expect(store.get("\(number)")?.body == [UInt8(number)]) }
        #expect(store.statistics.openFiles == 2)
    }

    @Test func `what is read is not driven out`() throws {
        let store = try TestStore(folder.path) { $0.objectsMax = 3 }
        for number in 0..<3 { store.put("\(number)", [UInt8(number)]) }
        let first = try store.entry("0")
        let second = try store.entry("1")
        for number in 3..<20 { #expect(store.put("\(number)", []) == .done(.stored)) }
        #expect(store.finding("0") == "open" && store.finding("1") == "open")
        let third = try store.entry("19")
        #expect(store.put("20", []) == .refused("crowded"))
        #expect(TestStore.body(first) == [0] && TestStore.body(second) == [1])
        #expect(third.bodyCount == 0)
    }

    @Test func `objects that are written have a highest number`() throws {
        let store = try TestStore(folder.path) { $0.writersMax = 2 }
        guard case .writer(let first) = store.begin("1"),
            case .writer(let second) = store.begin("2")
        else { return #expect(Bool(false)) }
        #expect(store.put("3", []) == .refused("crowded"))
        first.abortBlocking()
        #expect(store.put("3", []) == .done(.stored))
        #expect(second.commitBlocking() == .stored)
    }

    @Test func `sizes have ranges`() throws {
        typealias Change = (inout DiskStore.Configuration) -> Void
        let faults: [(Change, DiskStore.ConfigurationError?)] = [
            ({ $0.size = DiskStore.sizeMin - 1 }, .size),
            ({ $0.size = DiskStore.sizeMin }, nil),
            ({ $0.size = DiskStore.sizeMax + 1 }, .size),
            ({ $0.size = DiskStore.sizeMax }, nil),
            ({ $0.bodyBytesMax = 0 }, .bodyBytesMax),
            ({ $0.bodyBytesMax = 1 }, nil),
            ({ $0.objectsMax = 0 }, .objectsMax),
            ({ $0.objectsMax = 1 }, nil),
            ({ $0.objectsMax = DiskStore.objectsLimit + 1 }, .objectsMax),
            ({ $0.openFilesMax = 0 }, .openFilesMax),
            ({ $0.openFilesMax = 1 }, nil),
            ({ $0.openFilesMax = DiskStore.openFilesLimit }, nil),
            ({ $0.openFilesMax = DiskStore.openFilesLimit + 1 }, .openFilesMax),
            ({ $0.writersMax = 0 }, .writersMax),
            ({ $0.writersMax = 1 }, nil),
            ({ $0.writersMax = DiskStore.writersLimit + 1 }, .writersMax),
        ]
        for (change, fault) in faults {
            do {
                _ = try TestStore(folder.path, isRebuilt: false, change)
                #expect(fault == nil)
            } catch DiskStore.OpenError.configuration(let error) {
                #expect(error == fault)
            }
        }
    }

    @Test func `an index is made for objects of 32 KiB`() {
        let configuration = DiskStore.Configuration(size: 10 << 30, keyHash: TestStore.keyHash)
        #expect(configuration.objectsMax == 327_680)
        #expect(configuration.bodyBytesMax == 10 << 28)
    }
}
