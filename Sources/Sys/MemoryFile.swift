import CLinux

/// A file in memory without a name: written through its descriptor, read from where it was read
/// last.
public struct MemoryFile: ~Copyable, Sendable {
    private let descriptor: FileDescriptor
    private var offset: Int64 = 0

    /// - Parameter name: shown by tools.
    public init(name: String) throws(Errno) {
        descriptor = FileDescriptor(owning: Int32(try Errno.check(Int(clinux_memory_file(name)))))
    }

    /// What to write to.
    public var number: Int32 { descriptor.number }

    /// What was written since the last call.
    public mutating func take() -> [UInt8] {
        var bytes: [UInt8] = []
        while true {
            let count = withUnsafeTemporaryAllocation(byteCount: 16_384, alignment: 1) { buffer in
                let got = Int(
                    clinux_read_at(descriptor.number, buffer.baseAddress, buffer.count, offset)
                )
                if got > 0 { bytes += buffer[..<got] }
                return got
            }
            guard count > 0 else { return bytes }
            offset += Int64(count)
        }
    }
}
