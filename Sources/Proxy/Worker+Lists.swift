import HTTP
import PluginHost
import Reactor
import Sys

/// Connections to go on with before the next wait, and memory to take back.
extension Worker {
    /// Goes on with this connection after the others of the batch had their turn.
    mutating func enqueue(_ down: UnsafeMutablePointer<Downstream>) {
        guard !down.pointee.flags.contains(.queued) else { return }
        down.pointee.flags.insert(.queued)
        down.pointee.nextQueued = queued
        queued = down
    }

    /// Goes on with a peer's connection of HTTP/2 after the others of the batch had their turn.
    mutating func enqueue(_ up: UnsafeMutablePointer<Upstream>) {
        guard !up.pointee.flags.contains(.queued) else { return }
        up.pointee.flags.insert(.queued)
        up.pointee.nextQueued = queuedPeers
        queuedPeers = up
    }

    @inline(__always)  // Each turn of the loop asks, and most have nothing.
    mutating func runQueued() {
        var next = queued
        queued = nil
        while let down = next {
            next = down.pointee.nextQueued
            down.pointee.flags.remove(.queued)
            if !down.pointee.flags.contains(.dead) { advance(down) }
        }
        // Behind the clients, whose requests they write.
        var nextPeer = queuedPeers
        queuedPeers = nil
        while let up = nextPeer {
            nextPeer = up.pointee.nextQueued
            up.pointee.flags.remove(.queued)
            if !up.pointee.flags.contains(.dead) { servePeer(up) }
        }
    }

    /// Takes back the memory of what was closed in this batch.
    @inline(__always)
    mutating func reap() {
        while let exchange = deadExchanges {
            deadExchanges = exchange.pointee.nextDead
            exchange.pointee.context.arena.release()
            exchanges.give(exchange)
        }
        var kept: UnsafeMutablePointer<Downstream>?
        while let down = deadDownstreams {
            deadDownstreams = down.pointee.nextDead
            if down.pointee.flags.contains(.queued) {
                down.pointee.nextDead = kept
                kept = down
            } else {
                if !down.pointee.isStream, let session = down.pointee.session {
                    session.deinitialize(count: 1)
                    session.deallocate()
                }
                downstreams.give(down)
            }
        }
        deadDownstreams = kept
        var keptPeers: UnsafeMutablePointer<Upstream>?
        while let up = deadUpstreams {
            deadUpstreams = up.pointee.next
            if up.pointee.flags.contains(.queued) {
                up.pointee.next = keptPeers
                keptPeers = up
            } else {
                if let session = up.pointee.session {
                    session.deinitialize(count: 1)
                    session.deallocate()
                }
                upstreams.give(up)
            }
        }
        deadUpstreams = keptPeers
    }
}
