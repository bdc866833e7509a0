/// How many bytes of control frames wait in the output.
///
/// They are counted in two halves: those written up to a mark, and those since. When the output was
/// taken up to the mark, the first half is gone for sure and the second becomes the first. So the
/// count is never too low, and too high by what was taken since the last mark at most.
struct ControlAccount {
    private var beforeMark = 0
    private var sinceMark = 0
    /// Bytes of output still to be taken before the mark is reached.
    private var toMark = 0

    var count: Int { beforeMark &+ sinceMark }

    mutating func wrote(_ bytes: Int) { sinceMark &+= bytes }

    /// - Parameter left: bytes of output that still wait.
    mutating func took(_ bytes: Int, left: Int) {
        toMark &-= bytes
        guard toMark <= 0 else { return }
        beforeMark = left == 0 ? 0 : sinceMark
        sinceMark = 0
        toMark = left
    }
}

/// The frames that a connection writes by itself, and what the caller takes.
extension H2Connection {
    /// Bytes to be written to the peer; nil when there are none.
    ///
    /// Valid until the next call that changes the connection.
    public var output: UnsafePointer<UInt8>? { pending.bytes.map { UnsafePointer($0) } }

    /// How many bytes there are.
    public var outputCount: Int { pending.count }

    /// Takes bytes that were written from the start of the output; their block goes back with the
    /// last of them.
    public mutating func consumeOutput(_ count: Int) {
        guard count > 0 else { return }
        pending.dropFirst(count)
        control.took(count, left: pending.count)
    }

    /// What the output holds stays as it is: the writer has seen it without taking it.
    ///
    /// TLS may have made a record of it already, and says that it was taken only later.
    public mutating func sealOutput() { lastData = (0, 0) }

    /// Writes the first frames (RFC 9113 §3.4).
    mutating func writeStart() {
        let preface = Self.preface
        if role == .client { pending.append(preface.utf8Start, preface.utf8CodeUnitCount) }
        let out = pending.makeRoom(H2Settings.frameBytesMax)
        let count = localSettings.write(role: role, to: out + FrameHeader.byteCount)
        FrameHeader(length: count, type: .settings, flags: 0, stream: 0).write(to: out)
        pending.grow(FrameHeader.byteCount &+ count)
        // The connection's window is not a setting: it grows by WINDOW_UPDATE alone (§6.9.2).
        let more = Int32(truncatingIfNeeded: limits.connectionWindowBytes &- 65_535)
        if more > 0 { writeWindowUpdate(0, more) }
    }

    /// Writes a frame with a payload of at most 16 bytes, and counts it among those that wait.
    ///
    /// When the peer has not read too many of them, the connection is over: it makes us answer and
    /// does not take the answers.
    private mutating func writeControl(
        _ type: FrameType,
        _ flags: UInt8,
        _ stream: UInt32,
        _ count: Int,
        _ payload: (UnsafeMutablePointer<UInt8>) -> Void
    ) {
        guard failure == nil, pendingFailure == nil else { return }
        let size = FrameHeader.byteCount &+ count
        guard control.count &+ size <= limits.controlBytesMax else {
            pendingFailure = H2Failure(
                over: .unreadControl,
                "control frames are asked for and not read"
            )
            return
        }
        put(type, flags, stream, count, payload)
        control.wrote(size)
    }

    private mutating func put(
        _ type: FrameType,
        _ flags: UInt8,
        _ stream: UInt32,
        _ count: Int,
        _ payload: (UnsafeMutablePointer<UInt8>) -> Void
    ) {
        let out = pending.makeRoom(FrameHeader.byteCount &+ count)
        FrameHeader(length: count, type: type, flags: flags, stream: stream).write(to: out)
        lastData = (0, 0)
        payload(out + FrameHeader.byteCount)
        pending.grow(FrameHeader.byteCount &+ count)
    }

    mutating func writeSettingsAcknowledgement() {
        writeControl(.settings, FrameFlags.acknowledgement, 0, 0) { _ in }
    }

    /// Safe: `number` has eight bytes.
    mutating func writePing(_ number: UnsafePointer<UInt8>, flags: UInt8) {
        writeControl(.ping, flags, 0, 8) { $0.update(from: number, count: 8) }
    }

    mutating func writeReset(_ id: UInt32, _ code: H2ErrorCode) {
        if code == .refusedStream { refusedCount &+= 1 }
        writeControl(.rstStream, 0, id, 4) { $0.storeBigEndian(code.rawValue, at: 0) }
    }

    mutating func writeWindowUpdate(_ id: UInt32, _ increment: Int32) {
        writeControl(.windowUpdate, 0, id, 4) {
            $0.storeBigEndian(UInt32(bitPattern: increment), at: 0)
        }
    }

    /// Not counted: a connection has three at most.
    mutating func writeGoAway(last: UInt32, _ code: H2ErrorCode) {
        put(.goAway, 0, 0, 8) {
            $0.storeBigEndian(last, at: 0)
            $0.storeBigEndian(code.rawValue, at: 4)
        }
    }
}
