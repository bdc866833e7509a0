import CacheDisk
import SluiceSDK

/// Where objects are kept.
struct StorageConfiguration {
    /// Bytes, 1 MiB or more.
    let memoryBytes: Int
    /// Nil without one.
    let disk: DiskConfiguration?

    init(_ value: ConfigurationValue, _ host: Host) throws(PluginError) {
        let storage = try value.member("storage")
        try storage?.allowKeys(["memory", "disk"])
        let range = CacheConfiguration.memoryRange
        let plain = try CacheConfiguration.size("memory", of: value, in: range)
        if plain != nil, let other = try storage?.member("memory") {
            throw other.error("does not go with \"memory\"")
        }
        let inner = try storage.flatMap { storage throws(PluginError) in
            try CacheConfiguration.size("memory", of: storage, in: range)
        }
        memoryBytes = plain ?? inner ?? 67_108_864
        disk = try storage?.member("disk").map { disk throws(PluginError) in
            try DiskConfiguration(disk, host)
        }
    }
}

/// A folder that objects are kept in.
struct DiskConfiguration {
    /// As C has it; empty while a configuration is only checked.
    let path: Bytes
    /// Bytes of all files.
    let size: Int
    let sync: DiskStore.Sync
    /// Bytes of a body from which on it goes there; nil: what memory does not take.
    let objectBytesMin: Int?
    /// Files that are open to be read.
    let openFilesMax: Int

    static let sizeRange = Int(DiskStore.sizeMin)...Int(DiskStore.sizeMax)
    /// Bytes of a path, with its end.
    static let pathBytesMax = 4_096

    init(_ value: ConfigurationValue, _ host: Host) throws(PluginError) {
        try value.allowKeys(["path", "size", "sync", "min_object", "open_files"])
        _ = try value.required("size")
        size = try CacheConfiguration.size("size", of: value, in: Self.sizeRange) ?? 0
        switch try value.string("sync") ?? "none" {
        case "none": sync = .none
        case "data": sync = .data
        default: throw try Self.wrong("sync", of: value, "not \"none\" or \"data\"")
        }
        let most = Int(DiskStore.bodyBytesLimit)
        objectBytesMin = try CacheConfiguration.size("min_object", of: value, in: 0...most)
        openFilesMax =
            try value.integer("open_files", in: 1...DiskStore.openFilesLimit) ?? 256
        path = try Self.path(value, host)
    }

    private static func wrong(
        _ key: StaticString,
        of value: ConfigurationValue,
        _ message: String
    ) throws(PluginError) -> PluginError {
        try value.member(key)?.error(message) ?? value.error(message)
    }

    /// The folder's path; looks at the folder, too.
    private static func path(
        _ value: ConfigurationValue,
        _ host: Host
    ) throws(PluginError) -> Bytes {
        let member = try value.required("path")
        let text = try member.string()
        guard !text.isEmpty else { throw member.error("is empty") }
        for offset in text.indices where text[offset] == 0 {
            throw member.error("has a NUL")
        }
        guard let whole = host.path(text) else { return .empty }
        guard whole.count < pathBytesMax else {
            throw member.error("over \(pathBytesMax - 1) bytes")
        }
        let path = host.memory.join([whole, "\0"])
        if let fault = DiskStore.faultBlocking(path: path.cString) {
            throw member.error(fault.text)
        }
        return path
    }
}

extension Bytes {
    /// Bytes that end with a 0, as C has them.
    var cString: UnsafePointer<CChar> {
        UnsafeRawPointer(start).assumingMemoryBound(to: CChar.self)
    }
}

extension DiskError {
    /// Its line, as "cannot write a file: No space left on device".
    var text: String {
        withUnsafeTemporaryAllocation(byteCount: 160, alignment: 1) { room in
            let count = write(to: room)
            return String(decoding: UnsafeRawBufferPointer(rebasing: room[..<count]), as: UTF8.self)
        }
    }
}
