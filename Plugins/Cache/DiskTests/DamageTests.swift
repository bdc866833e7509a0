import CacheDisk
import Glibc
import Testing

/// Files that are not as they were written, and those that are none of ours.
struct DamageTests {
    private let folder = TestFolder()
    private let body = noise(9, count: 10_000)

    private func stored() throws -> String {
        let store = try TestStore(folder.path)
        store.put("key", body, meta: "some metadata")
        return try #require(folder.files.first)
    }

    /// Where a bit is flipped: the magic, the version, the checksum, the id, each length, the
    /// times, the body's checksum, what is 0, the key and the metadata.
    @Test(arguments: [0, 8, 12, 16, 24, 28, 32, 40, 48, 56, 64, 70, 96, 99, 111])
    func `a head with a flipped bit is removed when it is found`(offset: Int) throws {
        let file = try stored()
        TestFolder.write([TestFolder.read(file)[offset] ^ 4], to: file, at: offset)
        let store = try TestStore(folder.path)
        #expect(store.finding("key") == "absent")
        #expect(store.statistics.damaged == 1 && store.statistics.found == 0)
        #expect(folder.files == [])
    }

    @Test(arguments: [4_096, 9_000, 4_096 + 9_999])
    func `a body with a flipped bit is removed when it is read`(offset: Int) throws {
        let file = try stored()
        TestFolder.write([TestFolder.read(file)[offset] ^ 1], to: file, at: offset)
        let store = try TestStore(folder.path)
        #expect(store.finding("key") == "closed")
        #expect(store.opening("key") == "absent")
        #expect(store.finding("key") == "absent")
        #expect(store.statistics.damaged == 1 && store.statistics.bytes == 0)
        #expect(folder.files == [])
        #expect(store.put("key", [1]) == .done(.stored))
        #expect(store.get("key")?.body == [1])
    }

    @Test(arguments: [0, 1, 95, 4_095, 4_096, 4_096 + 9_999, 4_096 + 10_001])
    func `a file of another length is removed`(length: Int) throws {
        let file = try stored()
        #expect(truncate(file, off_t(length)) == 0)
        let store = try TestStore(folder.path)
        #expect(store.finding("key") == "absent")
        #expect(store.statistics.damaged == 1)
        #expect(folder.files == [])
    }

    @Test func `what is damaged while it is there is not served`() throws {
        let store = try TestStore(folder.path)
        store.put("key", body)
        let file = try #require(folder.files.first)
        #expect(truncate(file, 5_000) == 0)
        #expect(store.opening("key") == "absent")
        #expect(store.statistics.damaged == 1 && folder.files == [])
    }

    @Test func `a file that is gone is no object`() throws {
        let store = try TestStore(folder.path)
        store.put("key", body)
        #expect(unlink(try #require(folder.files.first)) == 0)
        #expect(store.opening("key") == "absent")
        #expect(store.finding("key") == "absent")
        #expect(store.statistics.bytes == 0 && store.state == .storing)
    }

    @Test func `a file of another name is removed`() throws {
        let file = try stored()
        // Another id in the same folder, and the same id in another one.
        #expect(link(file, file.dropLast(3) + "1" + file.suffix(2)) == 0)
        let other = folder.path + "/fe/" + file.suffix(16)
        #expect(rename(file, other) == 0)
        let store = try TestStore(folder.path)
        #expect(store.finding("key") == "absent")
        #expect(store.statistics.damaged == 1 && store.statistics.foreign == 1)
        #expect(folder.files == [])
    }

    @Test func `foreign files are removed from folders of objects alone`() throws {
        _ = try stored()
        for name in ["00/notes.txt", "7f/0000000000000000", "01/00000100000000G1", "new/x"] {
            TestFolder.write([1], to: "\(folder.path)/\(name)")
        }
        TestFolder.write([7], to: folder.path + "/mine")
        let outside = TestFolder()
        TestFolder.write([7], to: outside.path + "/precious")
        #expect(symlink(outside.path + "/precious", folder.path + "/05/0000010000000005") == 0)
        #expect(mkfifo(folder.path + "/06/0000000000000106", 0o600) == 0)
        #expect(mkdir(folder.path + "/07/folder", 0o700) == 0)
        let store = try TestStore(folder.path)
        #expect(store.get("key")?.body == body)
        #expect(store.statistics.foreign == 7)
        #expect(folder.newFiles == [])
        // A folder stays, and so does what the store has no business with.
        #expect(folder.files.count == 2)
        #expect(TestFolder.read(folder.path + "/mine") == [7])
        #expect(TestFolder.read(outside.path + "/precious") == [7])
    }

    @Test func `of two files of one key the later one is the object`() throws {
        var store = try TestStore(folder.path)
        store.put("key", [1])
        let old = try #require(folder.files.first)
        let copy = TestFolder.read(old)
        store.put("key", [2])
        // As if the process had died before the older one was removed.
        TestFolder.write(copy, to: old)
        store = try TestStore(folder.path)
        #expect(store.get("key")?.body == [2])
        #expect(folder.files.count == 1)
        #expect(
            store.statistics.leftovers + store.statistics.replaced == 1 || folder.files != [old]
        )
    }

    @Test func `what is removed while it is still to be found stays removed`() throws {
        var store = try TestStore(folder.path)
        for number in 0..<50 { store.put("\(number)", [UInt8(number)]) }
        store = try TestStore(folder.path, isRebuilt: false)
        for number in 0..<10 { #expect(try !store.remove("\(number)")) }
        while store.statistics.found < 20 { _ = store.store.workBlocking(filesMax: 1) }
        for number in 10..<30 { _ = try store.remove("\(number)") }
        store.rebuild()
        for number in 0..<50 {
            #expect(store.get("\(number)")?.body == (number < 30 ? nil : [UInt8(number)]))
        }
        #expect(store.statistics.objects == 20 && folder.files.count == 20)
        #expect(store.put("3", [3]) == .done(.stored))
    }

    @Test func `all are removed while they are still to be found`() throws {
        var store = try TestStore(folder.path)
        for number in 0..<50 { store.put("\(number)", [UInt8(number)]) }
        store = try TestStore(folder.path, isRebuilt: false)
        while store.statistics.found < 20 { _ = store.store.workBlocking(filesMax: 1) }
        #expect(try store.store.removeAllBlocking() == 20)
        store.rebuild()
        #expect(store.statistics.objects == 0 && folder.files == [])
        #expect(store.put("3", [3]) == .done(.stored))
    }

    @Test func `what is being written when all are removed is not stored`() throws {
        let store = try TestStore(folder.path)
        guard case .writer(let writer) = store.begin("key") else { return #expect(Bool(false)) }
        #expect(try store.store.removeAllBlocking() == 0)
        #expect(writer.commitBlocking() == .superseded)
        #expect(folder.files == [] && folder.newFiles == [])
    }
}
