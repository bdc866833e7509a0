import CacheDisk
import Glibc
import Testing

/// The folder: who may have it, and what becomes of a store that can't write to it.
struct FolderTests {
    private let folder = TestFolder()

    /// The error's text of opening a path.
    private func error(_ path: String) -> String? {
        do {
            _ = try TestStore(path)
            return nil
        } catch DiskStore.OpenError.disk(let error) {
            return text(error)
        } catch { return "another error" }
    }

    @Test func `makes the folder if its parent is there`() throws {
        #expect(error(folder.path + "/new") == nil)
        var status = stat()
        #expect(stat(folder.path + "/new", &status) == 0 && status.st_mode & 0o777 == 0o700)
        #expect(
            error(folder.path + "/no/new") == "cannot open the folder: No such file or directory"
        )
    }

    @Test func `refuses a folder that others may enter`() throws {
        for mode: mode_t in [0o710, 0o701, 0o755] {
            #expect(chmod(folder.path, mode) == 0)
            let expected = "cannot open the folder: others may enter it; its mode must be 0700"
            #expect(error(folder.path) == expected)
        }
    }

    @Test func `refuses a folder of another user`() throws {
        guard geteuid() == 0 else { return }
        #expect(chown(folder.path, 65_534, 65_534) == 0)
        #expect(error(folder.path) == "cannot open the folder: it belongs to another user")
    }

    @Test func `refuses what is no folder`() throws {
        TestFolder.write([1], to: folder.path + "/file")
        #expect(error(folder.path + "/file") == "cannot open the folder: it is not a folder")
    }

    @Test func `refuses a folder with something else in it`() throws {
        TestFolder.write([1], to: folder.path + "/letter")
        let expected = "cannot take the folder: it has files that are not the cache's"
        #expect(error(folder.path) == expected)
        #expect(TestFolder.names(in: folder.path) == ["letter"])
        unlink(folder.path + "/letter")
        // A file system of its own has this one.
        mkdir(folder.path + "/lost+found", 0o700)
        #expect(error(folder.path) == nil)
    }

    @Test func `refuses a lock file of another kind or version`() throws {
        _ = try TestStore(folder.path)
        let file = folder.path + "/lock"
        let bytes = TestFolder.read(file)
        #expect(bytes.count == 24)
        TestFolder.write([9], to: file, at: 8)
        #expect(error(folder.path) == "cannot take the folder: it has files of another version")
        let foreign = "cannot take the folder: it has files that are not the cache's"
        for offset in [0, 12, 16, 23] {
            var other = bytes
            other[offset] ^= 1
            TestFolder.write(other, to: file)
            #expect(error(folder.path) == foreign)
        }
        TestFolder.write(bytes, to: file)
        #expect(truncate(file, 23) == 0)
        #expect(error(folder.path) == foreign)
        // It was made, but the machine died before it was written.
        #expect(truncate(file, 0) == 0)
        #expect(error(folder.path) == nil)
    }

    @Test func `an error is one line, as far as there is room`() throws {
        var bytes = [UInt8](repeating: 0, count: 6)
        do {
            _ = try TestStore(folder.path + "/no/new")
        } catch DiskStore.OpenError.disk(let error) {
            let count = bytes.withUnsafeMutableBytes { error.write(to: $0) }
            #expect(count == 6 && bytes == Array("cannot".utf8))
        }
    }

    // MARK: Two stores

    @Test func `a second store takes the folder over, and the first one goes on reading`() throws {
        let first = try TestStore(folder.path)
        for number in 0..<20 { first.put("\(number)", [UInt8(number)]) }
        let open = try first.entry("3")
        guard case .writer(let late) = first.begin("late") else { return #expect(Bool(false)) }
        let second = try TestStore(folder.path)
        #expect(second.statistics.found == 20 && second.statistics.leftovers == 1)
        #expect(second.put("20", [20]) == .done(.stored))

        let lost = "cannot take the folder: another process has taken it"
        guard case .failed(.failed(let error)) = late.commitBlocking() else {
            return #expect(Bool(false))
        }
        #expect(error.isLost && text(error) == lost)
        #expect(first.put("21", [21]) == .refused(lost))
        #expect(second.get("late") == nil && second.get("21") == nil)
        for number in 0..<20 { #expect(first.get("\(number)")?.body == [UInt8(number)]) }
        #expect(TestStore.body(open) == [3])

        // What the second one removes the first one does not find, unless it is open.
        #expect(try second.remove("3") && second.remove("4"))
        #expect(TestStore.body(open) == [3])
        // What the first one removes is gone for it alone, and it says so.
        #expect(throws: DiskError.self) { try first.remove("5") }
        #expect(first.finding("5") == "absent")
        #expect(second.get("5")?.body == [5])
        #expect(first.state != .storing && second.state == .storing)
    }

    @Test func `the first store has the folder again when the second one has ended`() throws {
        let first = try TestStore(folder.path)
        first.put("1", [1])
        var second: TestStore? = try TestStore(folder.path)
        second?.put("2", [2])
        #expect(try #require(second).remove("1"))
        #expect(first.put("3", [3]) != .done(.stored))
        first.rebuild()
        #expect(first.state != .storing)
        second = nil
        first.rebuild()
        #expect(first.state == .storing)
        #expect(first.get("2")?.body == [2] && first.get("1") == nil && first.get("3") == nil)
        #expect(first.put("3", [3]) == .done(.stored))
        #expect(first.statistics.objects == 2 && folder.files.count == 2)
    }

    // MARK: What goes wrong

    @Test func `a folder that was removed is made again`() throws {
        let store = try TestStore(folder.path)
        store.put("open", [1])
        store.put("closed", [2])
        let entry = try store.entry("open")
        TestFolder.remove(folder.path)
        let missing = "cannot make a file: No such file or directory"
        #expect(store.put("new", []) == .refused(missing))
        #expect(TestStore.body(entry) == [1])
        #expect(store.opening("closed") == "absent")
        store.rebuild()
        #expect(store.state == .storing && store.statistics.objects == 0)
        #expect(store.put("new", [3]) == .done(.stored))
        #expect(store.get("new")?.body == [3] && folder.files.count == 1)
        #expect(TestStore.body(entry) == [1])
    }

    @Test func `a folder that was emptied is filled again`() throws {
        let store = try TestStore(folder.path)
        store.put("key", [2])
        for name in TestFolder.names(in: folder.path) {
            TestFolder.remove("\(folder.path)/\(name)")
        }
        #expect(store.put("new", [3]) != .done(.stored))
        store.rebuild()
        #expect(store.put("new", [3]) == .done(.stored))
        #expect(store.finding("key") == "absent" && folder.files.count == 1)
    }

    @Test func `what can't be written is still read`() throws {
        let store = try TestStore(folder.path)
        for number in 0..<3 { store.put("\(number)", [UInt8(number)]) }
        let new = folder.path + "/new"
        rmdir(new)
        TestFolder.write([1], to: new)
        let refused = "cannot make a file: Not a directory"
        for _ in 0..<3 { #expect(store.put("3", []) == .refused(refused)) }
        for number in 0..<3 { #expect(store.get("\(number)")?.body == [UInt8(number)]) }
        #expect(store.statistics.failures == 3)
        unlink(new)
        #expect(store.put("3", [3]) == .done(.stored))
        #expect(store.state == .storing)
    }

    @Test func `what can't be removed is not found, and it is said`() throws {
        let store = try TestStore(folder.path)
        store.put("key", [1])
        let file = try #require(folder.files.first)
        unlink(file)
        mkdir(file, 0o700)
        do {
            _ = try store.remove("key")
            #expect(Bool(false))
        } catch { #expect(text(error) == "cannot remove a file: Is a directory") }
        #expect(store.finding("key") == "absent" && store.statistics.bytes == 0)
        #expect(store.state != .storing)
        store.rebuild()
        #expect(store.state == .storing)
    }

    @Test func `after an error nothing is stored for a while`() throws {
        let store = try TestStore(folder.path) { $0.retryNanoseconds = 50_000_000 }
        rename(folder.path + "/new", folder.path + "/old")
        let missing = "cannot make a file: No such file or directory"
        #expect(store.put("key", []) == .refused(missing))
        rename(folder.path + "/old", folder.path + "/new")
        #expect(store.put("key", []) == .refused(missing))
        #expect(store.statistics.failures == 1)
        usleep(60_000)
        #expect(store.put("key", []) == .done(.stored))
    }
}
