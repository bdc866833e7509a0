import CacheDisk
import Glibc
import TinyUFO

/// A folder of a test's own, which is gone with it.
final class TestFolder {
    let path: String

    /// In memory where there is such a file system, as hundreds of folders are made and removed.
    private static let usual = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"

    /// - Parameter parent: where it is made.
    init(in parent: String? = nil) {
        let parent = parent ?? Self.usual
        var template = Array("\(parent)/cachedisk.XXXXXX".utf8CString)
        precondition(mkdtemp(&template) != nil, "mkdtemp in \(parent): error \(errno)")
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { Self.remove(path) }

    /// Files of objects, as paths.
    var files: [String] {
        Self.names(in: path).filter { $0.count == 2 }.flatMap { folder in
            Self.names(in: "\(path)/\(folder)").map { "\(path)/\(folder)/\($0)" }
        }.sorted()
    }

    /// Files that are not finished.
    var newFiles: [String] { Self.names(in: path + "/new") }

    /// Bytes that the files take on the disk.
    var usedBytes: Int {
        (files + newFiles.map { path + "/new/" + $0 }).reduce(0) { sum, file in
            var status = stat()
            return stat(file, &status) == 0 ? sum + Int(status.st_blocks) * 512 : sum
        }
    }

    static func names(in folder: String) -> [String] {
        guard let list = opendir(folder) else { return [] }
        defer { closedir(list) }
        var names: [String] = []
        while let entry = readdir(list) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    /// Removes what is at a path, with all below it.
    static func remove(_ path: String) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        if status.st_mode & S_IFMT == S_IFDIR {
            for name in names(in: path) { remove("\(path)/\(name)") }
            rmdir(path)
        } else {
            unlink(path)
        }
    }

    /// Changes bytes of a file.
    static func write(_ bytes: [UInt8], to path: String, at offset: Int = 0) {
        let file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        precondition(file >= 0, "\(path): error \(errno)")
        precondition(pwrite(file, bytes, bytes.count, off_t(offset)) == bytes.count)
        close(file)
    }

    static func read(_ path: String) -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        precondition(file >= 0, "\(path): error \(errno)")
        defer { close(file) }
        var status = stat()
        fstat(file, &status)
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        precondition(pread(file, &bytes, bytes.count, 0) == bytes.count)
        return bytes
    }
}

/// A store whose keys, metadata and bodies are text or bytes.
final class TestStore: @unchecked Sendable {
    // Safe: a store is made for many threads.
    let store: DiskStore
    static let keyHash = KeyHash(low: 1, high: 2)

    /// - Parameter isRebuilt: whether to wait for what was stored before.
    init(
        _ path: String,
        size: UInt64 = 64 << 20,
        isRebuilt: Bool = true,
        _ change: (inout DiskStore.Configuration) -> Void = { _ in }
    ) throws {
        var configuration = DiskStore.Configuration(size: size, keyHash: Self.keyHash)
        configuration.retryNanoseconds = 0
        change(&configuration)
        store = try with(Array(path.utf8) + [0]) { path throws(DiskStore.OpenError) in
            // Safe: there is a zero at least.
            let start = path.baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: CChar.self)
            return try DiskStore.openBlocking(path: start, configuration)
        }
        if isRebuilt { rebuild() }
    }

    func rebuild() { while store.workBlocking(filesMax: 100) {} }

    var statistics: DiskStore.Statistics { store.statistics }
    var state: DiskStore.State { store.state }

    struct Object: Equatable {
        var meta: String
        var body: [UInt8]
    }

    static func hash(_ key: String) -> UInt64 {
        Array(key.utf8).withUnsafeBytes { keyHash($0) }
    }

    /// What became of an object.
    enum Stored: Equatable {
        case done(DiskWriter.Outcome)
        case refused(String)
    }

    @discardableResult
    func put(
        _ key: String,
        _ body: [UInt8],
        meta: String = "",
        knowsLength: Bool = true,
        keepUntil: UInt64 = 0,
        hash: UInt64? = nil
    ) -> Stored {
        let beginning = begin(
            key,
            meta: meta,
            bodyCount: knowsLength ? UInt64(body.count) : nil,
            keepUntil: keepUntil,
            hash: hash
        )
        switch consume beginning {
        case .writer(let writer):
            do throws(DiskWriter.WriteError) {
                var at = 0
                while at < body.count {
                    let end = min(at + 100_000, body.count)
                    try with(Array(body[at..<end])) { bytes throws(DiskWriter.WriteError) in
                        try writer.writeBlocking(bytes)
                    }
                    at = end
                }
            } catch {
                writer.abortBlocking()
                return .done(.failed(error))
            }
            return .done(writer.commitBlocking())
        case .rebuilding: return .refused("rebuilding")
        case .tooLarge: return .refused("too large")
        case .crowded: return .refused("crowded")
        case .failed(let error): return .refused(text(error))
        }
    }

    func begin(
        _ key: String,
        meta: String = "",
        bodyCount: UInt64? = nil,
        keepUntil: UInt64 = 0,
        hash: UInt64? = nil
    ) -> DiskStore.Beginning {
        with(Array(key.utf8)) { key in
            with(Array(meta.utf8)) { meta in
                store.beginBlocking(
                    key,
                    hash: hash ?? Self.keyHash(key),
                    meta: meta,
                    bodyCount: bodyCount,
                    keepUntil: keepUntil
                )
            }
        }
    }

    /// Opens an object; nil when there is none.
    func open(_ key: String, hash: UInt64? = nil) -> Entry? {
        let opening = with(Array(key.utf8)) {
            store.openBlocking($0, hash: hash ?? Self.keyHash($0))
        }
        guard case .open(let entry) = consume opening else { return nil }
        return entry
    }

    struct Absent: Error { var key: String }

    /// Opens an object that must be there.
    func entry(_ key: String) throws -> Entry {
        guard let entry = open(key) else { throw Absent(key: key) }
        return entry
    }

    /// "absent", "open", "crowded" or the error's text.
    func opening(_ key: String) -> String {
        let opening = with(Array(key.utf8)) {
            store.openBlocking($0, hash: Self.keyHash($0))
        }
        switch consume opening {
        case .absent: return "absent"
        case .open: return "open"
        case .crowded: return "crowded"
        case .failed(let error): return text(error)
        }
    }

    /// "absent", "closed" or "open".
    func finding(_ key: String, hash: UInt64? = nil) -> String {
        let finding = with(Array(key.utf8)) {
            store.find($0, hash: hash ?? Self.keyHash($0))
        }
        switch consume finding {
        case .absent: return "absent"
        case .closed: return "closed"
        case .open: return "open"
        }
    }

    func get(_ key: String, hash: UInt64? = nil) -> Object? {
        guard let entry = open(key, hash: hash) else { return nil }
        precondition(entry.key.elementsEqual(key.utf8), "another key")
        return Self.object(entry)
    }

    static func object(_ entry: borrowing Entry) -> Object {
        Object(meta: String(decoding: entry.meta, as: UTF8.self), body: body(entry))
    }

    /// As `sendfile` would see it.
    static func body(_ entry: borrowing Entry) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Int(entry.bodyCount))
        let count = pread(entry.descriptor, &bytes, bytes.count, off_t(entry.bodyOffset))
        precondition(count == bytes.count, "\(count) of \(bytes.count) bytes")
        return bytes
    }

    /// As a reader of bytes sees it.
    static func part(_ entry: borrowing Entry, at offset: UInt64, room: Int) throws -> ArraySlice<
        UInt8
    > {
        var bytes = [UInt8](repeating: 0, count: room)
        let count = try bytes.withUnsafeMutableBytes {
            try entry.readBlocking(into: $0, at: offset)
        }
        return bytes[..<count]
    }

    func remove(_ key: String) throws(DiskError) -> Bool {
        try store.removeBlocking(hash: Self.hash(key))
    }
}

/// The bytes of an array, for what can't be copied as well.
func with<Result: ~Copyable, Failure: Error>(
    _ bytes: [UInt8],
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
) throws(Failure) -> Result {
    try bytes.span.withUnsafeBytes(body)
}

/// The error as the log has it.
func text(_ error: DiskError) -> String {
    var bytes = [UInt8](repeating: 0, count: 200)
    let count = bytes.withUnsafeMutableBytes { error.write(to: $0) }
    return String(decoding: bytes[..<count], as: UTF8.self)
}

/// Bytes that look random, and are the same for the same number.
func noise(_ seed: Int, count: Int) -> [UInt8] {
    var state = UInt64(truncatingIfNeeded: seed) &* 0x9e37_79b9_7f4a_7c15 | 1
    return (0..<count).map { _ in
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return UInt8(truncatingIfNeeded: state >> 24)
    }
}
