import Sys
import TLS

/// What a connection's bytes go through: its socket, or TLS on top of it.
struct Wire {
    let fd: Int32
    let tls: UnsafeMutablePointer<TLSStream>?

    /// Bytes that were read: more than 0; 0 at the end; `Syscall.wouldBlock`; or another negative
    /// error.
    ///
    /// - Parameter flags: of the connection; `readable` is taken out when nothing can come before
    ///   the next event.
    @inline(__always)
    func receive(
        _ to: UnsafeMutablePointer<UInt8>,
        _ room: Int,
        _ flags: inout ConnectionFlags
    ) -> Int {
        if let tls { return Self.receive(tls, to, room, &flags) }
        let count = Syscall.receive(fd, to, room)
        // After a short read there is nothing, unless the other side's end is what follows.
        if count < room, count > 0 ? !flags.contains(.readClosed) : count == Syscall.wouldBlock {
            flags.remove(.readable)
        }
        return count
    }

    @inline(never)
    private static func receive(
        _ tls: UnsafeMutablePointer<TLSStream>,
        _ to: UnsafeMutablePointer<UInt8>,
        _ room: Int,
        _ flags: inout ConnectionFlags
    ) -> Int {
        let count = tls.pointee.read(to, room)
        if count == Syscall.wouldBlock
            || count > 0 && !tls.pointee.mayRead && !flags.contains(.readClosed)
        {
            flags.remove(.readable)
        }
        return count
    }

    /// Bytes that were taken, or a negative error.
    ///
    /// TLS may keep some of what it has taken: see `hasPending`.
    @inline(__always)
    func send(_ pieces: inout Pieces) -> Int {
        if let tls { return tls.pointee.send(&pieces) }
        return Syscall.send(fd, &pieces)
    }

    @inline(__always)
    func send(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> Int {
        if let tls { return tls.pointee.send(bytes, count) }
        return Syscall.send(fd, bytes, count)
    }

    /// Whether the socket has yet to take what `send` has taken.
    @inline(__always) var hasPending: Bool { tls != nil && tls?.pointee.hasPending == true }

    /// Gives the socket what it has yet to take: 1 when that is all of it, `Syscall.wouldBlock`
    /// when it does not take more now, or another negative error.
    func flush() -> Int { tls?.pointee.flush() ?? 1 }

    /// Says that nothing follows, once all that TLS has taken is sent; what the other side sends
    /// can still be read.
    func finishSending(_ flags: inout ConnectionFlags) {
        tls?.pointee.close()
        if hasPending {
            flags.insert(.finishes)
        } else {
            Syscall.shutdownWrite(fd)
        }
    }

    /// Gives the socket what TLS has taken, as far as it takes it now; false when the connection is
    /// broken.
    @inline(never)
    func flushPending(_ flags: inout ConnectionFlags) -> Bool {
        let result = flush()
        guard result > 0 else { return result == Syscall.wouldBlock }
        if flags.contains(.finishes) {
            flags.remove(.finishes)
            Syscall.shutdownWrite(fd)
        }
        return true
    }

    /// Closes the socket and lets go of what is on top of it.
    func close() {
        if let tls { TLSStream.free(tls) }
        Syscall.close(fd)
    }
}

extension UnsafeMutablePointer<Downstream> {
    @inline(__always) var wire: Wire { Wire(fd: pointee.fd, tls: pointee.tls) }

    /// Reads what the client sent; as `Wire.receive`.
    @inline(__always)
    func receive(_ to: UnsafeMutablePointer<UInt8>, _ room: Int) -> Int {
        wire.receive(to, room, &pointee.flags)
    }
}

extension UnsafeMutablePointer<Upstream> {
    @inline(__always) var wire: Wire { Wire(fd: pointee.fd, tls: pointee.tls) }

    /// Reads what the peer sent; as `Wire.receive`.
    @inline(__always)
    func receive(_ to: UnsafeMutablePointer<UInt8>, _ room: Int) -> Int {
        wire.receive(to, room, &pointee.flags)
    }
}
