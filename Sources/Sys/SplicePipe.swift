import CLinux

/// A pipe that carries a body from one socket to another without a copy.
public struct SplicePipe {
    public var readEnd: Int32
    public var writeEnd: Int32
    /// Bytes that it holds at most.
    public var capacity: Int

    /// Bytes asked for.
    ///
    /// Unprivileged processes get it while all their pipes together stay under the system's soft
    /// limit, and the default of 64 KiB beyond it.
    public static let bytesWanted = 1_048_576

    public init() throws(Errno) {
        var ends: (Int32, Int32) = (-1, -1)
        let result = withUnsafeMutableBytes(of: &ends) { bytes in
            // Safe: two Int32 in a row.
            Int(clinux_pipe(bytes.baseAddress?.assumingMemoryBound(to: Int32.self)))
        }
        _ = try Errno.check(result)
        (readEnd, writeEnd) = ends
        let size = Int(clinux_pipe_size(writeEnd, Int32(Self.bytesWanted)))
        capacity = size > 0 ? size : 65_536
    }

    public func close() {
        Syscall.close(readEnd)
        Syscall.close(writeEnd)
    }
}
