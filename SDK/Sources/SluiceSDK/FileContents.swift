import Glibc

/// The bytes of a file, read once and freed with this object.
public final class FileContents {
    /// All bytes; valid as long as this object.
    public let bytes: Bytes

    private let memory: UnsafeMutableRawPointer

    /// Reads a file of up to `limit` bytes.
    ///
    /// A relative path is relative to the working directory.
    ///
    /// - Throws: when it cannot be read, is no regular file, or is longer.
    public init(path: Bytes, limit: Int) throws(PluginError) {
        let name = String(path)
        let descriptor = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw FileContents.failure(name) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw FileContents.failure(name) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw PluginError("\(name): not a regular file")
        }
        // One byte more than allowed, so that a file that grows meanwhile is seen.
        let room = limit + 1
        memory = .allocate(byteCount: room, alignment: 16)
        var count = 0
        while count < room {
            // Safe: `room` bytes were allocated, `count` of them are written.
            let length = read(descriptor, memory + count, room - count)
            if length < 0 && errno == EINTR { continue }
            if length < 0 {
                let failure = FileContents.failure(name)
                memory.deallocate()
                throw failure
            }
            if length == 0 { break }
            count += length
        }
        guard count <= limit else {
            memory.deallocate()
            throw PluginError("\(name): longer than \(limit) bytes")
        }
        bytes = Bytes(UnsafePointer(memory.assumingMemoryBound(to: UInt8.self)), count: count)
    }

    deinit {
        memory.deallocate()
    }

    private static func failure(_ name: String) -> PluginError {
        PluginError("\(name): " + String(cString: strerror(errno)))
    }
}
