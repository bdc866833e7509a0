import Glibc

/// Bytes of an instance's own, freed with this object.
public final class OwnedBytes {
    /// All bytes; valid as long as this object.
    public let bytes: Bytes

    private let memory: UnsafeMutableRawPointer

    /// A copy of a text.
    public init(_ text: String) {
        let utf8 = text.utf8
        memory = .allocate(byteCount: utf8.count + 1, alignment: 1)
        var count = 0
        for byte in utf8 {
            // Safe: there is room for all bytes of the text.
            memory.storeBytes(of: byte, toByteOffset: count, as: UInt8.self)
            count += 1
        }
        bytes = Bytes(UnsafePointer(memory.assumingMemoryBound(to: UInt8.self)), count: count)
    }

    /// Copies of several pieces, one behind the other.
    public init(joining pieces: [Bytes]) {
        memory = .allocate(byteCount: pieces.reduce(1) { $0 + $1.count }, alignment: 1)
        var count = 0
        for piece in pieces {
            // Safe: there is room for all bytes of all pieces.
            (memory + count).copyMemory(from: piece.start, byteCount: piece.count)
            count += piece.count
        }
        bytes = Bytes(UnsafePointer(memory.assumingMemoryBound(to: UInt8.self)), count: count)
    }

    /// Reads a file of up to `limit` bytes.
    ///
    /// A relative path is relative to the working directory.
    ///
    /// - Throws: when it cannot be read, is no regular file, or is longer.
    public init(contentsOf path: Bytes, limit: Int) throws(PluginError) {
        let name = String(path)
        let descriptor = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw OwnedBytes.failure(name) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw OwnedBytes.failure(name) }
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
                let failure = OwnedBytes.failure(name)
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
