import CSluice
import HTTP
import PluginHost
import Reactor
import Synchronization
import Sys
import TLS

/// Idle connections that move between workers: before a request opens a connection, it asks for
/// one that lies idle with another worker.
///
/// Without it each worker warms up a pool of its own, so that the same load holds as many times
/// more connections, makes as many times more handshakes, and finds them closed by the peer more
/// often. Asking takes two messages, which only a request pays for that would have paid for a
/// connect. It allocates (the mailbox's list), which is accepted on this path.
///
/// A connection that stands for its client (`proxy_protocol` of an upstream) never moves.
extension Worker {
    /// Milliseconds for which a request waits for another worker's answer before it connects.
    ///
    /// An idle worker answers in microseconds. One that is in the middle of a long hook does not,
    /// and then the connect is the better way. Timers are up to `TimerWheel.slotMilliseconds` late.
    static let takeoverMilliseconds: UInt64 = 5
    /// Workers that one request asks at most: a count may have been taken by its own worker, or by
    /// another one, when the question comes.
    static let asksMax = 3

    // MARK: Who asks

    /// Asks a worker that has an idle connection to this peer for it; false when none seems to
    /// have one, and a new one is to be made.
    ///
    /// In its place the exchange has an element in state `asked`, which takes the connection when
    /// it comes.
    mutating func askOthers(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ upstream: UnsafeMutablePointer<UpstreamPlan>,
        peer: Int
    ) -> Bool {
        guard mailboxes.count > 1, !isDraining, upstream.pointee.proxyProtocol == nil,
            !exchange.pointee.flags.contains(.freshConnection),
            let giver = findGiver(peer), let up = upstreams.take()
        else { return false }
        up.initialize(to: Upstream(fd: -1, peer: peer))
        up.pointee.state = .asked
        let request = IdleRequest(worker: index, claim: up, peer: peer, upstream: upstream)
        guard ask(giver, request) else {
            upstreams.give(up)
            return false
        }
        bind(exchange, up)
        timers.set(timer(of: up), deadline: now &+ Self.takeoverMilliseconds)
        return true
    }

    private mutating func ask(_ giver: Int, _ request: IdleRequest) -> Bool {
        guard mailboxes[giver].post(.ask(request)) else { return false }
        pools[request.peer].asked &+= 1
        return true
    }

    /// Asks the next one after a worker that had none, in what is left of the time.
    private mutating func askAgain(_ answered: IdleRequest) -> Bool {
        guard answered.asks < Self.asksMax, let giver = findGiver(answered.peer) else {
            return false
        }
        var request = answered
        request.asks &+= 1
        return ask(giver, request)
    }

    /// A worker with more idle connections to the peer than this one has already asked for: a burst
    /// of requests does not wait for connections that are not there.
    mutating func findGiver(_ peer: Int) -> Int? {
        nextAsked = (nextAsked &+ 1) % mailboxes.count
        for offset in 0..<mailboxes.count {
            let other = (nextAsked &+ offset) % mailboxes.count
            guard other != index else { continue }
            let count = tables.idleCounts.row(other)[peer].load(ordering: .relaxed)
            if Int(count) > pools[peer].asked { return other }
        }
        return nil
    }

    /// The answer takes too long: the request goes on with a new connection.
    mutating func askTimedOut(_ up: UnsafeMutablePointer<Upstream>) {
        guard let exchange = up.pointee.exchange else { return }
        let peer = Int(up.pointee.peer)
        detachKeepingPlace(exchange)
        connectUnasked(exchange, peer: peer)
    }

    /// Takes an element that waits for an answer from its exchange, which needs it no more.
    ///
    /// The answer still comes, and with it maybe a connection: that one goes into the pool.
    mutating func orphan(_ up: UnsafeMutablePointer<Upstream>) {
        timers.cancel(timer(of: up))
        up.pointee.exchange = nil
    }

    /// An answer: the request that asked takes the connection, if it still waits.
    mutating func receive(_ gift: IdleGift) {
        let up = gift.request.claim
        let peer = gift.request.peer
        let exchange = up.pointee.exchange
        if let exchange { makeCurrent(up, exchange) }
        pools[peer].asked &-= 1
        if gift.isNone, exchange != nil, askAgain(gift.request) { return }
        timers.cancel(timer(of: up))
        guard adopt(gift, up) else {
            if let exchange { detachKeepingPlace(exchange) }
            discard(up)
            if let exchange { connectUnasked(exchange, peer: peer) }
            return
        }
        guard let exchange else {
            log.write(4) { line in line.text("idle connection of another worker came late") }
            keepLate(up, gift)
            return
        }
        log.write(4) { line in line.text("idle connection of another worker taken over") }
        exchange.pointee.context.facts.is_reused = 1
        send(exchange)
    }

    /// Makes the connection this worker's own; false when there is none, or it can't be watched.
    private mutating func adopt(_ gift: IdleGift, _ up: UnsafeMutablePointer<Upstream>) -> Bool {
        guard !gift.isNone else { return false }
        do throws(Errno) {
            // What has come meanwhile, the peer's end too, is announced again.
            try poller.add(
                connection: gift.fd,
                token: Token.make(Token.upstream, UnsafeMutableRawPointer(up))
            )
        } catch {
            close(gift)
            return false
        }
        up.pointee.fd = gift.fd
        up.pointee.tls = gift.tls
        up.pointee.requests = gift.requests
        up.pointee.flags = .reused
        gift.tls?.pointee.move(to: ciphertext, session: sessions + gift.request.peer)
        return true
    }

    /// Puts a connection into the pool whose request has gone another way.
    private mutating func keepLate(_ up: UnsafeMutablePointer<Upstream>, _ gift: IdleGift) {
        // No more `asked`, and not yet in the pool: so that it can be closed.
        up.pointee.state = .active
        guard !isDraining, !pools[gift.request.peer].isRetired else {
            closeUpstream(up)
            return
        }
        up.pointee.state = .idle
        addIdle(up, gift.request.peer, most: gift.request.upstream.pointee.pool.idlePerPeer)
        // The peer counts from its last answer, whoever has the connection.
        timers.set(timer(of: up), deadline: gift.deadline)
    }

    /// Closes a connection that nobody takes any more.
    private mutating func close(_ gift: IdleGift) {
        guard !gift.isNone else { return }
        gift.close()
        dropConnection(gift.request.peer)
    }

    // MARK: Who gives

    /// Another worker asks for an idle connection: it gets the one that was used last, which the
    /// peer is least likely to close now.
    mutating func give(_ request: IdleRequest) {
        var gift = IdleGift(request: request)
        // What it has left is for its own last requests: nobody need ask again.
        if isDraining { idleCounts[request.peer].store(0, ordering: .relaxed) }
        while !isDraining, let up = pools[request.peer].first {
            // An end that has come and was not seen yet must not travel: the request would fail.
            guard isQuiet(up) else {
                closeUpstream(up)
                continue
            }
            gift.deadline = timer(of: up).pointee.deadline
            gift.requests = up.pointee.requests
            gift.tls = up.pointee.tls
            gift.fd = release(up)
            break
        }
        if !mailboxes[request.worker].post(.gift(gift)) { close(gift) }
    }

    /// Lets go of an idle connection without closing it; its socket.
    private mutating func release(_ up: UnsafeMutablePointer<Upstream>) -> Int32 {
        let fd = up.pointee.fd
        removeIdle(up)
        timers.cancel(timer(of: up))
        poller.remove(fd)
        discard(up)
        return fd
    }

    /// Takes an element back that has no connection any more.
    ///
    /// Events of this batch may still name it.
    private mutating func discard(_ up: UnsafeMutablePointer<Upstream>) {
        up.pointee.fd = -1
        up.pointee.tls = nil
        up.pointee.exchange = nil
        up.pointee.flags.insert(.dead)
        up.pointee.next = deadUpstreams
        deadUpstreams = up
    }

    // MARK: The end

    /// Closes the mailbox: connections in it are closed, and questions answered.
    mutating func closeMailbox() {
        for message in mailbox.close() {
            switch message {
            case .gift(let gift): close(gift)
            case .ask(let request):
                mailboxes[request.worker].post(.gift(IdleGift(request: request)))
            case .census(let census): census.answer([], 0)
            case .adopt(let adoption): adopt(adoption)
            case .attempt(let trial):
                if let trial { reports?.send(index, .adopted(trial.plan.number)) }
            case .retire(let retirement):
                reports?.send(index, .retired(retirement.number))
            case .ping(let round): round.answer()
            case .drain, .endTunnels, .cut, .tasks, .resume, .room: break
            }
        }
    }
}
