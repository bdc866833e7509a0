internal import COpenSSL
public import Sys

/// Sending: pieces become records in the worker's output, and go out with one call a batch.
extension TLSStream {
    /// Ciphertext that the socket has not taken: `flush` when it is writable.
    public var hasPending: Bool { transport.pointee.pendingCount > 0 }

    /// Sends what the socket did not take before.
    ///
    /// - Returns: 1 when all is gone, `Syscall.wouldBlock`, or another negated errno.
    public mutating func flush() -> Int { transport.pointee.flush() }

    /// Encrypts all pieces, and sends as much ciphertext as the socket takes.
    ///
    /// Pieces share records, so that a head and its body need not be two.
    ///
    /// - Returns: bytes of plaintext taken: all of them, but when there are more than a batch
    ///   (262,144) and the socket does not take that, only full batches. `Syscall.wouldBlock`, with
    ///   none taken, while ciphertext is pending; or another negated errno, after which nothing
    ///   more can be sent.
    public mutating func send(_ pieces: inout Pieces) -> Int {
        var cursor = PieceCursor(pieces)
        return send(&cursor)
    }

    /// The same for one piece.
    public mutating func send(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> Int {
        var cursor = PieceCursor(bytes, count)
        return send(&cursor)
    }

    private mutating func send(_ cursor: inout PieceCursor) -> Int {
        guard isEstablished, !isBroken else { return Self.protocolError }
        if hasPending { return Syscall.wouldBlock }
        forgetErrors()
        noteIdle(cursor.left)
        var taken = 0
        while true {
            let before = cursor.left
            guard encryptBatch(&cursor) else {
                isBroken = true
                keepReason(atEnd: "the connection was closed")
                return Self.protocolError
            }
            taken += before - cursor.left
            let sent = transport.pointee.transmit()
            if sent == Syscall.wouldBlock { return taken }
            guard sent == 1 else {
                isBroken = true
                return sent
            }
            if cursor.left == 0 { return taken }
        }
    }

    // MARK: Records

    /// Bytes that go in records of one segment each, at the begin and after silence.
    ///
    /// A receiver can use no byte of a record before its last one. While the window of congestion
    /// is small, ten segments (RFC 6928), a record of 16 KiB would wait for a second round trip;
    /// small ones are used as they come. Behind that the window holds whole records, and small ones
    /// would only cost.
    static let smallRecordsBytesMax = 13_600
    /// Silence after which the window counts as small again, in nanoseconds (RFC 9293 has no
    /// number; Linux closes the window by the retransmission time, 200 ms and more).
    static let idleNanoseconds: UInt64 = 1_000_000_000

    /// What fits one segment is one record anyhow, and needs no look at the clock.
    private mutating func noteIdle(_ count: Int) {
        guard count > TLSOutput.smallRecordBytes else { return }
        let now = Clock.monotonicNanoseconds()
        if now &- burstTime > Self.idleNanoseconds { burstBytes = 0 }
        burstTime = now
    }

    /// Encrypts up to a batch into the output; false when OpenSSL refused.
    private mutating func encryptBatch(_ cursor: inout PieceCursor) -> Bool {
        var room = TLSOutput.batchBytesMax
        while room > 0, cursor.left > 0 {
            let isSmall = burstBytes < Self.smallRecordsBytesMax
            let record = isSmall ? TLSOutput.smallRecordBytes : TLSOutput.recordBytesMax
            let bytes: UnsafePointer<UInt8>
            var count = min(record, cursor.left, room)
            if cursor.run >= count {
                // OpenSSL cuts into full records by itself, and keeps its buffer meanwhile.
                if !isSmall { count = Self.wholeRecords(min(cursor.run, room), cursor.left) }
                bytes = cursor.bytes
                cursor.skip(count)
            } else {
                let gathered = transport.pointee.output.pointee.gathered
                cursor.copy(count, to: gathered)
                bytes = UnsafePointer(gathered)
            }
            var written = 0
            guard SSL_write_ex(ssl, bytes, count, &written) == 1 else { return false }
            room -= count
            burstBytes &+= count
        }
        return true
    }

    /// As much of a run as makes full records; all of it when nothing comes behind it.
    private static func wholeRecords(_ run: Int, _ left: Int) -> Int {
        run == left || run < TLSOutput.recordBytesMax
            ? run : run - run % TLSOutput.recordBytesMax
    }
}

/// A place in up to four pieces.
struct PieceCursor {
    private var pieces: Pieces
    private var index = 0
    /// The rest of the piece at `index`.
    private(set) var bytes: UnsafePointer<UInt8>
    private(set) var run: Int
    /// Bytes of all pieces that are left.
    private(set) var left: Int

    init(_ pieces: Pieces) {
        self.pieces = pieces
        left = pieces.byteCount
        (bytes, run) = pieces.count > 0 ? pieces.piece(0) : (PieceCursor.nothing, 0)
    }

    init(_ bytes: UnsafePointer<UInt8>, _ count: Int) {
        var pieces = Pieces()
        pieces.add(bytes, count)
        self.init(pieces)
    }

    /// An address to point at when there is nothing.
    private static var nothing: UnsafePointer<UInt8> {
        // Safe: never read, its run is empty.
        UnsafeRawPointer(("" as StaticString).utf8Start).assumingMemoryBound(to: UInt8.self)
    }

    /// Passes bytes of the run.
    mutating func skip(_ count: Int) {
        bytes += count
        run -= count
        left -= count
        if run == 0, left > 0 {
            index += 1
            (bytes, run) = pieces.piece(index)
        }
    }

    /// Copies from as many pieces as it takes; `count` is at most `left`.
    mutating func copy(_ count: Int, to: UnsafeMutablePointer<UInt8>) {
        var at = 0
        while at < count {
            let part = min(run, count - at)
            // Safe: `part` is within the run, and `to` has room for `count`.
            (to + at).update(from: bytes, count: part)
            at += part
            skip(part)
        }
    }
}
