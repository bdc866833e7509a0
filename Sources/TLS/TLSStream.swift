internal import COpenSSL
internal import Sys

/// One connection that speaks TLS, over a socket that does not block.
///
/// Lives in memory of its own from `accept` or `connect` to `free`, and is used by one thread. It
/// reads and writes the socket by itself, and leaves it open. OpenSSL allocates a record's buffer
/// when bytes move, and frees it when none are left, so that an idle connection holds little.
///
/// The socket may be watched edge-triggered: after a call that says "again" or `wouldBlock`, the
/// next event is announced.
public struct TLSStream {
    /// What became of a step of the handshake.
    public enum Step: Sendable, Equatable {
        case done
        /// Call again when the socket is readable, or, if `hasPending`, writable.
        case again
        /// `failure` says why; the other side was told, if it could be.
        case failed
    }

    /// EPROTO: the other side broke the protocol, or what it sent was changed on the way.
    public static let protocolError = -71
    /// ESHUTDOWN: the other side ended the connection without saying so in TLS.
    ///
    /// What it sent may be cut (RFC 8446 §6.1).
    public static let truncated = -108

    let ssl: OpaquePointer
    let transport: UnsafeMutablePointer<Transport>
    /// Reading failed for good with this number, 0 for not.
    var readFailure = 0
    var isEstablished = false
    /// After an error nothing may be sent, not even `close_notify`.
    var isBroken = false
    /// `close_notify` was received.
    var isFinished = false
    /// OpenSSL wants bytes that the socket does not have.
    var isStarved = false
    /// Plaintext sent since the connection began or was idle, for the size of records.
    var burstBytes = 0
    /// When it was sent, in nanoseconds of the monotonic clock.
    var burstTime: UInt64 = 0
    /// A fixed text, or nil while nothing has failed.
    var reason: UnsafePointer<CChar>?

    // MARK: Life

    /// The server's side of a connection that was just accepted; nil without memory.
    ///
    /// - Parameter output: the worker's; it must outlive the stream.
    public static func accept(
        _ context: TLSServerContext,
        fd: Int32,
        _ output: UnsafeMutablePointer<TLSOutput>
    ) -> UnsafeMutablePointer<TLSStream>? {
        guard let ssl = context.makeConnection() else { return nil }
        SSL_set_accept_state(ssl)
        return make(ssl, fd: fd, output)
    }

    /// The client's side of a connection that stands; nil without memory.
    ///
    /// - Parameters:
    ///   - output: the worker's; it must outlive the stream.
    ///   - session: where the session of the last connection to this peer is, and where this one's
    ///     goes; it must outlive the stream. Nil resumes nothing.
    ///   - serverName: NUL-terminated host of the peer, a name or an IP address. It stands for the
    ///     settings' `serverName` when they have none. Nothing verifiable in either place fails the
    ///     handshake: an upstream that verifies never goes without.
    public static func connect(
        _ context: TLSClientContext,
        fd: Int32,
        _ output: UnsafeMutablePointer<TLSOutput>,
        session: UnsafeMutablePointer<TLSSessionSlot>? = nil,
        serverName: UnsafePointer<CChar>? = nil,
        offersHTTP2: Bool = true
    ) -> UnsafeMutablePointer<TLSStream>? {
        guard let connection = context.makeConnection(peer: serverName, session) else {
            return nil
        }
        SSL_set_connect_state(connection.ssl)
        if !offersHTTP2 { context.offerHTTP1(connection.ssl) }
        guard let stream = make(connection.ssl, fd: fd, output) else { return nil }
        if context.resumes {
            stream.pointee.transport.pointee.slot = session
            stream.pointee.transport.pointee.slotOwner = connection.id
        }
        if connection.lacksName {
            stream.pointee.isBroken = true
            stream.pointee.reason = noName
        }
        return stream
    }

    /// Bytes of a stream's block: itself, and behind it its transport.
    private static let blockBytes =
        MemoryLayout<TLSStream>.stride + MemoryLayout<Transport>.stride

    /// Takes the connection, also when there is no memory.
    private static func make(
        _ ssl: OpaquePointer,
        fd: Int32,
        _ output: UnsafeMutablePointer<TLSOutput>
    ) -> UnsafeMutablePointer<TLSStream>? {
        guard let block = Memory.allocate(blockBytes) else {
            SSL_free(ssl)
            return nil
        }
        // Safe: the block has room for both, and its begin and the stride fit their alignment.
        let stream = block.assumingMemoryBound(to: TLSStream.self)
        let transport = (block + MemoryLayout<TLSStream>.stride)
            .assumingMemoryBound(to: Transport.self)
        transport.initialize(to: Transport(fd: fd, output: output))
        guard let bio = Transport.bio(transport) else {
            Memory.free(block)
            SSL_free(ssl)
            return nil
        }
        SSL_set_bio(ssl, bio, bio)
        SSL_set_ex_data(ssl, 0, transport)
        stream.initialize(to: TLSStream(ssl: ssl, transport: transport))
        return stream
    }

    /// Makes the stream another worker's, which calls this; the one before uses it no more.
    ///
    /// Nothing in a connection belongs to a thread but what is replaced here: the context serves
    /// all workers, and OpenSSL counts references of sessions atomically.
    ///
    /// - Parameters:
    ///   - output: the new worker's; it must outlive the stream.
    ///   - session: the new worker's, of the same peer, for sessions that are still to come.
    public mutating func move(
        to output: UnsafeMutablePointer<TLSOutput>,
        session: UnsafeMutablePointer<TLSSessionSlot>
    ) {
        transport.pointee.output = output
        if transport.pointee.slot != nil { transport.pointee.slot = session }
    }

    /// Forgets the connection, its keys and what was not sent; the socket stays open.
    public static func free(_ stream: UnsafeMutablePointer<TLSStream>) {
        // OpenSSL takes a session for broken whose connection did not end by close_notify on both
        // sides, which few do; only an error of the protocol says that.
        if stream.pointee.isEstablished, stream.pointee.readFailure != protocolError {
            SSL_set_shutdown(stream.pointee.ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN)
        }
        SSL_free(stream.pointee.ssl)
        stream.pointee.transport.pointee.drop()
        Memory.free(stream)
    }

    // MARK: Handshake

    /// Goes on with the handshake as far as the socket allows.
    public mutating func handshake() -> Step {
        if isEstablished { return .done }
        if isBroken { return .failed }
        if hasPending {
            let flushed = transport.pointee.flush()
            if flushed != 1 {
                return flushed == Syscall.wouldBlock ? .again : fail(reading: "")
            }
        }
        transport.pointee.isDrained = false
        forgetErrors()
        let result = SSL_do_handshake(ssl)
        let error = result == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl, result)
        switch error {
        case SSL_ERROR_NONE, SSL_ERROR_WANT_READ:
            isEstablished = error == SSL_ERROR_NONE
            isStarved = transport.pointee.isDrained && SSL_has_pending(ssl) == 0
            let sent = transport.pointee.transmit()
            if sent != 1, sent != Syscall.wouldBlock { return fail(reading: "") }
            // A session ticket that is still to be sent does not hold up the first request.
            return isEstablished ? .done : .again
        default:
            let step = fail(reading: "the connection was closed during the handshake")
            _ = transport.pointee.transmit()
            return step
        }
    }

    /// Marks the connection as broken and keeps the reason.
    private mutating func fail(reading atEnd: StaticString) -> Step {
        isBroken = true
        isEstablished = false
        keepReason(atEnd: atEnd)
        return .failed
    }

    // MARK: Reading

    /// Decrypts what has come.
    ///
    /// - Parameter room: 1 or more.
    /// - Returns: bytes read; 0 when the other side said that it sends no more;
    ///   `Syscall.wouldBlock`; `truncated`; `protocolError`; or what the socket said.
    public mutating func read(_ to: UnsafeMutablePointer<UInt8>, _ room: Int) -> Int {
        precondition(room > 0, "no room to read into")
        if isFinished { return 0 }
        if readFailure != 0 { return readFailure }
        transport.pointee.isDrained = false
        isStarved = false
        forgetErrors()
        var total = 0
        while total < room {
            var got = 0
            let result = SSL_read_ex(ssl, to + total, room - total, &got)
            if result == 1 {
                total += got
                // Asking once more would only say what is known.
                if transport.pointee.isDrained, SSL_has_pending(ssl) == 0 {
                    isStarved = true
                    break
                }
                continue
            }
            endRead(SSL_get_error(ssl, result))
            break
        }
        // Answers that OpenSSL gives by itself: to a key update, to an attempt to renegotiate.
        if transport.pointee.output.pointee.count > 0 {
            let sent = transport.pointee.transmit()
            if sent < 0, sent != Syscall.wouldBlock, readFailure == 0 {
                readFailure = sent
                isBroken = true
            }
        }
        if total > 0 { return total }
        if isStarved { return Syscall.wouldBlock }
        return isFinished ? 0 : readFailure
    }

    private mutating func endRead(_ error: Int32) {
        switch error {
        case SSL_ERROR_WANT_READ: isStarved = true
        case SSL_ERROR_ZERO_RETURN: isFinished = true
        default:
            isBroken = true
            let transport = transport.pointee
            if transport.isEnded {
                readFailure = Self.truncated
            } else if transport.failure < 0 {
                readFailure = transport.failure
            } else {
                readFailure = Self.protocolError
            }
            keepReason(atEnd: "the connection was closed without close_notify")
        }
    }

    /// Whether a read may give something without a new event of the socket.
    public var mayRead: Bool { !isStarved }

    // MARK: The end

    /// Tells the other side that no more is sent, if that is still possible and the socket takes
    /// it; the caller then shuts the socket down.
    public mutating func close() {
        guard isEstablished, !isBroken else { return }
        isBroken = true
        forgetErrors()
        _ = SSL_shutdown(ssl)
        _ = transport.pointee.transmit()
        forgetErrors()
    }

    // MARK: Errors

    /// OpenSSL's results can only be told apart while this thread's queue of errors was empty
    /// before the call; whatever else uses the library may have left something there.
    @inline(__always)
    func forgetErrors() {
        if ERR_peek_error() != 0 { ERR_clear_error() }
    }

    /// Keeps the first reason, and empties the queue.
    mutating func keepReason(atEnd: StaticString) {
        defer { ERR_clear_error() }
        if reason != nil { return }
        let code = ERR_peek_error()
        if Self.isVerification(code) {
            reason = X509_verify_cert_error_string(SSL_get_verify_result(ssl))
        } else if transport.pointee.isEnded {
            reason = Self.literal(atEnd)
        } else if transport.pointee.failure < 0 {
            reason = Self.text(of: transport.pointee.failure)
        } else {
            reason = ERR_reason_error_string(code) ?? Self.unknown
        }
    }

    private static func isVerification(_ code: UInt) -> Bool {
        ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED
    }

    private static var noName: UnsafePointer<CChar> {
        literal("there is no name to verify the peer's certificate by")
    }
    private static var unknown: UnsafePointer<CChar> { literal("unknown error of the TLS library") }
    private static var reset: UnsafePointer<CChar> { literal("the connection was reset") }
    private static var outOfMemory: UnsafePointer<CChar> { literal("not enough memory") }
    private static var socket: UnsafePointer<CChar> { literal("the socket failed") }

    private static func text(of errno: Int) -> UnsafePointer<CChar> {
        switch errno {
        case -104: reset
        case Transport.outOfMemory: outOfMemory
        default: socket
        }
    }

    private static func literal(_ text: StaticString) -> UnsafePointer<CChar> {
        // Safe: literals are NUL-terminated and live for ever.
        UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)
    }
}
