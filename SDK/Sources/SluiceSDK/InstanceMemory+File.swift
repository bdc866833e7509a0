import CFile

extension InstanceMemory {
    /// The bytes of a file, which is read now.
    ///
    /// - Parameters:
    ///   - path: a relative one is relative to the process's working directory; see `Host.path`.
    ///   - limit: bytes that the file may have.
    /// - Throws: when it cannot be read, is no regular file, or is longer.
    public func contents(of path: Bytes, limit: Int) throws(PluginError) -> Bytes {
        try read(path, limit: limit, isSecret: false)
    }

    /// The bytes of a file with a secret, which is read now.
    ///
    /// - Parameters:
    ///   - path: as of `contents`.
    ///   - limit: bytes that the file may have.
    /// - Throws: as `contents`, and when the file's mode gives others access, or its group more
    ///   than to read it.
    public func secret(of path: Bytes, limit: Int) throws(PluginError) -> Bytes {
        try read(path, limit: limit, isSecret: true)
    }

    private func read(_ path: Bytes, limit: Int, isSecret: Bool) throws(PluginError) -> Bytes {
        let name = String(path)
        var length: UInt64 = 0
        let descriptor = sluice_file_open(name, &length)
        guard descriptor >= 0 else { throw failure(name, Int64(descriptor)) }
        defer { sluice_file_close(descriptor) }
        if isSecret { try checkMode(of: descriptor, name) }
        // A byte more than there is, so that a file that grows meanwhile is seen.
        let room = min(Int(length), limit) + 1
        let start = allocate(UInt8.self, room)
        var count = 0
        while count < room {
            // Safe: there are `room` bytes, of which `count` are written.
            let length = sluice_file_read(descriptor, start + count, UInt64(room - count))
            guard length >= 0 else { throw failure(name, length) }
            if length == 0 { break }
            count += Int(length)
        }
        guard count <= limit else { throw PluginError("\(name): longer than \(limit) bytes") }
        guard count < room else { throw PluginError("\(name): changed while it was read") }
        return Bytes(UnsafePointer(start), count: count)
    }

    /// Refuses a file that others can use.
    private func checkMode(of descriptor: Int32, _ name: String) throws(PluginError) {
        let mode = sluice_file_mode(descriptor)
        guard mode >= 0 else { throw failure(name, Int64(mode)) }
        guard mode & 0o037 == 0 else {
            throw PluginError(
                "\(name): its mode 0\(String(mode, radix: 8)) lets others use the secret; 0600 or "
                    + "0640 is wanted"
            )
        }
    }

    private func failure(_ name: String, _ result: Int64) -> PluginError {
        guard result != Int64(SLUICE_FILE_IRREGULAR) else {
            return PluginError("\(name): not a regular file")
        }
        return PluginError("\(name): " + String(cString: sluice_file_error(result)))
    }
}
