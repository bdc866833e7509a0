import CacheDisk
import Glibc
import Testing

/// A file system of its own, of 2 MiB, which only root can make.
private final class SmallDisk {
    let path = TestFolder()

    init?() {
        guard geteuid() == 0 else { return nil }
        let options = "size=2m,mode=700"
        guard mount("tmpfs", path.path, "tmpfs", 0, options) == 0 else { return nil }
    }

    deinit { umount2(path.path, Int32(MNT_DETACH)) }
}

struct FullDiskTests {
    private static let full = "cannot write a file: No space left on device"

    @Test func `a full disk stops storing, and nothing else`() throws {
        guard let disk = SmallDisk() else { return }
        let store = try TestStore(disk.path.path)
        var stored = 0
        var last = TestStore.Stored.done(.stored)
        while last == .done(.stored), stored < 100 {
            last = store.put("\(stored)", noise(stored, count: 100_000))
            stored += 1
        }
        stored -= 1
        #expect((15...20).contains(stored))
        guard case .done(.failed(.failed(let error))) = last else { return #expect(Bool(false)) }
        #expect(text(error) == Self.full)
        #expect(store.state == .failed(error))
        #expect(store.statistics.failures == 1)
        #expect(disk.path.newFiles == [])
        for number in 0..<stored {
            #expect(store.get("\(number)")?.body == noise(number, count: 100_000))
        }
        // What is there goes only for room in the store, not for what others have on the disk.
        #expect(store.statistics.objects == stored && store.statistics.evicted == 0)
        #expect(try store.remove("0"))
        #expect(store.put("new", noise(1, count: 90_000)) == .done(.stored))
        #expect(store.state == .storing)
    }

    @Test func `the head of an object finds no room either`() throws {
        guard let disk = SmallDisk() else { return }
        let store = try TestStore(disk.path.path)
        let filler = disk.path.path + "/filler"
        let file = open(filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        let piece = [UInt8](repeating: 1, count: 4_096)
        while write(file, piece, piece.count) == piece.count {}
        close(file)
        guard case .done(.failed(.failed(let error))) = store.put("key", []) else {
            return #expect(Bool(false))
        }
        #expect(text(error) == Self.full)
        #expect(disk.path.newFiles == [] && disk.path.files == [])
        #expect(store.statistics.bytes == 0 && store.statistics.writers == 0)
        unlink(filler)
        #expect(store.put("key", []) == .done(.stored))
    }
}
