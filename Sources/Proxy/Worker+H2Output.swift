import HTTP
import Reactor
import Sys

/// What connections of HTTP/2 write, to clients and to peers.
extension Worker {
    /// Lets streams write what they have, and gives it to the socket as far as it takes it now.
    mutating func sendStreams(_ session: UnsafeMutablePointer<H2Session>) {
        var turns = Self.sendTurnsMax
        while true {
            guard flush(session) else { return }
            guard session.pointee.blockedSince == 0 else { return }
            var hasSent = false
            while let reference = session.pointee.connection.nextToSend() {
                let before = session.pointee.connection.outputCount
                session.pointee.turnLeft = H2Session.turnBytes
                let exists = advance(reference, session)
                session.pointee.turnLeft = H2Session.turnBytes
                guard exists else {
                    session.pointee.connection.setWantsToWrite(reference.id, false)
                    continue
                }
                guard !session.pointee.isDead else { return }
                if session.pointee.connection.outputCount > before {
                    hasSent = true
                } else if before == 0 {
                    // There was all the room, so it is not room that it waits for: it says so
                    // again when it goes on.
                    session.pointee.connection.setWantsToWrite(reference.id, false)
                } else {
                    break
                }
            }
            guard hasSent || session.pointee.connection.outputCount > 0 else { return }
            turns &-= 1
            guard turns > 0 else {
                enqueue(session)
                return
            }
        }
    }

    /// Goes on with what a stream is for; false when that has ended.
    private mutating func advance(
        _ reference: H2StreamReference,
        _ session: UnsafeMutablePointer<H2Session>
    ) -> Bool {
        switch session.pointee.end {
        case .client:
            guard let exchange = stream(reference)?.pointee.exchange else { return false }
            advance(exchange)
        case .peer:
            guard let up = peerStream(reference) else { return false }
            if let exchange = up.pointee.exchange {
                advance(exchange)
            } else if let callout = up.pointee.callout {
                advance(callout)
            } else {
                return false
            }
        }
        return true
    }

    /// Gives the socket what is queued; false when the connection is broken and was closed.
    mutating func flush(_ session: UnsafeMutablePointer<H2Session>) -> Bool {
        let wire = session.pointee.wire
        while let bytes = session.pointee.connection.output {
            let sent = wire.send(bytes, session.pointee.connection.outputCount)
            guard sent > 0 else {
                guard sent == Syscall.wouldBlock else {
                    lose(session)
                    return false
                }
                session.pointee.connection.sealOutput()
                block(session)
                return true
            }
            session.pointee.lastActive = now
            session.pointee.blockedSince = 0
            session.pointee.connection.consumeOutput(sent)
        }
        if wire.hasPending { block(session) } else { session.pointee.blockedSince = 0 }
        return true
    }

    private mutating func block(_ session: UnsafeMutablePointer<H2Session>) {
        guard session.pointee.blockedSince == 0 else { return }
        session.pointee.blockedSince = max(now, 1)
        switch session.pointee.end {
        case .client: armSession(session)
        case .peer: armPeerSession(session)
        }
    }

    private mutating func lose(_ session: UnsafeMutablePointer<H2Session>) {
        switch session.pointee.end {
        case .client: closeSession(session)
        case .peer: losePeerSession(session)
        }
    }

    /// Makes sure that what streams have queued goes out before the loop waits.
    mutating func wake(_ session: UnsafeMutablePointer<H2Session>) {
        if !session.pointee.isServed { enqueue(session) }
    }

    private mutating func enqueue(_ session: UnsafeMutablePointer<H2Session>) {
        switch session.pointee.end {
        case .client(let down): enqueue(down)
        case .peer(let up, _): enqueue(up)
        }
    }

    // MARK: Blocks that nobody wants

    /// Decodes a block that nobody wants, because it changes the decoder's table.
    mutating func discard(
        _ session: UnsafeMutablePointer<H2Session>,
        _ block: UnsafePointer<UInt8>,
        _ count: Int
    ) {
        var sink = NoFields()
        let outcome = session.pointee.decoder.decode(
            block,
            count: count,
            scratch: fieldScratch,
            scratchCount: Self.fieldScratchBytes,
            limits: HPACKLimits(),
            into: &sink
        )
        if case .invalid(let error) = outcome { broken(session, error) }
    }

    /// Takes fields and does nothing.
    private struct NoFields: HPACKSink {
        mutating func take(_ field: HPACKField) {}
    }

    /// The tables of the two sides no longer agree (RFC 9113 §4.3).
    mutating func broken(
        _ session: UnsafeMutablePointer<H2Session>,
        _ error: HPACKError
    ) {
        session.pointee.connection.abort(.compressionError, reason: error.reason)
    }
}
