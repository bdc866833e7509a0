import CSluice
import HTTP
import PluginHost
import Reactor
import Sys
import TLS

/// TLS of clients.
extension Worker {
    /// Begins TLS on a connection that has just been accepted.
    mutating func beginHandshake(_ down: UnsafeMutablePointer<Downstream>) {
        let plan = listeners + Int(down.pointee.listener)
        guard let context = plan.pointee.tls,
            let stream = TLSStream.accept(context, fd: down.pointee.fd, ciphertext)
        else {
            close(down)
            return
        }
        down.pointee.tls = stream
        down.pointee.state = .handshake
        timers.set(
            timer(of: down),
            deadline: now &+ UInt64(plan.pointee.settings.timeouts.handshake)
        )
        handshake(down)
    }

    /// Goes on with a client's handshake as far as it can go now.
    mutating func handshake(_ down: UnsafeMutablePointer<Downstream>) {
        guard let tls = down.pointee.tls else { return }
        switch tls.pointee.handshake() {
        case .again: return
        case .failed:
            listeners[Int(down.pointee.listener)].meter.row(index)
                .add(ListenerWords.handshakeFailures)
            log.write(3) { line in
                line.text("TLS handshake failed: ")
                line.text(tls.pointee.failure)
                line.text("; client ")
                line.address(down.pointee.ip, port: down.pointee.port)
            }
            close(down)
        case .done:
            let plan = listeners + Int(down.pointee.listener)
            plan.pointee.meter.row(index).observe(
                ListenerWords.handshake,
                nowNanoseconds &- down.pointee.acceptedAt,
                times
            )
            down.pointee.flags.insert(.readable)
            if tls.pointee.alpn == .h2 {
                beginSession(down, sessionInput, 0)
                return
            }
            guard plan.pointee.speaksHTTP1 else {
                close(down)
                return
            }
            down.pointee.state = .idle
            timers.set(
                timer(of: down),
                deadline: now &+ UInt64(plan.pointee.settings.timeouts.head)
            )
            advance(down)
        }
    }

    /// Tells plugins of the TLS of a client's connection.
    func fillFacts(
        _ exchange: UnsafeMutablePointer<Exchange>,
        ofTLS down: UnsafeMutablePointer<Downstream>
    ) {
        if down.pointee.tlsFacts == nil, let tls = down.pointee.tls {
            down.pointee.tlsFacts = TLSFacts.make(of: tls)
        }
        exchange.pointee.context.facts.secure = 1
        exchange.pointee.context.facts.tls = UnsafePointer(down.pointee.tlsFacts)
    }
}
