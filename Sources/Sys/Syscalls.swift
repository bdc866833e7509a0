public import CLinux

/// The calls that a worker makes for its connections.
///
/// Results are those of the shims: 0 or more, or the negated errno. They are compared with
/// constants on the request path, where a throwing wrapper would cost a branch and a copy.
public enum Syscall {
    // Negated errnos of Linux, as literals so that the request path has no load; `SysTests`
    // compares them with the header's.

    /// EAGAIN: nothing to read, or no room to write, now.
    @inlinable public static var wouldBlock: Int { -11 }
    /// EINPROGRESS.
    @inlinable public static var inProgress: Int { -115 }
    /// EMFILE.
    @inlinable public static var outOfDescriptors: Int { -24 }
    /// ENFILE.
    @inlinable public static var outOfDescriptorsInSystem: Int { -23 }
    /// ECONNABORTED: the client was gone before it was accepted.
    @inlinable public static var connectionAborted: Int { -103 }

    @inlinable
    public static func receive(_ fd: Int32, _ to: UnsafeMutableRawPointer, _ count: Int) -> Int {
        Int(clinux_recv(fd, to, count))
    }

    /// Reads what has come and leaves it there for the next read.
    public static func peek(_ fd: Int32, _ to: UnsafeMutableRawPointer, _ count: Int) -> Int {
        Int(clinux_peek(fd, to, count))
    }

    @inlinable
    public static func send(_ fd: Int32, _ from: UnsafeRawPointer, _ count: Int) -> Int {
        Int(clinux_send(fd, from, count))
    }

    /// Sends bytes that TCP may hold back, for up to 200 ms, to send them in one segment with those
    /// that follow (MSG_MORE).
    public static func sendMore(_ fd: Int32, _ from: UnsafeRawPointer, _ count: Int) -> Int {
        Int(clinux_send_more(fd, from, count))
    }

    /// Sends the pieces in order with one call.
    @inlinable
    public static func send(_ fd: Int32, _ pieces: inout Pieces) -> Int {
        if pieces.raw.count == 1 {
            return Int(
                clinux_send(fd, pieces.raw.piece.0.iov_base, pieces.raw.piece.0.iov_len)
            )
        }
        return Int(clinux_send_pieces(fd, &pieces.raw))
    }

    @inline(__always)
    public static func splice(from: Int32, to: Int32, _ count: Int) -> Int {
        Int(clinux_splice(from, to, count))
    }

    /// Sends bytes of a file without their entering the process; 0 behind the file's end.
    public static func sendFile(_ fd: Int32, from file: Int32, offset: UInt64, _ count: Int)
        -> Int
    {
        Int(clinux_sendfile(fd, file, offset, count))
    }

    @inline(__always)
    public static func close(_ fd: Int32) {
        _ = clinux_close(fd)
    }

    public static func shutdownWrite(_ fd: Int32) {
        _ = clinux_shutdown_write(fd)
    }

    /// The next `close` sends a reset: the peer must not take what it got for a whole message.
    public static func resetOnClose(_ fd: Int32) {
        _ = clinux_set_reset_on_close(fd)
    }

    /// The pending error of a socket as a positive errno, 0 when there is none.
    public static func socketError(_ fd: Int32) -> Int {
        Int(clinux_socket_error(fd))
    }
}

/// Up to four runs of bytes that one call sends.
///
/// The bytes must outlive the call.
public struct Pieces {
    @usableFromInline var raw = clinux_pieces()
    /// Bytes of all pieces together.
    public var byteCount = 0

    @inlinable
    public init() {}

    /// Adds a run; an empty one is left out.
    @inlinable
    public mutating func add(_ bytes: UnsafePointer<UInt8>, _ count: Int) {
        guard count > 0 else { return }
        let piece = iovec(iov_base: UnsafeMutableRawPointer(mutating: bytes), iov_len: count)
        switch raw.count {
        case 0: raw.piece.0 = piece
        case 1: raw.piece.1 = piece
        case 2: raw.piece.2 = piece
        case 3: raw.piece.3 = piece
        default: preconditionFailure("more than four pieces in one send")
        }
        raw.count &+= 1
        byteCount &+= count
    }

    /// Number of pieces, 0 to 4.
    public var count: Int { Int(raw.count) }

    /// The piece at `index`, less than `count`.
    public func piece(_ index: Int) -> (bytes: UnsafePointer<UInt8>, count: Int) {
        let piece =
            switch index {
            case 0: raw.piece.0
            case 1: raw.piece.1
            case 2: raw.piece.2
            default: raw.piece.3
            }
        // Safe: `add` stored a non-null pointer to bytes.
        return (UnsafePointer(piece.iov_base.assumingMemoryBound(to: UInt8.self)), piece.iov_len)
    }
}
