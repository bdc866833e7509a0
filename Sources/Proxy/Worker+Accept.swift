import HTTP
import PluginHost
import Reactor
import Synchronization
package import Sys

/// Taking connections, and letting go of them.
extension Worker {
    /// Connections taken from one listener before others get their turn.
    private static let acceptsMax = 64
    /// Milliseconds without accepting after the process ran out of descriptors.
    private static let pauseMilliseconds: UInt64 = 100
    /// Milliseconds that a connection without a request gets once the listeners are closed.
    private static let freshGraceMilliseconds: UInt64 = 1_000

    /// Takes what waits in the queue of a listening socket.
    mutating func accept(_ place: Int) {
        let socket = listening[place]
        guard socket.fd >= 0, !areListenersPaused else { return }
        var peer = SocketAddress()
        for _ in 0..<Self.acceptsMax {
            let result = Socket.accept(socket.fd, from: &peer)
            if result >= 0 {
                open(Int32(truncatingIfNeeded: result), socket.listener, peer)
                continue
            }
            if result == Syscall.wouldBlock { return }
            if result != Syscall.connectionAborted {
                pauseListeners(Errno(Int32(truncatingIfNeeded: -result)))
                return
            }
        }
    }

    /// Takes a connection of a client.
    ///
    /// - Parameters:
    ///   - fd: does not block; the worker closes it.
    ///   - listener: index in the plan's tables.
    ///   - peer: the client's address, as plugins see it.
    package mutating func open(_ fd: Int32, _ listener: Int, _ peer: borrowing SocketAddress) {
        let plan = listeners + listener
        let ip = peer.ip
        let rules = plan.pointee.proxyProtocol
        if let rules, !rules.pointee.trusts(ip) {
            countRefusal(plan, ListenerWords.proxyProtocol)
            refuseSender(fd, ip, peer.port)
            return
        }
        guard
            plan.pointee.connections.pointee.wrappingAdd(1, ordering: .relaxed).newValue
                <= plan.pointee.connectionsMax
        else {
            plan.pointee.connections.pointee.wrappingSubtract(1, ordering: .relaxed)
            countRefusal(plan, ListenerWords.connections)
            refuse(fd, ip, peer.port, limit: "connections")
            return
        }
        // With a header it is the client behind the proxy that counts.
        if rules == nil, let addresses = plan.pointee.addresses, ip.family != 0, !addresses.add(ip)
        {
            plan.pointee.connections.pointee.wrappingSubtract(1, ordering: .relaxed)
            countRefusal(plan, ListenerWords.perAddress)
            refuse(fd, ip, peer.port, limit: "connections_per_address")
            return
        }
        guard let down = downstreams.take() else {
            Syscall.close(fd)
            return
        }
        down.initialize(to: Downstream(fd: fd, listener: listener, ip: ip, port: peer.port))
        connectionNumber &+= 1
        down.pointee.number = connectionNumber
        if rules != nil { down.pointee.state = .proxyHeader }
        connectionCount &+= 1
        down.pointee.acceptedAt = nowNanoseconds
        plan.pointee.meter.row(index).add(ListenerWords.accepted)
        ownRow.add(WorkerWords.connections)
        down.pointee.nextOpen = firstOpen
        firstOpen?.pointee.previousOpen = down
        firstOpen = down
        do {
            try poller.add(
                connection: fd,
                token: Token.make(Token.downstream, UnsafeMutableRawPointer(down))
            )
        } catch {
            log.write(1) { line in
                line.text("connection not watched: ")
                line.text(error.description)
            }
            close(down)
            return
        }
        // A client that has something to say has often said it by now.
        down.pointee.flags.insert(.readable)
        if rules == nil, plan.pointee.tls != nil {
            beginHandshake(down)
        } else {
            timers.set(
                timer(of: down),
                deadline: now &+ UInt64(plan.pointee.settings.timeouts.head)
            )
            advance(down)
        }
    }

    private mutating func refuse(_ fd: Int32, _ ip: IPAddress, _ port: UInt16, limit: StaticString)
    {
        answerRefused(fd, ip, port, limit: limit)
        Syscall.close(fd)
    }

    /// Tells a client that there are too many connections; the caller closes this one.
    mutating func answerRefused(
        _ fd: Int32,
        _ ip: IPAddress,
        _ port: UInt16,
        limit: StaticString
    ) {
        log.write(2) { line in
            line.text("connection refused, limit ")
            line.text(limit)
            line.text(" reached; client ")
            line.address(ip, port: port)
        }
        let text: StaticString = """
            HTTP/1.1 503 Service Unavailable\r
            Content-Type: text/plain\r
            Content-Length: 24\r
            Retry-After: 1\r
            Connection: close\r
            \r
            503 Service Unavailable

            """
        _ = Syscall.send(fd, text.utf8Start, text.utf8CodeUnitCount)
        // What the client has sent already must be read, or closing resets the answer.
        _ = Syscall.receive(fd, scratch, Self.scratchBytes)
        Syscall.shutdownWrite(fd)
    }

    /// Stops accepting for a while.
    ///
    /// Without descriptors, or memory, every attempt fails and the queue stays readable, so that
    /// asking again at once would spin.
    private mutating func pauseListeners(_ error: Errno) {
        areListenersPaused = true
        for socket in listening where socket.fd >= 0 { poller.remove(socket.fd) }
        timers.set(listenerTimer, deadline: now &+ Self.pauseMilliseconds)
        log.write(1) { line in
            line.text("no new connections for 100 ms: ")
            line.text(error.description)
            if error == .tooManyOpenFiles {
                line.text("; raise the limit of descriptors (ulimit -n) or lower ")
                line.text("limits.connections")
            }
        }
    }

    mutating func resumeListeners() {
        areListenersPaused = false
        for place in listening.indices where listening[place].fd >= 0 {
            do throws(Errno) {
                try watch(listening: place)
            } catch {
                log.write(1) { line in
                    line.text("listener not watched: ")
                    line.text(error.description)
                }
            }
        }
    }

    func watch(listening place: Int) throws(Errno) {
        try poller.add(
            input: listening[place].fd,
            token: Token.listener(place),
            // A Unix address has one socket for all workers, and so may one that was inherited.
            shared: true
        )
    }

    /// Watches a socket no more.
    ///
    /// Connections that the kernel has accepted already are ours to answer.
    mutating func closeListening(_ place: Int) {
        accept(place)
        if !areListenersPaused { poller.remove(listening[place].fd) }
        Syscall.close(listening[place].fd)
        listening[place].fd = -1
    }

    /// Takes no more connections; requests go on, idle connections end now.
    ///
    /// A client may send its next request in the moment in which its idle connection is closed, and
    /// loses it, whenever that moment is. nginx accepts that; here, as with HAProxy's
    /// `idle-close-on-response`, an idle connection stays while another process serves on, and its
    /// next answer says `Connection: close`. If no request comes, `timeouts.idle` ends it as ever.
    ///
    /// - Parameter handsOver: another process serves on.
    package mutating func drain(handsOver: Bool = false) {
        guard !isDraining || keepsIdle && !handsOver else { return }
        keepsIdle = handsOver
        for place in listening.indices where listening[place].fd >= 0 { closeListening(place) }
        timers.cancel(listenerTimer)
        isDraining = true
        var next = firstOpen
        while let down = next {
            next = down.pointee.nextOpen
            drain(down)
        }
    }

    /// Ends a connection as soon as what was begun on it has ended.
    mutating func drain(_ down: UnsafeMutablePointer<Downstream>) {
        if down.pointee.state == .multiplexed { drainSession(down) }
        guard down.pointee.state == .idle || down.pointee.state == .proxyHeader, !keepsIdle else {
            return
        }
        if down.pointee.flags.contains(.fresh) {
            // Its request may be on the way.
            timers.set(timer(of: down), deadline: now &+ Self.freshGraceMilliseconds)
        } else {
            close(down)
        }
    }

    /// Closes a client's connection and forgets it.
    mutating func close(_ down: UnsafeMutablePointer<Downstream>) {
        guard !down.pointee.flags.contains(.dead) else { return }
        if down.pointee.isStream {
            endStream(down, .internalError)
            return
        }
        if down.pointee.isAbsent {
            endAlone(down)
            return
        }
        down.pointee.flags.insert(.dead)
        timers.cancel(timer(of: down))
        down.wire.close()
        down.pointee.tls = nil
        down.pointee.tlsFacts?.deallocate()
        down.pointee.tlsFacts = nil
        freeInput(down)
        let plan = listeners + Int(down.pointee.listener)
        plan.pointee.connections.pointee.wrappingSubtract(1, ordering: .relaxed)
        if let addresses = plan.pointee.addresses, down.pointee.ip.family != 0,
            down.pointee.state != .proxyHeader
        {
            addresses.remove(down.pointee.ip)
        }
        if let end = down.pointee.proxiedEnd {
            down.pointee.proxiedEnd = nil
            proxiedEnds.give(end)
        }
        if let up = down.pointee.keptUpstream { closeUpstream(up) }
        if down.pointee.flags.contains(.leaves) {
            release(places[Int(down.pointee.listener)].generation)
        }
        connectionCount &-= 1
        plan.pointee.meter.row(index).add(ListenerWords.closed)
        ownRow.add(WorkerWords.connections, .max)
        if let previous = down.pointee.previousOpen {
            previous.pointee.nextOpen = down.pointee.nextOpen
        } else {
            firstOpen = down.pointee.nextOpen
        }
        down.pointee.nextOpen?.pointee.previousOpen = down.pointee.previousOpen
        down.pointee.nextDead = deadDownstreams
        deadDownstreams = down
    }

    // MARK: Timers

    @inline(__always)
    func timer(of down: UnsafeMutablePointer<Downstream>) -> UnsafeMutablePointer<TimerNode> {
        // Safe: the timer is the first member.
        UnsafeMutableRawPointer(down).assumingMemoryBound(to: TimerNode.self)
    }

    @inline(__always)
    func timer(of up: UnsafeMutablePointer<Upstream>) -> UnsafeMutablePointer<TimerNode> {
        UnsafeMutableRawPointer(up).assumingMemoryBound(to: TimerNode.self)
    }

    // MARK: Input that waits

    /// Gives the connection's input block back.
    mutating func freeInput(_ down: UnsafeMutablePointer<Downstream>) {
        guard let input = down.pointee.input else { return }
        buffers.give(Block(bytes: input, capacity: Int(down.pointee.inputCapacity)))
        down.pointee.input = nil
        down.pointee.inputCapacity = 0
        down.pointee.inputStart = 0
        down.pointee.inputEnd = 0
        down.pointee.scanner = HeadEndScanner()
    }

    /// Keeps bytes for later, in place of what was kept before.
    ///
    /// They may lie in the present block.
    mutating func keepInput(
        _ down: UnsafeMutablePointer<Downstream>,
        _ bytes: UnsafePointer<UInt8>,
        _ count: Int
    ) {
        guard count > 0 else {
            freeInput(down)
            return
        }
        let old = down.pointee.input
        let oldCapacity = Int(down.pointee.inputCapacity)
        if let old, bytes >= UnsafePointer(old), bytes < UnsafePointer(old + oldCapacity) {
            down.pointee.inputStart = UInt32(bytes - UnsafePointer(old))
            down.pointee.inputEnd = down.pointee.inputStart &+ UInt32(count)
            return
        }
        let block = buffers.take(count)
        block.bytes.update(from: bytes, count: count)
        if let old { buffers.give(Block(bytes: old, capacity: oldCapacity)) }
        down.pointee.input = block.bytes
        down.pointee.inputCapacity = UInt32(block.capacity)
        down.pointee.inputStart = 0
        down.pointee.inputEnd = UInt32(count)
    }
}
