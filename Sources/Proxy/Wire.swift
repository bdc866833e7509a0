import Sys

/// What a connection's bytes go through.
struct Wire {
    let fd: Int32

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
        let count = Syscall.receive(fd, to, room)
        // After a short read there is nothing, unless the other side's end is what follows.
        if count < room, count > 0 ? !flags.contains(.readClosed) : count == Syscall.wouldBlock {
            flags.remove(.readable)
        }
        return count
    }

    /// Bytes that were taken, or a negative error.
    @inline(__always)
    func send(_ pieces: inout Pieces) -> Int { Syscall.send(fd, &pieces) }

    @inline(__always)
    func send(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> Int {
        Syscall.send(fd, bytes, count)
    }

    /// Says that nothing follows; what the other side sends can still be read.
    func finishSending() { Syscall.shutdownWrite(fd) }
}

extension UnsafeMutablePointer<Downstream> {
    @inline(__always) var wire: Wire { Wire(fd: pointee.fd) }

    /// Reads what the client sent; as `Wire.receive`.
    @inline(__always)
    func receive(_ to: UnsafeMutablePointer<UInt8>, _ room: Int) -> Int {
        wire.receive(to, room, &pointee.flags)
    }
}

extension UnsafeMutablePointer<Upstream> {
    @inline(__always) var wire: Wire { Wire(fd: pointee.fd) }

    /// Reads what the peer sent; as `Wire.receive`.
    @inline(__always)
    func receive(_ to: UnsafeMutablePointer<UInt8>, _ room: Int) -> Int {
        wire.receive(to, room, &pointee.flags)
    }
}
