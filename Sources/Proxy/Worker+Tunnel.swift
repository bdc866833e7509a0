import CSluice
import HTTP
import PluginHost
import Reactor
import Sys

/// After 101 Switching Protocols: bytes both ways until both sides have ended.
extension Worker {
    /// Passes the 101 on; only from here on do the client's bytes behind its request flow.
    mutating func beginTunnel(
        _ exchange: UnsafeMutablePointer<Exchange>,
        headCount: Int,
        _ bytes: UnsafeMutablePointer<UInt8>,
        _ count: Int
    ) {
        exchange.pointee.flags.insert([.closeDownstream, .closeUpstream])
        exchange.pointee.response = .tunnel
        exchange.pointee.responseBody.reader = BodyReader(.untilClose)
        exchange.pointee.responseBody.writing = .plain
        exchange.pointee.lastRead = now
        exchange.pointee.lastWrite = now
        if let up = exchange.pointee.up { timers.cancel(timer(of: up)) }
        let written = emitResponse(
            exchange,
            headCount: headCount,
            data: bytes,
            count: count,
            isEnd: false
        )
        guard written != .failed else { return }
        if let up = exchange.pointee.up { freeInput(up) }
        armTunnel(exchange)
        pumpTunnel(exchange)
    }

    /// Moves what there is in both directions.
    mutating func pumpTunnel(_ exchange: UnsafeMutablePointer<Exchange>) {
        // The request's own body, if it had one, goes first.
        if exchange.pointee.requestBody.reader.kind != .untilClose {
            if !exchange.pointee.requestBody.isFinished { pumpRequest(exchange) }
            if exchange.pointee.isEnded { return }
            if exchange.pointee.requestBody.isFinished {
                exchange.pointee.requestBody = BodyPipe()
                exchange.pointee.requestBody.reader = BodyReader(.untilClose)
            }
        }
        if exchange.pointee.requestBody.reader.kind == .untilClose {
            pumpTunnelUp(exchange)
            if exchange.pointee.isEnded { return }
        }
        pumpTunnelDown(exchange)
        if exchange.pointee.isEnded { return }
        if exchange.pointee.flags.isSuperset(of: [.tunnelUpEnded, .tunnelDownEnded]) {
            finishTunnel(exchange)
        }
    }

    private mutating func pumpTunnelUp(_ exchange: UnsafeMutablePointer<Exchange>) {
        guard let up = exchange.pointee.up else { return }
        let down = exchange.pointee.down
        for _ in 0..<Self.turnsMax {
            var sent = 0
            if exchange.pointee.requestBody.hasHeld {
                let result = flush(&exchange.pointee.requestBody, to: up.wire, sent: &sent)
                if result == .failed { return finishTunnel(exchange) }
                if result == .blocked { return }
            }
            var bytes = scratch
            var count = 0
            if let input = waitingInput(down) {
                (bytes, count) = input
                consume(down, bytes, count, consumed: count)
                if down.pointee.isStream { credit(down, count) }
            } else if down.pointee.isStream {
                guard down.pointee.flags.contains(.ended),
                    !exchange.pointee.flags.contains(.tunnelUpEnded)
                else { return }
                exchange.pointee.flags.insert(.tunnelUpEnded)
                up.wire.finishSending(&up.pointee.flags)
                return
            } else {
                if exchange.pointee.flags.contains(.tunnelUpEnded) { return }
                guard down.pointee.flags.contains(.readable) else { return }
                count = down.receive(scratch, tunnelRoom(exchange))
                if count == 0 {
                    exchange.pointee.flags.insert(.tunnelUpEnded)
                    up.wire.finishSending(&up.pointee.flags)
                }
                if count < 0, count != Syscall.wouldBlock { return finishTunnel(exchange) }
                if count <= 0 { return }
                exchange.pointee.lastRead = now
            }
            let written = emit(
                &exchange.pointee.requestBody,
                to: up.wire,
                headCount: 0,
                data: bytes,
                count: count,
                isEnd: false,
                sent: &sent
            )
            exchange.pointee.requestBody.byteCount &+= UInt64(count)
            if down.pointee.inputCount == 0 { freeInput(down) }
            if written == .failed { return finishTunnel(exchange) }
            if written == .blocked { return }
        }
        enqueue(down)
    }

    private mutating func pumpTunnelDown(_ exchange: UnsafeMutablePointer<Exchange>) {
        guard let up = exchange.pointee.up else { return }
        let down = exchange.pointee.down
        for _ in 0..<Self.turnsMax {
            var sent = 0
            if exchange.pointee.responseBody.hasHeld {
                let result = flushDown(exchange, sent: &sent)
                if result == .failed { return finishTunnel(exchange) }
                if result == .blocked { return }
            }
            if exchange.pointee.flags.contains(.tunnelDownEnded) { return }
            guard up.pointee.flags.contains(.readable) else { return }
            let count = up.receive(scratch, tunnelRoom(exchange))
            if count == 0 {
                exchange.pointee.flags.insert(.tunnelDownEnded)
                endTunnelDown(exchange)
            }
            if count < 0, count != Syscall.wouldBlock { return finishTunnel(exchange) }
            if count <= 0 { return }
            exchange.pointee.lastWrite = now
            let written = writeDown(
                exchange,
                headCount: 0,
                data: scratch,
                count: count,
                isEnd: false,
                sent: &sent
            )
            exchange.pointee.context.facts.bytes_out &+= UInt64(count)
            if written == .failed { return finishTunnel(exchange) }
            if written == .blocked { return }
        }
        enqueue(down)
    }

    /// Passes the peer's end on to the client.
    private mutating func endTunnelDown(_ exchange: UnsafeMutablePointer<Exchange>) {
        let down = exchange.pointee.down
        guard down.pointee.isStream else {
            down.wire.finishSending(&down.pointee.flags)
            return
        }
        var sent = 0
        _ = writeDown(
            exchange,
            headCount: 0,
            data: scratch,
            count: 0,
            isEnd: true,
            sent: &sent
        )
    }

    private func tunnelRoom(_ exchange: UnsafeMutablePointer<Exchange>) -> Int {
        exchange.pointee.listener.pointee.settings.limits.bufferBytes
    }

    private mutating func finishTunnel(_ exchange: UnsafeMutablePointer<Exchange>) {
        let down = exchange.pointee.down
        exchange.pointee.responseBody.reader.finish()
        finish(exchange)
        close(down)
    }
}
