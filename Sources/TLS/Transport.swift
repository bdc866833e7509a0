internal import COpenSSL
internal import Sys

/// The socket as OpenSSL sees it: a BIO that reads from the descriptor and writes into the
/// worker's `TLSOutput`.
///
/// It has memory of its own, next to its stream's: OpenSSL calls back into it while a method of the
/// stream runs.
struct Transport {
    let fd: Int32
    /// Of the worker that has the stream.
    var output: UnsafeMutablePointer<TLSOutput>
    /// A read gave less than was asked for: until the next event there is nothing more.
    ///
    /// Holds for one call of the stream; an event may come between two.
    var isDrained = false
    /// The other side has sent all that it will.
    var isEnded = false
    /// The negated errno that the socket gave last, 0 for none.
    var failure = 0
    /// Ciphertext that the socket did not take: `pendingCount` bytes at `pendingStart`.
    var pending: UnsafeMutablePointer<UInt8>?
    var pendingStart = 0
    var pendingCount = 0
    /// Where a client's sessions are kept for the next connection.
    var slot: UnsafeMutablePointer<TLSSessionSlot>?
    var slotOwner: UInt64 = 0

    init(fd: Int32, output: UnsafeMutablePointer<TLSOutput>) {
        self.fd = fd
        self.output = output
    }

    /// Sends what the output holds; what the socket does not take is kept.
    ///
    /// - Returns: 1 when all is gone, `Syscall.wouldBlock`, or another negated errno.
    mutating func transmit() -> Int {
        let count = output.pointee.count
        let bytes = output.pointee.bytes
        output.pointee.count = 0
        if pendingCount > 0 {
            // Order: what is kept goes first.
            guard count == 0 || keep(bytes, count) else { return Self.outOfMemory }
            return flush()
        }
        if count == 0 { return 1 }
        let sent = Syscall.send(fd, bytes, count)
        if sent == count { return 1 }
        guard sent >= 0 || sent == Syscall.wouldBlock else {
            failure = sent
            return sent
        }
        let taken = max(sent, 0)
        // The kernel announces room after a short write as it does after EAGAIN.
        return keep(bytes + taken, count - taken) ? Syscall.wouldBlock : Self.outOfMemory
    }

    /// Sends what is kept: 1 when all is gone, `Syscall.wouldBlock`, or another negated errno.
    mutating func flush() -> Int {
        guard let bytes = pending, pendingCount > 0 else { return 1 }
        let sent = Syscall.send(fd, bytes + pendingStart, pendingCount)
        if sent == pendingCount {
            drop()
            return 1
        }
        guard sent >= 0 || sent == Syscall.wouldBlock else {
            failure = sent
            return sent
        }
        pendingStart += max(sent, 0)
        pendingCount -= max(sent, 0)
        return Syscall.wouldBlock
    }

    /// ENOMEM.
    static let outOfMemory = -12

    /// Adds to what is kept; false without memory, or over one batch.
    ///
    /// Only answers that OpenSSL gives by itself come on top of a batch, so that a client that
    /// provokes them and reads none of them is cut off here.
    private mutating func keep(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> Bool {
        guard pendingCount + count <= TLSOutput.capacity,
            let memory = Memory.allocate(pendingCount + count)
        else {
            failure = Self.outOfMemory
            return false
        }
        // Safe: room for both runs was just allocated.
        let joined = memory.assumingMemoryBound(to: UInt8.self)
        if let pending { joined.update(from: pending + pendingStart, count: pendingCount) }
        (joined + pendingCount).update(from: bytes, count: count)
        let total = pendingCount + count
        drop()
        pending = joined
        pendingCount = total
        return true
    }

    /// Forgets what is kept.
    mutating func drop() {
        if let pending { Memory.free(pending) }
        pending = nil
        pendingStart = 0
        pendingCount = 0
    }

    // MARK: The BIO

    /// A BIO over a transport, which must outlive it; nil without memory.
    static func bio(_ transport: UnsafeMutablePointer<Transport>) -> OpaquePointer? {
        guard let method = method.pointer, let bio = BIO_new(method) else { return nil }
        BIO_set_data(bio, transport)
        BIO_set_init(bio, 1)
        return bio
    }

    private struct Method: @unchecked Sendable {
        // Safe: made once, and only read from then on.
        let pointer: OpaquePointer?
    }

    private static let method: Method = {
        let kind = BIO_get_new_index() | Int32(BIO_TYPE_SOURCE_SINK)
        let method = BIO_meth_new(kind, "sluice")
        BIO_meth_set_read_ex(method) { bio, to, room, got in
            guard let bio, let to, let got else { return 0 }
            return Transport.read(bio, to, room, got)
        }
        BIO_meth_set_write_ex(method) { bio, from, count, taken in
            guard let bio, let from, let taken else { return 0 }
            return Transport.write(bio, from, count, taken)
        }
        BIO_meth_set_ctrl(method) { bio, command, _, _ in
            switch command {
            case BIO_CTRL_FLUSH: 1
            case BIO_CTRL_EOF: Transport.of(bio).map { $0.pointee.isEnded ? 1 : 0 } ?? 0
            default: 0
            }
        }
        return Method(pointer: method)
    }()

    private static func of(_ bio: OpaquePointer?) -> UnsafeMutablePointer<Transport>? {
        // Safe: `bio` was made with a transport, and the stream frees the BIO first.
        BIO_get_data(bio)?.assumingMemoryBound(to: Transport.self)
    }

    private static func read(
        _ bio: OpaquePointer,
        _ to: UnsafeMutablePointer<CChar>,
        _ room: Int,
        _ got: UnsafeMutablePointer<Int>
    ) -> Int32 {
        guard let transport = of(bio) else { return 0 }
        copenssl_bio_clear_retry(bio)
        if !transport.pointee.isDrained {
            let count = Syscall.receive(transport.pointee.fd, to, room)
            if count > 0 {
                transport.pointee.isDrained = count < room
                got.pointee = count
                return 1
            }
            guard count == Syscall.wouldBlock else {
                if count == 0 { transport.pointee.isEnded = true }
                transport.pointee.failure = count
                return 0
            }
            transport.pointee.isDrained = true
        }
        copenssl_bio_retry_read(bio)
        return 0
    }

    private static func write(
        _ bio: OpaquePointer,
        _ from: UnsafePointer<CChar>,
        _ count: Int,
        _ taken: UnsafeMutablePointer<Int>
    ) -> Int32 {
        guard let transport = of(bio) else { return 0 }
        copenssl_bio_clear_retry(bio)
        let output = transport.pointee.output
        let at = output.pointee.count
        guard count <= TLSOutput.capacity - at else {
            transport.pointee.failure = outOfMemory
            return 0
        }
        // Safe: the room behind `at` was just compared.
        UnsafeMutableRawPointer(output.pointee.bytes + at).copyMemory(from: from, byteCount: count)
        output.pointee.count = at + count
        taken.pointee = count
        return 1
    }
}
