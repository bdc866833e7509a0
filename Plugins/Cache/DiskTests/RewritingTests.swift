import CacheDisk
import Glibc
import Testing
import TinyUFO

/// Heads that are written anew in their files.
struct RewritingTests {
    private let folder = TestFolder()
    private let body = noise(1, count: 300_000)
    private let hash = TestStore.hash("key")

    private func refresh(_ store: TestStore, _ meta: String) throws -> Bool {
        let entry = try store.entry("key")
        return with(Array(meta.utf8)) { store.store.refreshBlocking(entry, hash: hash, meta: $0) }
    }

    @Test func `other metadata are written before the body if there is room`() throws {
        var store = try TestStore(folder.path)
        store.put("key", body, meta: "old")
        let file = folder.files
        let before = try store.entry("key")
        #expect(try refresh(store, "new and longer"))
        #expect(folder.files == file)
        #expect(TestStore.object(before) == .init(meta: "old", body: body))
        _ = consume before
        #expect(store.get("key") == .init(meta: "new and longer", body: body))
        #expect(try refresh(store, "short"))
        #expect(store.get("key") == .init(meta: "short", body: body))
        store = try TestStore(folder.path)
        #expect(store.get("key") == .init(meta: "short", body: body))
        #expect(store.statistics.damaged == 0)
    }

    @Test(arguments: [4_096 - 96 - 3, 4_096 - 96 - 2])
    func `without room the body goes to another file`(count: Int) throws {
        let store = try TestStore(folder.path)
        store.put("key", body, meta: "old")
        let file = folder.files
        let meta = String(repeating: "m", count: count)
        #expect(try refresh(store, meta))
        #expect((folder.files == file) == (count == 4_096 - 96 - 3))
        #expect(folder.files.count == 1)
        #expect(store.get("key") == .init(meta: meta, body: body))
    }

    @Test func `an object that is gone or another one is not rewritten`() throws {
        let store = try TestStore(folder.path)
        store.put("key", body, meta: "old")
        let entry = try store.entry("key")
        store.put("key", [1], meta: "other")
        let isOther = with(Array("new".utf8)) {
            store.store.refreshBlocking(entry, hash: hash, meta: $0)
        }
        #expect(!isOther)
        #expect(store.get("key") == .init(meta: "other", body: [1]))
        #expect(try store.remove("key"))
        let isGone = with(Array("new".utf8)) {
            store.store.refreshBlocking(entry, hash: hash, meta: $0)
        }
        #expect(!isGone)
        #expect(store.get("key") == nil)
    }

    @Test func `stale by order, for all who come after that`() throws {
        var store = try TestStore(folder.path)
        store.put("key", body, meta: "meta")
        #expect(try store.entry("key").staleSince == 0)
        let isMarked = store.store.markStaleBlocking(hash: hash, since: 1_000)
        let isOtherMarked = store.store.markStaleBlocking(hash: hash &+ 1, since: 1_000)
        #expect(isMarked && !isOtherMarked)
        #expect(try store.entry("key").staleSince == 1_000)
        store = try TestStore(folder.path)
        #expect(try store.entry("key").staleSince == 1_000)
        #expect(store.get("key") == .init(meta: "meta", body: body))
        // What was validated is not.
        #expect(try refresh(store, "meta"))
        #expect(try store.entry("key").staleSince == 0)
    }

    @Test func `a sweep may mark instead of removing`() throws {
        let store = try TestStore(folder.path)
        for number in 0..<5 { store.put("\(number)", [UInt8(number)]) }
        var sweep = DiskStore.Sweep()
        while try store.store.sweepBlocking(
            &sweep,
            objectsMax: 2,
            staleSince: 7,
            { key, _ in key.first.map { $0 % 2 == 0 } ?? false }
        ) {}
        #expect(sweep.removed == 3)
        for number in 0..<5 {
            #expect(try store.entry("\(number)").staleSince == (number % 2 == 0 ? 7 : 0))
        }
    }

    @Test func `a head that was cut while it was rewritten is damage`() throws {
        var store = try TestStore(folder.path)
        store.put("key", body, meta: "0123456789")
        let path = folder.files[0]
        #expect(try refresh(store, "abcdefghij"))
        // The second half of the write has not come to the disk.
        TestFolder.write(Array("56789".utf8), to: path, at: 96 + 3 + 5)
        store = try TestStore(folder.path)
        #expect(store.get("key") == nil)
        #expect(store.statistics.damaged == 1)
        #expect(folder.files == [])
    }

    @Test func `what was made of the metadata is kept once, and freed with the file`() throws {
        let store = try TestStore(folder.path)
        store.put("key", body)
        let entry = try store.entry("key")
        #expect(entry.form == nil)
        let form = try #require(malloc(16))
        let other = try #require(malloc(16))
        let isFirst = entry.setForm(form)
        let isSecond = entry.setForm(other)
        #expect(isFirst && !isSecond)
        free(other)
        let copy = entry.copy()
        #expect(copy.form == form)
        _ = consume entry
        #expect(try store.entry("key").form == form)
        #expect(TestStore.body(copy) == body)
    }

    @Test func `what is written so far can be read by another descriptor`() throws {
        let store = try TestStore(folder.path)
        let beginning = with(Array("key".utf8)) { key in
            store.store.beginBlocking(
                key,
                hash: hash,
                meta: UnsafeRawBufferPointer(start: nil, count: 0)
            )
        }
        guard case .writer(let writer) = consume beginning else {
            Issue.record("no writer")
            return
        }
        let descriptor = writer.duplicate()
        try with(body) { (bytes) throws(DiskWriter.WriteError) in try writer.writeBlocking(bytes) }
        let offset = writer.bodyOffset
        #expect(writer.commitBlocking() == .stored)
        #expect(try store.remove("key"))
        var read = [UInt8](repeating: 0, count: body.count)
        #expect(
            read.withUnsafeMutableBytes { DiskFile.readBlocking(descriptor, into: $0, at: offset) }
        )
        #expect(read == body)
        DiskFile.closeBlocking(descriptor)
    }

    @Test func `a folder is looked at without being taken`() throws {
        let store = try TestStore(folder.path)
        #expect(DiskStore.faultBlocking(path: folder.path) == nil)
        store.put("key", [1])
        #expect(store.get("key")?.body == [1] && store.state == .storing)
        chmod(folder.path, 0o755)
        let fault = DiskStore.faultBlocking(path: folder.path)
        #expect(
            fault.map { text($0) }
                == "cannot open the folder: others may enter it; its mode must be 0700"
        )
        chmod(folder.path, 0o700)
    }
}
