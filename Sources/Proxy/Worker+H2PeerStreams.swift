import CSluice
import HTTP
import PluginHost
import Reactor
import Sys

/// Streams to peers: how they carry a request, take its response, and end.
///
/// What comes on one is kept as HTTP/1.1 would have sent it: the text of a head, and behind it the
/// content until the end. So a head or content that has to wait does so as on a connection of
/// HTTP/1.1, and the exchange reads both in the same way.
extension Worker {
    /// The stream that an event is about; nil when it has ended here.
    func peerStream(_ reference: H2StreamReference) -> UnsafeMutablePointer<Upstream>? {
        // Safe: the user pointer is the stream's `Upstream` until it ends.
        reference.user?.assumingMemoryBound(to: Upstream.self)
    }

    // MARK: The request

    /// Sends the request that a stream is for; its connection stands.
    mutating func startStream(_ up: UnsafeMutablePointer<Upstream>) {
        timers.cancel(timer(of: up))
        if let exchange = up.pointee.exchange {
            makeCurrent(up, exchange)
            exchange.pointee.context.facts.is_reused = up.pointee.flags.contains(.reused) ? 1 : 0
            if !up.pointee.flags.contains(.reused) {
                exchange.pointee.context.facts.time_connected = nowNanoseconds
            }
            send(exchange)
        } else if let callout = up.pointee.callout {
            send(callout, up)
        }
    }

    /// Begins the stream with the request's head.
    ///
    /// - Returns: false when that was not possible, and was dealt with.
    mutating func sendStreamHead(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ up: UnsafeMutablePointer<Upstream>,
        _ upstream: UnsafeMutablePointer<UpstreamPlan>,
        endStream: Bool
    ) -> Bool {
        guard let session = up.pointee.session, session.pointee.connection.canOpenStream else {
            // The peer has lowered its limit, or left, while a hook of the attempt waited.
            peerRefused(exchange)
            return false
        }
        let message = exchange.pointee.context.request
        var writer = FieldBlock.Writer(
            FieldBlock.Target(
                method: message.method.bytes,
                methodCount: message.method.count,
                isSecure: upstream.pointee.tls != nil,
                authority: message.authority.bytes,
                authorityCount: message.authority.count,
                path: message.path.bytes,
                pathCount: message.path.count
            ),
            to: fieldBlock,
            room: Self.fieldBlockBytes,
            encoder: &session.pointee.encoder
        )
        writer.copyFields(of: message, encoder: &session.pointee.encoder)
        if !message.has(.te), let value = message.received(.te) {
            // It belongs to a connection, so it was taken out; over HTTP/2 it says that whoever
            // made the request takes trailer fields, as gRPC asks for.
            let (name, count) = FieldNames.lowercaseName(.te)
            writer.field(
                .te,
                name,
                count,
                value.bytes,
                value.count,
                encoder: &session.pointee.encoder
            )
        }
        precondition(!writer.hasOverflowed, "the block of a head that was measured")
        up.pointee.stream = session.pointee.connection.openStream(
            fieldBlock,
            writer.count,
            endStream: endStream,
            user: UnsafeMutableRawPointer(up)
        )
        exchange.pointee.flags.insert(.sentToPeer)
        wake(session)
        return true
    }

    // MARK: The response

    /// Takes a head of the response, or its trailers.
    mutating func takeResponse(
        _ session: UnsafeMutablePointer<H2Session>,
        _ headers: H2Headers
    ) {
        guard let up = peerStream(headers.stream),
            up.pointee.exchange != nil
                || up.pointee.callout != nil
        else {
            discard(session, headers.block, headers.count)
            return
        }
        if headers.isTrailers {
            takeResponseTrailers(session, up, headers)
            return
        }
        var response = FieldBlock.Response()
        let outcome = FieldBlock.readResponse(
            headers.block,
            count: headers.count,
            decoder: &session.pointee.decoder,
            scratch: fieldScratch,
            scratchCount: Self.fieldScratchBytes,
            limits: responseLimits,
            to: headText,
            into: &response
        )
        switch outcome {
        case .complete: break
        case .tooLarge: return malformed(up, "its head is over the bounds of a response")
        case .malformed(let error): return malformed(up, error.reason)
        case .invalid(let error): return broken(session, error)
        }
        // A head that has to wait loses which of its fields they were, so all of them count.
        if response.neverIndexed.isEmpty {
            up.pointee.flags.remove(.neverIndexed)
        } else {
            up.pointee.flags.insert(.neverIndexed)
        }
        guard up.pointee.inputCount &+ response.byteCount <= responseLimits.headBytesMax else {
            // Interim responses that a slow client has yet to take.
            return malformed(up, "its heads that wait are over the bound of one")
        }
        guard response.status >= 200 else {
            // RFC 9113 §8.1: an interim response can't end the stream.
            if headers.endStream { return malformed(up, "an interim response ends the stream") }
            take(up, headText, response.byteCount)
            return
        }
        session.pointee.connection.markFinalHeaders(headers.stream.id)
        if method(of: up) != .head, response.status != 304, response.contentLength >= 0 {
            // RFC 9113 §8.1.1: content has the length that the head says.
            if headers.endStream {
                guard response.contentLength == 0 else {
                    return malformed(up, "it has a Content-Length and no content")
                }
            } else {
                session.pointee.connection.setExpectedLength(
                    headers.stream.id,
                    UInt64(response.contentLength)
                )
            }
        }
        if headers.endStream { up.pointee.flags.insert(.ended) }
        take(up, headText, response.byteCount)
    }

    /// Reads what came on a stream whose response has not begun.
    mutating func readStreamHead(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ up: UnsafeMutablePointer<Upstream>
    ) {
        guard exchange.pointee.response == .head else { return }
        if let arrived = takeArrived(up), let bytes = arrived.bytes {
            parseResponse(exchange, up, bytes, arrived.count)
            return
        }
        guard up.pointee.flags.contains(.failed) else { return }
        if up.pointee.flags.contains(.refused) {
            peerRefused(exchange)
        } else {
            upstreamFailedBeforeResponse(
                exchange,
                status: 502,
                reason: "the peer ended the stream before its response"
            )
        }
    }

    private func method(of up: UnsafeMutablePointer<Upstream>) -> Method {
        if let exchange = up.pointee.exchange { return exchange.pointee.head.method }
        return up.pointee.callout?.pointee.request._withUnsafeGuaranteedRef { $0.method } ?? .other
    }

    private mutating func takeResponseTrailers(
        _ session: UnsafeMutablePointer<H2Session>,
        _ up: UnsafeMutablePointer<Upstream>,
        _ headers: H2Headers
    ) {
        var count = 0
        let outcome = FieldBlock.readTrailers(
            headers.block,
            count: headers.count,
            decoder: &session.pointee.decoder,
            scratch: fieldScratch,
            scratchCount: Self.fieldScratchBytes,
            to: headText,
            byteCount: &count
        )
        switch outcome {
        case .complete: break
        case .tooLarge: return malformed(up, "its trailer section is too large")
        case .malformed(let error): return malformed(up, error.reason)
        case .invalid(let error): return broken(session, error)
        }
        if let exchange = up.pointee.exchange {
            keepTrailers(&exchange.pointee.responseBody, count)
        } else if let callout = up.pointee.callout, callout.pointee.probe >= 0 {
            keepTrailers(&callout.pointee.pipe, count)
        }
        up.pointee.flags.insert(.ended)
        goOn(up)
    }

    /// Takes a piece of the response's content.
    mutating func takeContent(_ session: UnsafeMutablePointer<H2Session>, _ data: H2Data) {
        guard let up = peerStream(data.stream) else {
            session.pointee.connection.consume(data.stream.id, data.count)
            return
        }
        if data.endStream { up.pointee.flags.insert(.ended) }
        // A callout keeps all of its response, within a bound of its own.
        if up.pointee.callout != nil { credit(up, data.count) }
        guard let bytes = data.bytes, data.count > 0 else {
            goOn(up)
            return
        }
        take(up, bytes, data.count)
    }

    /// Gives an exchange bytes that came for it; what it does not take now is kept.
    private mutating func take(
        _ up: UnsafeMutablePointer<Upstream>,
        _ bytes: UnsafeMutablePointer<UInt8>,
        _ count: Int
    ) {
        if up.pointee.inputCount > 0 || up.pointee.callout != nil {
            appendInput(up, bytes, count)
        } else {
            arrivedContent = Arrived(bytes: bytes, count: count)
            arrivedStream = up
        }
        goOn(up)
        if arrivedStream == up, let bytes = arrivedContent.bytes, arrivedContent.count > 0 {
            appendInput(up, bytes, arrivedContent.count)
        }
        arrivedContent = Arrived()
        arrivedStream = nil
    }

    private mutating func goOn(_ up: UnsafeMutablePointer<Upstream>) {
        if let exchange = up.pointee.exchange {
            makeCurrent(up, exchange)
            advance(exchange)
        } else if let callout = up.pointee.callout {
            advance(callout)
        }
    }

    /// Puts bytes behind those that wait: a head, and no more content than a stream's window.
    private mutating func appendInput(
        _ up: UnsafeMutablePointer<Upstream>,
        _ bytes: UnsafePointer<UInt8>,
        _ count: Int
    ) {
        let have = up.pointee.inputCount
        var block = up.pointee.input ?? buffers.take(count)
        if block.capacity < have &+ count {
            let larger = buffers.take(have &+ count)
            larger.bytes.update(from: block.bytes, count: have)
            buffers.give(block)
            block = larger
        }
        (block.bytes + have).update(from: bytes, count: count)
        up.pointee.input = block
        up.pointee.inputCount = have &+ count
    }

    /// Takes the bytes of a stream that no one has seen yet; nil when there are none.
    mutating func takeArrived(_ up: UnsafeMutablePointer<Upstream>) -> Arrived? {
        guard arrivedStream == up, arrivedContent.count > 0 else { return nil }
        let arrived = arrivedContent
        arrivedContent = Arrived()
        return arrived
    }

    /// Notes the end of the response once all of its content was passed on.
    mutating func noteEnd(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ up: UnsafeMutablePointer<Upstream>
    ) {
        let waits = up.pointee.inputCount > 0 || arrivedStream == up && arrivedContent.count > 0
        if up.pointee.flags.contains(.ended), !waits {
            exchange.pointee.responseBody.reader.finish()
        }
    }

    /// The peer may send as many bytes more as were passed on.
    mutating func credit(_ up: UnsafeMutablePointer<Upstream>, _ count: Int) {
        guard let session = up.pointee.session, count > 0 else { return }
        session.pointee.connection.consume(up.pointee.stream, count)
        wake(session)
    }

    // MARK: Ends

    /// The response breaks a rule: a stream error (RFC 9113 §8.1.1).
    private mutating func malformed(
        _ up: UnsafeMutablePointer<Upstream>,
        _ reason: StaticString
    ) {
        if let session = up.pointee.session {
            session.pointee.connection.resetStream(up.pointee.stream, .protocolError)
        }
        if let exchange = up.pointee.exchange {
            makeCurrent(up, exchange)
            badResponse(exchange, "\(reason)")
        } else if let callout = up.pointee.callout {
            streamFailed(callout)
        }
    }

    /// A stream has ended before its time, by the peer or for what the peer sent.
    mutating func takeReset(_ reset: H2Reset) {
        guard let up = peerStream(reset.stream) else { return }
        if reset.isUnprocessed || reset.code == .refusedStream {
            up.pointee.flags.insert(.refused)
        } else {
            // The connection is good, so its age says nothing of the failure.
            up.pointee.flags.remove(.reused)
        }
        if !reset.isByPeer, let exchange = up.pointee.exchange {
            makeCurrent(up, exchange)
            badResponse(exchange, "its content differs from its Content-Length, or the like")
            return
        }
        if reset.code == .http11Required, let session = up.pointee.session,
            case .peer(_, let upstream) = session.pointee.end, upstream.pointee.speaks == .auto
        {
            pools[Int(up.pointee.peer)].speaksHTTP1Until = now &+ Self.speaksHTTP1Milliseconds
            up.pointee.flags.insert(.refused)
        }
        streamFailed(up, timedOut: false)
    }

    /// A stream or its connection is no more: what came on it is still passed on.
    mutating func streamFailed(_ up: UnsafeMutablePointer<Upstream>, timedOut: Bool) {
        let isWaiting = up.pointee.state == .connecting
        leaveSession(up)
        up.pointee.flags.insert(.failed)
        guard let exchange = up.pointee.exchange else {
            if let callout = up.pointee.callout {
                if isWaiting {
                    attemptFailed(callout)
                } else {
                    streamFailed(callout)
                }
            }
            return
        }
        makeCurrent(up, exchange)
        if isWaiting {
            attemptFailed(exchange, timedOut: timedOut)
        } else if exchange.pointee.response == .none {
            // A hook of the attempt waits; sending finds out.
            return
        } else {
            advance(exchange)
        }
    }

    /// The peer has done nothing with the request, and says so (RFC 9113 §8.7): it may be sent
    /// again, whatever its method.
    mutating func peerRefused(_ exchange: UnsafeMutablePointer<Exchange>) {
        guard let upstream = exchange.pointee.upstream, let up = exchange.pointee.up else { return }
        let peer = Int(up.pointee.peer)
        reportAttempt(exchange, SLUICE_ATTEMPT_CLOSED)
        if goOnBeside(exchange) { return }
        detachUpstream(exchange, reuse: false)
        guard !exchange.pointee.flags.contains(.replayOverflow),
            exchange.pointee.attempts < upstream.pointee.retries.attempts,
            upstream.pointee.failover?.pointee.on.events.contains(.refused) != false
        else {
            reply(exchange, 502, reason: "the peer refused the stream", peer: peer)
            return
        }
        log.write(4) { line in line.text("retry after a refused stream") }
        countRetry(exchange, .refused)
        resetRequest(exchange)
        attempt(exchange)
    }

    /// Lets go of a stream, whose exchange or callout has ended.
    ///
    /// - Parameter code: why, when the stream is not over yet.
    mutating func endPeerStream(_ up: UnsafeMutablePointer<Upstream>, _ code: H2ErrorCode) {
        guard !up.pointee.flags.contains(.dead) else { return }
        if let session = up.pointee.session,
            session.pointee.connection.isOpen(up.pointee.stream)
        {
            session.pointee.connection.setUser(up.pointee.stream, nil)
            session.pointee.connection.resetStream(up.pointee.stream, code)
        }
        leaveSession(up)
        up.pointee.flags.insert(.dead)
        timers.cancel(timer(of: up))
        if arrivedStream == up {
            arrivedStream = nil
            arrivedContent = Arrived()
        }
        freeInput(up)
        up.pointee.next = deadUpstreams
        deadUpstreams = up
    }

    /// Takes a stream from its connection.
    private mutating func leaveSession(_ up: UnsafeMutablePointer<Upstream>) {
        guard let session = up.pointee.session else { return }
        if let previous = up.pointee.previous {
            previous.pointee.next = up.pointee.next
        } else {
            session.pointee.firstPeerStream = up.pointee.next
        }
        up.pointee.next?.pointee.previous = up.pointee.previous
        up.pointee.next = nil
        up.pointee.previous = nil
        up.pointee.session = nil
        session.pointee.peerStreamCount &-= 1
        wake(session)
    }
}
