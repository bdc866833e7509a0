import HTTP
import Reactor
import Synchronization
import Sys

/// Connections to peers that wait for another request, and the end of those that do not.
extension Worker {
    /// The idle connection to a peer that was used last.
    mutating func takeIdle(_ peer: Int) -> UnsafeMutablePointer<Upstream>? {
        guard let up = pools[peer].first else { return nil }
        removeIdle(up)
        up.pointee.flags.insert(.reused)
        return up
    }

    @inline(__always)
    mutating func addIdle(_ up: UnsafeMutablePointer<Upstream>, _ peer: Int, most: Int) {
        if pools[peer].count >= most, let oldest = pools[peer].last { closeUpstream(oldest) }
        up.pointee.previous = nil
        up.pointee.next = pools[peer].first
        pools[peer].first?.pointee.previous = up
        pools[peer].first = up
        if pools[peer].last == nil { pools[peer].last = up }
        pools[peer].count &+= 1
        publishIdle(peer)
    }

    mutating func removeIdle(_ up: UnsafeMutablePointer<Upstream>) {
        let peer = Int(up.pointee.peer)
        if let previous = up.pointee.previous {
            previous.pointee.next = up.pointee.next
        } else {
            pools[peer].first = up.pointee.next
        }
        if let next = up.pointee.next {
            next.pointee.previous = up.pointee.previous
        } else {
            pools[peer].last = up.pointee.previous
        }
        up.pointee.next = nil
        up.pointee.previous = nil
        pools[peer].count &-= 1
        publishIdle(peer)
    }

    /// Shows other workers how many there are.
    @inline(__always)
    private func publishIdle(_ peer: Int) {
        idleCounts[peer].store(UInt32(truncatingIfNeeded: pools[peer].count), ordering: .relaxed)
    }

    /// An event on an idle connection: the peer closed it, or sent what nobody asked for.
    mutating func idleEvent(_ up: UnsafeMutablePointer<Upstream>) {
        guard up.pointee.flags.contains(.readable) else { return }
        // The event may be older than the connection's return to the pool.
        if !isQuiet(up) { closeUpstream(up) }
    }

    /// Whether the peer of an idle connection has neither closed it nor sent anything.
    mutating func isQuiet(_ up: UnsafeMutablePointer<Upstream>) -> Bool {
        up.receive(scratch, 1) == Syscall.wouldBlock && !up.pointee.flags.contains(.readClosed)
    }

    /// Takes the connection from an exchange: back to the pool when it may be used again.
    mutating func detachUpstream(_ exchange: UnsafeMutablePointer<Exchange>, reuse: Bool) {
        guard let up = exchange.pointee.up, let upstream = exchange.pointee.upstream else { return }
        exchange.pointee.up = nil
        up.pointee.exchange = nil
        leavePeer(exchange, up)
        giveBack(up, upstream, client: exchange.pointee.down, reuse: reuse)
    }

    /// The same when the exchange goes on at the same peer at once: nobody else gets its place.
    mutating func detachKeepingPlace(_ exchange: UnsafeMutablePointer<Exchange>) {
        let place = exchange.pointee.flags.intersection(.inFlight)
        exchange.pointee.flags.remove(.inFlight)
        detachUpstream(exchange, reuse: false)
        exchange.pointee.flags.formUnion(place)
    }

    /// Counts a request no more as one that is with a peer.
    @inline(__always)
    func leavePeer(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ up: UnsafeMutablePointer<Upstream>
    ) {
        guard exchange.pointee.flags.contains(.inFlight) else { return }
        exchange.pointee.flags.remove(.inFlight)
        peers[Int(up.pointee.peer)].addInFlight(-1)
    }

    /// Puts a connection into the pool when it may be used again, else closes it.
    ///
    /// - Parameter client: whose request it served; nil for one of a plugin. A connection that
    ///   named its client to the peer stays with that client.
    mutating func giveBack(
        _ up: UnsafeMutablePointer<Upstream>,
        _ upstream: UnsafeMutablePointer<UpstreamPlan>,
        client: UnsafeMutablePointer<Downstream>?,
        reuse: Bool
    ) {
        if up.pointee.isStream {
            endPeerStream(up, .cancel)
            return
        }
        let settings = upstream.pointee.pool
        let peer = Int(up.pointee.peer)
        guard reuse, !isDraining, !pools[Int(up.pointee.peer)].isRetired,
            !up.pointee.flags.contains(.readClosed),
            settings.requests == 0 || Int(up.pointee.requests) < settings.requests,
            settings.idlePerPeer > 0,
            upstream.pointee.failover == nil || !yieldsConnection(upstream)
        else {
            closeUpstream(up)
            return
        }
        freeInput(up)
        up.pointee.state = .idle
        if upstream.pointee.proxyProtocol != nil, let client {
            keep(up, for: client)
        } else {
            addIdle(up, peer, most: settings.idlePerPeer)
        }
        timers.set(timer(of: up), deadline: now &+ UInt64(upstream.pointee.timeouts.idle))
    }

    /// Closes a peer's connection and forgets it.
    mutating func closeUpstream(_ up: UnsafeMutablePointer<Upstream>) {
        guard !up.pointee.flags.contains(.dead) else { return }
        if up.pointee.isStream {
            endPeerStream(up, .cancel)
            return
        }
        if up.pointee.session != nil { unlinkSession(up) }
        if up.pointee.state == .asked {
            orphan(up)
            return
        }
        if up.pointee.state == .idle { up.pointee.keeper == nil ? removeIdle(up) : forgetKept(up) }
        up.pointee.flags.insert(.dead)
        timers.cancel(timer(of: up))
        up.wire.close()
        up.pointee.tls = nil
        dropConnection(Int(up.pointee.peer))
        freeInput(up)
        up.pointee.next = deadUpstreams
        deadUpstreams = up
    }

    mutating func freeInput(_ up: UnsafeMutablePointer<Upstream>) {
        guard let block = up.pointee.input else { return }
        buffers.give(block)
        up.pointee.input = nil
        up.pointee.inputCount = 0
        up.pointee.scanner = HeadEndScanner()
    }
}
