internal import CacheDisk
internal import Glibc
internal import TinyUFO
internal import TinyUFOWorkloads

/// `CacheDiskBench crash FOLDER SEED`: stores, replaces and removes objects on two threads until it
/// is killed, for the tests.
///
/// A body is made of its key's number and a version, which its metadata say, so that anybody can
/// see whether it is whole.
enum Crash {
    static func run(_ arguments: [String]) throws {
        guard arguments.count == 2, let seed = UInt64(arguments[1]) else {
            return print("usage: CacheDiskBench crash FOLDER SEED")
        }
        let shared = Shared(try open(arguments[0]))
        while shared.store.workBlocking(filesMax: 1_000) {}
        // The test may kill it from now on.
        let line = Array("ready\n".utf8)
        write(1, line, line.count)
        Threads.run(2) { thread in
            var chance = Chance(seed: seed &* 2 &+ UInt64(thread))
            while true { step(shared.store, &chance) }
        }
    }

    private final class Shared: @unchecked Sendable {
        // Safe: a store is made for many threads.
        let store: DiskStore
        init(_ store: consuming DiskStore) { self.store = store }
    }

    private static let keyHash = KeyHash(low: 1, high: 2)

    private static func open(_ path: String) throws -> DiskStore {
        let configuration = DiskStore.Configuration(size: 4 << 20, keyHash: keyHash)
        let path = Array(path.utf8) + [0]
        return try path.span.withUnsafeBytes { path throws(DiskStore.OpenError) in
            // Safe: there is a zero at least.
            let start = path.baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: CChar.self)
            return try DiskStore.openBlocking(path: start, configuration)
        }
    }

    private static func step(_ store: borrowing DiskStore, _ chance: inout Chance) {
        let number = chance.below(100)
        let key = Array("key \(number)".utf8)
        let hash = key.withUnsafeBytes { keyHash($0) }
        switch chance.below(10) {
        case 0: _ = try? store.removeBlocking(hash: hash)
        case 1: _ = store.forget(hash: hash)
        default:
            let version = chance.below(1_000_000)
            let count = chance.below(chance.below(5) == 0 ? 300_000 : 20_000)
            put(store, key, hash, "\(number) \(version) \(count)", body(number, version, count))
        }
    }

    private static func put(
        _ store: borrowing DiskStore,
        _ key: [UInt8],
        _ hash: UInt64,
        _ meta: String,
        _ body: [UInt8]
    ) {
        let meta = Array(meta.utf8)
        let beginning = key.span.withUnsafeBytes { key in
            meta.span.withUnsafeBytes { store.beginBlocking(key, hash: hash, meta: $0) }
        }
        guard case .writer(let writer) = consume beginning else { return }
        do {
            for start in stride(from: 0, to: body.count, by: 8_192) {
                let piece = Array(body[start..<min(start + 8_192, body.count)])
                try piece.span.withUnsafeBytes { bytes throws(DiskWriter.WriteError) in
                    try writer.writeBlocking(bytes)
                }
            }
        } catch { return writer.abortBlocking() }
        _ = writer.commitBlocking()
    }

    /// The body of a version; the test makes the same.
    private static func body(_ number: Int, _ version: Int, _ count: Int) -> [UInt8] {
        var chance = Chance(seed: UInt64(number) << 32 | UInt64(version))
        var bytes = [UInt8](repeating: 0, count: count)
        for index in bytes.indices { bytes[index] = UInt8(truncatingIfNeeded: chance.next()) }
        return bytes
    }
}
