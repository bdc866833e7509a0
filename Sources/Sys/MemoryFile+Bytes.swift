import CLinux

extension MemoryFile {
    /// A file in memory with these bytes, to be handed to another process.
    ///
    /// - Parameter name: shown by tools.
    public static func holding(
        _ bytes: [UInt8],
        name: String
    ) throws(Errno) -> SharedDescriptor {
        let made = Int32(try Errno.check(Int(clinux_memory_file(name))))
        let file = SharedDescriptor(FileDescriptor(owning: made))
        var at = 0
        while at < bytes.count {
            let result = bytes.withUnsafeBytes { from in
                Int(
                    clinux_write(
                        file.number,
                        from.baseAddress?.advanced(by: at),
                        from.count - at
                    )
                )
            }
            at += try Errno.check(result)
        }
        return file
    }

    /// A file in memory of so many zero bytes, to be shared with another process.
    public static func zeroes(_ count: Int, name: String) throws(Errno) -> SharedDescriptor {
        let made = Int32(try Errno.check(Int(clinux_memory_file(name))))
        let file = SharedDescriptor(FileDescriptor(owning: made))
        _ = try Errno.check(Int(clinux_set_file_size(file.number, Int64(count))))
        return file
    }

    /// All bytes of a file that somebody handed over, wherever its offset stands.
    ///
    /// - Parameter bytesMax: a longer file throws EFBIG.
    public static func bytes(
        of file: SharedDescriptor,
        bytesMax: Int
    ) throws(Errno) -> [UInt8] {
        let size = try Errno.check(Int(clinux_file_size(file.number)))
        guard size <= bytesMax else { throw Errno(EFBIG) }
        var result = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, initialized in
            while initialized < size {
                result = Int(
                    clinux_read_at(
                        file.number,
                        buffer.baseAddress?.advanced(by: initialized),
                        size - initialized,
                        Int64(initialized)
                    )
                )
                guard result > 0 else { return }
                initialized += result
            }
        }
        _ = try Errno.check(result)
        return bytes
    }
}
