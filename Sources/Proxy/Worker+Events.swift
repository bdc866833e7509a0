import PluginHost
import Reactor
import Sys

/// What events of the loop do.
extension Worker {
    /// What an event belongs to: an address with a kind in its unused upper bits.
    enum Token {
        static let kindShift: UInt64 = 56
        static let downstream: UInt64 = 1
        static let upstream: UInt64 = 2
        static let listenerKind: UInt64 = 3
        static let mailbox: UInt64 = 4 << kindShift

        static func listener(_ index: Int) -> UInt64 {
            listenerKind << kindShift | UInt64(index)
        }

        static func make(_ kind: UInt64, _ address: UnsafeMutableRawPointer) -> UInt64 {
            kind << kindShift | UInt64(UInt(bitPattern: address))
        }

        static func address(_ token: UInt64) -> UnsafeMutableRawPointer? {
            UnsafeMutableRawPointer(bitPattern: UInt(token & (1 << kindShift &- 1)))
        }
    }

    @inline(__always)
    mutating func dispatch(_ event: (token: UInt64, readiness: Readiness)) {
        switch event.token >> Token.kindShift {
        case Token.downstream:
            // Safe: tokens are made from elements of the slab, whose memory stays.
            guard let address = Token.address(event.token) else { return }
            downstreamEvent(address.assumingMemoryBound(to: Downstream.self), event.readiness)
        case Token.upstream:
            guard let address = Token.address(event.token) else { return }
            upstreamEvent(address.assumingMemoryBound(to: Upstream.self), event.readiness)
        case Token.listenerKind:
            accept(Int(event.token & 0xffff))
        default:
            for message in mailbox.take() {
                switch message {
                case .drain(let handsOver): drain(handsOver: handsOver)
                case .endTunnels: endTunnels()
                case .cut(let generation): cut(generation: generation)
                case .ping(let round): round.answer()
                case .tasks: port.runTasks()
                case .resume(let end): resume(end)
                case .ask(let request): give(request)
                case .gift(let gift): receive(gift)
                case .census(let census): take(census)
                case .adopt(let adoption): adopt(adoption)
                case .attempt(let trial): begin(trial)
                case .retire(let retirement): retire(retirement)
                case .room(let room): takeRoom(room)
                }
            }
        }
    }

    /// Notes what an event says about a connection.
    @inline(__always)
    static func note(_ readiness: Readiness, in flags: inout ConnectionFlags) {
        if readiness.rawValue
            & (Readiness.readable.rawValue | Readiness.readClosed.rawValue
                | Readiness.closed.rawValue | Readiness.failed.rawValue) != 0
        {
            flags.insert(.readable)
        }
        if readiness.rawValue
            & (Readiness.readClosed.rawValue | Readiness.closed.rawValue
                | Readiness.failed.rawValue) != 0
        {
            flags.insert(.readClosed)
            if readiness.rawValue & (Readiness.failed.rawValue | Readiness.closed.rawValue) != 0 {
                flags.insert(.failed)
            }
        }
    }

    private mutating func downstreamEvent(
        _ down: UnsafeMutablePointer<Downstream>,
        _ readiness: Readiness
    ) {
        guard !down.pointee.flags.contains(.dead) else { return }
        Self.note(readiness, in: &down.pointee.flags)
        advance(down)
    }

    /// Goes on with a client's connection as far as it can go now.
    mutating func advance(_ down: UnsafeMutablePointer<Downstream>) {
        if down.wire.hasPending, !down.wire.flushPending(&down.pointee.flags) {
            lose(down)
            return
        }
        switch down.pointee.state {
        case .proxyHeader: readProxyHeader(down)
        case .handshake: handshake(down)
        case .due: startAlone(down)
        case .idle, .head: readRequests(down)
        case .exchange:
            guard let exchange = down.pointee.exchange else { return }
            advance(exchange)
        case .multiplexed: serve(down)
        case .lingering: linger(down)
        }
    }

    private mutating func upstreamEvent(
        _ up: UnsafeMutablePointer<Upstream>,
        _ readiness: Readiness
    ) {
        guard !up.pointee.flags.contains(.dead) else { return }
        Self.note(readiness, in: &up.pointee.flags)
        if up.wire.hasPending { _ = up.wire.flushPending(&up.pointee.flags) }
        switch up.pointee.state {
        case .connecting, .handshake: connectEvent(up)
        case .idle: idleEvent(up)
        case .asked: return
        case .active:
            guard let exchange = up.pointee.exchange else {
                if let callout = up.pointee.callout { advance(callout) }
                return
            }
            makeCurrent(up, exchange)
            advance(exchange)
        case .multiplexed: servePeer(up)
        }
    }

    /// Goes on with an exchange in both directions as far as they can go now.
    mutating func advance(_ exchange: UnsafeMutablePointer<Exchange>) {
        guard !exchange.pointee.isEnded else { return }
        if exchange.pointee.down.pointee.flags.contains(.readClosed), clientWentAway(exchange) {
            return
        }
        switch exchange.pointee.response {
        case .none: return
        case .collect:
            collectRequest(exchange)
            return
        case .tunnel:
            pumpTunnel(exchange)
            return
        case .drain:
            drainRequestBody(exchange)
            return
        case .head, .waiting, .body: break
        }
        if !exchange.pointee.requestBody.isFinished {
            pumpRequest(exchange)
            if exchange.pointee.isEnded { return }
        }
        switch exchange.pointee.response {
        case .head: readResponseHead(exchange)
        case .body: pumpResponse(exchange)
        case .tunnel: pumpTunnel(exchange)
        case .drain, .none, .collect, .waiting: break
        }
    }
}
