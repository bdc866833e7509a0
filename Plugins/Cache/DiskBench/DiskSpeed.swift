internal import CacheDisk
internal import Glibc
internal import TinyUFOWorkloads

/// `CacheDiskBench speed FOLDER`: nanoseconds of a call, in a folder that is empty or was this
/// program's.
enum DiskSpeed {
    private static let objectCount = 10_000

    static func run(_ arguments: [String]) throws {
        guard arguments.count == 1 else { return usage() }
        let path = arguments[0]
        print("ns of a call")
        try store(path)
        let objects = try Objects(path, size: 4 << 30)
        measure("take up what was stored, for each object", objectCount) {
            while objects.store.workBlocking(filesMax: 1_000) {}
        }
        let keys = (0..<objectCount).map { (Objects.key($0), Objects.hash($0)) }
        measure("find: closed", objectCount) {
            for (key, hash) in keys { _ = key.span.withUnsafeBytes { find(objects, $0, hash) } }
        }
        measure("open, first time, 16 KiB", objectCount) {
            for number in 0..<objectCount { _ = objects.open(number) }
        }
        measure("open again", objectCount) {
            for number in 0..<objectCount { _ = objects.open(number) }
        }
        let (key, hash) = keys[objectCount - 1]
        measure("find: open", objectCount) {
            for _ in 0..<objectCount { _ = key.span.withUnsafeBytes { find(objects, $0, hash) } }
        }
        measure("remove", objectCount) {
            for (_, hash) in keys { _ = try? objects.store.removeBlocking(hash: hash) }
        }
    }

    private static func store(_ path: String) throws {
        let objects = try Objects(path, size: 4 << 30)
        while objects.store.workBlocking(filesMax: 1_000) {}
        measure("store 16 KiB, with making them", objectCount) {
            for number in 0..<objectCount { _ = objects.put(number, version: 1, count: 16_384) }
        }
    }

    private static func find(
        _ objects: Objects,
        _ key: UnsafeRawBufferPointer,
        _ hash: UInt64
    ) -> Bool {
        switch objects.store.find(key, hash: hash) {
        case .absent: false
        case .closed: true
        case .open: true
        }
    }

    private static func measure(_ name: String, _ calls: Int, _ body: () -> Void) {
        let start = Threads.now()
        body()
        print("\(name): \((Threads.now() - start) / UInt64(calls))")
    }
}
