import CLinux

/// Who is at the other end of a Unix socket, as of its `connect`.
public struct PeerCredentials: Equatable, Sendable {
    public var process: Int32
    /// Effective user and group.
    public var user: UInt32
    public var group: UInt32

    public init(process: Int32, user: UInt32, group: UInt32) {
        self.process = process
        self.user = user
        self.group = group
    }
}

/// Arrays in place of pointers, for those who move little.
extension Socket {
    /// Reads what has come, up to `bytesMax` bytes.
    ///
    /// - Returns: the bytes, none at the end of the stream.
    /// - Throws: what `recv` said; `.wouldBlock` when nothing has come.
    public static func receive(_ fd: Int32, bytesMax: Int) throws(Errno) -> [UInt8] {
        var piece = [UInt8](repeating: 0, count: bytesMax)
        let count = try Errno.check(Syscall.receive(fd, &piece, piece.count))
        piece.removeLast(piece.count - count)
        return piece
    }

    /// Sends bytes from an offset on.
    ///
    /// - Parameter offset: less than the number of bytes.
    /// - Returns: how many were sent, at least 1.
    /// - Throws: what `send` said; `.wouldBlock` when there is no room.
    public static func send(_ fd: Int32, _ bytes: [UInt8], from offset: Int) throws(Errno) -> Int {
        precondition(bytes.indices.contains(offset), "offset \(offset) of \(bytes.count) bytes")
        let result = bytes.withUnsafeBytes { bytes in
            // Safe: the offset is one of the array's.
            bytes.baseAddress.map { Syscall.send(fd, $0 + offset, bytes.count - offset) } ?? 0
        }
        return try Errno.check(result)
    }

    /// Who connected a Unix socket (SO_PEERCRED).
    ///
    /// - Throws: what `getsockopt` said.
    public static func peerCredentials(_ fd: Int32) throws(Errno) -> PeerCredentials {
        var words: (Int32, UInt32, UInt32) = (0, 0, 0)
        _ = try Errno.check(Int(clinux_peer_credentials(fd, &words.0, &words.1, &words.2)))
        return PeerCredentials(process: words.0, user: words.1, group: words.2)
    }
}
