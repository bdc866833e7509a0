internal import CacheDisk
internal import Glibc
internal import TinyUFO
internal import TinyUFOWorkloads

/// Objects whose body is made of the key's number and a version, which the metadata say.
///
/// So anybody can see whether one is whole.
final class Objects: @unchecked Sendable {
    // Safe: a store is made for many threads.
    let store: DiskStore
    private static let keyHash = KeyHash(low: 1, high: 2)

    init(_ path: String, size: UInt64) throws {
        var configuration = DiskStore.Configuration(size: size, keyHash: Self.keyHash)
        configuration.openFilesMax = 32
        configuration.retryNanoseconds = 0
        let path = Array(path.utf8) + [0]
        store = try path.span.withUnsafeBytes { path throws(DiskStore.OpenError) in
            // Safe: there is a zero at least.
            let start = path.baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: CChar.self)
            return try DiskStore.openBlocking(path: start, configuration)
        }
    }

    static func key(_ number: Int) -> [UInt8] { Array("key \(number)".utf8) }

    static func hash(_ number: Int) -> UInt64 { key(number).withUnsafeBytes { keyHash($0) } }

    /// Stores a version of an object.
    ///
    /// - Returns: whether it was stored.
    func put(_ number: Int, version: Int, count: Int) -> Bool {
        let body = Self.body(number, version, count)
        let meta = Array("\(number) \(version) \(count)".utf8)
        let beginning = Self.key(number).span.withUnsafeBytes { key in
            meta.span.withUnsafeBytes {
                store.beginBlocking(key, hash: Self.keyHash(key), meta: $0)
            }
        }
        guard case .writer(let writer) = consume beginning else { return false }
        do {
            for start in stride(from: 0, to: body.count, by: 16_384) {
                let piece = Array(body[start..<min(start + 16_384, body.count)])
                try piece.span.withUnsafeBytes { bytes throws(DiskWriter.WriteError) in
                    try writer.writeBlocking(bytes)
                }
            }
        } catch { return false }
        return writer.commitBlocking() == .stored
    }

    /// The object's file; nil when there is none.
    func open(_ number: Int) -> Entry? {
        let opening = Self.key(number).span.withUnsafeBytes {
            store.openBlocking($0, hash: Self.keyHash($0))
        }
        guard case .open(let entry) = consume opening else { return nil }
        return entry
    }

    /// Whether an object's key, metadata and body belong together.
    static func isWhole(_ entry: borrowing Entry) -> Bool {
        let words = String(decoding: entry.meta, as: UTF8.self).split(separator: " ")
        let numbers = words.compactMap { Int($0) }
        guard numbers.count == 3, entry.key.elementsEqual(key(numbers[0])) else { return false }
        var bytes = [UInt8](repeating: 0, count: Int(entry.bodyCount))
        let count = pread(entry.descriptor, &bytes, bytes.count, off_t(entry.bodyOffset))
        return count == bytes.count && bytes == body(numbers[0], numbers[1], numbers[2])
    }

    private static func body(_ number: Int, _ version: Int, _ count: Int) -> [UInt8] {
        var chance = Chance(seed: UInt64(number) << 32 | UInt64(version))
        var bytes = [UInt8](repeating: 0, count: count)
        for index in bytes.indices { bytes[index] = UInt8(truncatingIfNeeded: chance.next()) }
        return bytes
    }
}
