import HTTP
import PluginHost
import Reactor
import Sys

/// What exchanges write to streams of HTTP/2.
extension Worker {
    /// Writes a head, a run of body and its end to a stream; as `emit`.
    mutating func emitToStream(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ session: UnsafeMutablePointer<H2Session>,
        headCount: Int,
        data: UnsafePointer<UInt8>,
        count: Int,
        isEnd: Bool
    ) -> WriteResult {
        let id = exchange.pointee.down.pointee.stream
        guard session.pointee.connection.isOpen(id) else { return .failed }
        let bodyCount = exchange.pointee.responseBody.writing == .discard ? 0 : count
        let trailersFollow = isEnd && hasTrailers(exchange)
        let endsNow = isEnd && !trailersFollow
        if headCount > 0 {
            sendHead(session, id, headCount, endStream: endsNow && bodyCount == 0)
        }
        wake(session)
        if bodyCount > 0 || endsNow && headCount == 0 {
            let taken = session.pointee.connection.sendData(
                id,
                data,
                bodyCount,
                endStream: endsNow
            )
            guard taken == bodyCount else {
                hold(data + taken, bodyCount &- taken, exchange, isEnd: isEnd)
                session.pointee.connection.setWantsToWrite(id, true)
                return .blocked
            }
        }
        if trailersFollow { sendTrailers(session, exchange) }
        return .done
    }

    private mutating func hold(
        _ bytes: UnsafePointer<UInt8>,
        _ count: Int,
        _ exchange: UnsafeMutablePointer<Exchange>,
        isEnd: Bool
    ) {
        let block = buffers.take(count)
        block.bytes.update(from: bytes, count: count)
        exchange.pointee.responseBody.held = block
        exchange.pointee.responseBody.heldStart = 0
        exchange.pointee.responseBody.heldEnd = count
        exchange.pointee.responseBody.isBlocked = true
        exchange.pointee.responseBody.endsHeld = isEnd
    }

    /// Writes what is held for a stream, as much as one turn gives; as `flush`.
    mutating func flushToStream(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ session: UnsafeMutablePointer<H2Session>,
        sent: inout Int
    ) -> WriteResult {
        let id = exchange.pointee.down.pointee.stream
        guard session.pointee.connection.isOpen(id) else { return .failed }
        guard let block = exchange.pointee.responseBody.held else { return .done }
        let start = exchange.pointee.responseBody.heldStart
        let left = exchange.pointee.responseBody.heldEnd &- start
        let count = min(left, H2Session.turnBytes)
        let isEnd = exchange.pointee.responseBody.endsHeld && count == left
        let trailersFollow = isEnd && hasTrailers(exchange)
        sent = session.pointee.connection.sendData(
            id,
            block.bytes + start,
            count,
            endStream: isEnd && !trailersFollow
        )
        if sent > 0 { wake(session) }
        guard sent == left else {
            exchange.pointee.responseBody.heldStart &+= sent
            session.pointee.connection.setWantsToWrite(id, true)
            return .blocked
        }
        releaseHeld(&exchange.pointee.responseBody)
        exchange.pointee.responseBody.isBlocked = false
        exchange.pointee.responseBody.endsHeld = false
        if trailersFollow {
            sendTrailers(session, exchange)
        } else if !isEnd {
            session.pointee.connection.setWantsToWrite(id, false)
        }
        return .done
    }
}
