import CSluice
import HTTP
import PluginHost
import Reactor
import Sys

/// Bodies from a cache on their way to the client: written from where they lie, by whatever the
/// client speaks.
///
/// What a socket does not take is not copied: it stays with the plugin until the reader is closed.
extension Worker {
    /// Bytes that are given to hooks, or put into chunks, at once.
    private static let copiedMost = 65_536

    /// Sends bytes that were read; false when the answer can't go on now.
    mutating func sendBytes(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ state: UnsafeMutablePointer<CacheState>
    ) -> Bool {
        guard let bytes = state.pointee.bytes else { return false }
        let count = state.pointee.count
        if exchange.pointee.responseBody.transform != nil {
            return feedBytes(exchange, state, bytes, min(count, Self.copiedMost))
        }
        if let session = exchange.pointee.down.pointee.session {
            return sendToStream(exchange, state, session, bytes, count)
        }
        if exchange.pointee.responseBody.writing == .chunked {
            let headCount = state.pointee.headCount
            let length = min(count, Self.copiedMost)
            state.pointee.headCount = 0
            state.pointee.took(length)
            let written = emitResponse(
                exchange,
                headCount: headCount,
                data: bytes,
                count: length,
                isEnd: false
            )
            return written == .done
        }
        return sendToSocket(exchange, state, bytes, count)
    }

    /// Gives bytes to the hooks of the body.
    private mutating func feedBytes(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ state: UnsafeMutablePointer<CacheState>,
        _ bytes: UnsafePointer<UInt8>,
        _ count: Int
    ) -> Bool {
        state.pointee.took(count)
        let progress = feed(
            exchange,
            .response,
            bytes,
            count,
            isEnd: state.pointee.left == 0,
            flush: false
        )
        guard !exchange.pointee.isEnded else { return false }
        if progress == .done { finishWritten(exchange) }
        return progress == .more
    }

    private mutating func sendToSocket(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ state: UnsafeMutablePointer<CacheState>,
        _ bytes: UnsafePointer<UInt8>,
        _ count: Int
    ) -> Bool {
        let wire = exchange.pointee.down.wire
        let headCount = state.pointee.headCount
        state.pointee.headCount = 0
        var pieces = Pieces()
        pieces.add(out, headCount)
        pieces.add(bytes, count)
        let result = wire.send(&pieces)
        guard result >= 0 || result == Syscall.wouldBlock else {
            clientGone(exchange)
            return false
        }
        let sent = max(result, 0)
        keepHead(exchange, headCount, sent: sent)
        sentBytes(exchange, state, max(sent &- headCount, 0))
        guard sent == headCount &+ count, !wire.hasPending else {
            if wire.hasPending { exchange.pointee.responseBody.awaitsWire = true }
            block(exchange)
            return false
        }
        return true
    }

    /// Holds what the socket did not take of a head, which stands where others will.
    private mutating func keepHead(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ headCount: Int,
        sent: Int
    ) {
        guard sent < headCount else { return }
        var head = Pieces()
        head.add(out, headCount)
        hold(head, from: sent, in: &exchange.pointee.responseBody)
    }

    private func sentBytes(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ state: UnsafeMutablePointer<CacheState>,
        _ count: Int
    ) {
        state.pointee.took(count)
        exchange.pointee.context.facts.bytes_out &+= UInt64(count)
        exchange.pointee.lastWrite = now
    }

    /// The client takes no more now; its socket, or its window, says when it does.
    private mutating func block(_ exchange: UnsafeMutablePointer<Exchange>) {
        exchange.pointee.responseBody.isBlocked = true
        armWrite(exchange)
    }

    private mutating func sendToStream(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ state: UnsafeMutablePointer<CacheState>,
        _ session: UnsafeMutablePointer<H2Session>,
        _ bytes: UnsafePointer<UInt8>,
        _ count: Int
    ) -> Bool {
        let id = exchange.pointee.down.pointee.stream
        guard session.pointee.connection.isOpen(id) else {
            clientGone(exchange)
            return false
        }
        if state.pointee.headCount > 0 {
            sendHead(session, id, state.pointee.headCount, endStream: false)
            state.pointee.headCount = 0
        }
        wake(session)
        let most =
            session.pointee.connection.mustShare(id)
            ? min(count, max(session.pointee.turnLeft, 0)) : count
        let isEnd = state.pointee.left == UInt64(most)
        var taken = 0
        if most > 0 {
            taken = session.pointee.connection.sendData(id, bytes, most, endStream: isEnd)
        }
        session.pointee.turnLeft &-= taken
        if taken > 0 { sentBytes(exchange, state, taken) }
        guard taken == count else {
            session.pointee.connection.setWantsToWrite(id, true)
            block(exchange)
            return false
        }
        if isEnd { state.pointee.isEndSent = true }
        return true
    }

    // MARK: Files

    /// Sends part of a file inside the kernel; false when the answer can't go on now.
    mutating func sendFile(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ state: UnsafeMutablePointer<CacheState>
    ) -> Bool {
        let fd = exchange.pointee.down.pointee.fd
        let headCount = state.pointee.headCount
        if headCount > 0 {
            state.pointee.headCount = 0
            // The file follows in the same segment.
            let result = Syscall.sendMore(fd, out, headCount)
            guard result >= 0 || result == Syscall.wouldBlock else {
                clientGone(exchange)
                return false
            }
            exchange.pointee.lastWrite = now
            guard result == headCount else {
                keepHead(exchange, headCount, sent: max(result, 0))
                block(exchange)
                return false
            }
        }
        let sent = Syscall.sendFile(
            fd,
            from: state.pointee.file,
            offset: state.pointee.fileOffset,
            state.pointee.count
        )
        if sent == Syscall.wouldBlock {
            block(exchange)
            return false
        }
        guard sent >= 0 else {
            clientGone(exchange)
            return false
        }
        guard sent > 0 else {
            // The file is shorter than the plugin says.
            breakAnswer(exchange, state)
            return false
        }
        sentBytes(exchange, state, sent)
        return true
    }
}
