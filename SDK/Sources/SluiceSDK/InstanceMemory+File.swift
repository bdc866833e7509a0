import Glibc

extension InstanceMemory {
    /// The bytes of a file, which is read now.
    ///
    /// - Parameters:
    ///   - path: of `Host.path`; a relative one is relative to the process's working directory.
    ///   - limit: bytes that the file may have.
    /// - Throws: when it cannot be read, is no regular file, or is longer.
    public func contents(of path: Bytes, limit: Int) throws(PluginError) -> Bytes {
        let name = String(path)
        // Not to wait for the other end of a pipe.
        let descriptor = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw failure(name) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure(name) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw PluginError("\(name): not a regular file")
        }
        // A byte more than there is, so that a file that grows meanwhile is seen.
        let room = min(Int(status.st_size), limit) + 1
        let start = allocate(UInt8.self, room)
        var count = 0
        while count < room {
            // Safe: there are `room` bytes, of which `count` are written.
            let length = read(descriptor, start + count, room - count)
            if length < 0 && errno == EINTR { continue }
            guard length >= 0 else { throw failure(name) }
            if length == 0 { break }
            count += length
        }
        guard count <= limit else { throw PluginError("\(name): longer than \(limit) bytes") }
        guard count < room else { throw PluginError("\(name): changed while it was read") }
        return Bytes(UnsafePointer(start), count: count)
    }

    private func failure(_ name: String) -> PluginError {
        PluginError("\(name): " + String(cString: strerror(errno)))
    }
}
