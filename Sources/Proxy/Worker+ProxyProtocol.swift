import HTTP
import PluginHost
import Reactor
import Sys

/// The PROXY protocol on both sides: who the client of a connection is, said by the proxy in front
/// of this one, and said to the peer behind it.
extension Worker {
    // MARK: From the proxy in front

    /// Closes a connection that is not from a trusted proxy, and says so.
    mutating func refuseSender(_ fd: Int32, _ ip: IPAddress, _ port: UInt16) {
        log.write(2) { line in
            line.text("connection refused, not in proxy_protocol.trusted; client ")
            line.address(ip, port: port)
        }
        Syscall.close(fd)
    }

    /// Reads the header of a new connection, and nothing behind it.
    ///
    /// It is looked at where it lies, in the socket, until it is whole: a connection that waits for
    /// its header holds no buffer, and what follows is read by whom it belongs to.
    mutating func readProxyHeader(_ down: UnsafeMutablePointer<Downstream>) {
        guard down.pointee.flags.contains(.readable),
            let rules = listeners[Int(down.pointee.listener)].proxyProtocol
        else { return }
        let count = Syscall.peek(down.pointee.fd, scratch, ProxyHeaderLimits.bytesMax)
        guard count > 0 else {
            if count == Syscall.wouldBlock {
                down.pointee.flags.remove(.readable)
            } else {
                // Without a byte: a probe that looks whether the port is open.
                close(down)
            }
            return
        }
        var header = ProxyHeader()
        let outcome = ProxyHeaderParser.parse(
            scratch,
            count: count,
            versions: rules.pointee.versions,
            into: &header
        )
        switch outcome {
        case .incomplete:
            guard !down.pointee.flags.contains(.readClosed) else {
                refuseProxyHeader(down, "the connection ended within it", count)
                return
            }
            // More of it brings an event.
            down.pointee.flags.remove(.readable)
        case .invalid(let error): refuseProxyHeader(down, error.text, count)
        case .complete:
            guard Syscall.receive(down.pointee.fd, scratch, header.byteCount) == header.byteCount
            else {
                close(down)
                return
            }
            take(header, down)
            proxyHeaderDone(down)
        }
    }

    /// Ends a connection whose header broke a rule.
    ///
    /// There is no answer: which protocol the client speaks is not known. The header is still
    /// unread, so that the sender gets a reset and can tell it from a plain end.
    private mutating func refuseProxyHeader(
        _ down: UnsafeMutablePointer<Downstream>,
        _ reason: StaticString,
        _ count: Int
    ) {
        countRefusal(listeners + Int(down.pointee.listener), ListenerWords.proxyProtocol)
        log.write(2) { line in
            line.text("connection refused, PROXY header: ")
            line.text(reason)
            line.text("; client ")
            line.address(down.pointee.ip, port: down.pointee.port)
            line.text("; begins \"")
            line.escaped(scratch, count, most: 60)
            line.text("\"")
        }
        close(down)
    }

    /// No whole header came within `timeouts.head`.
    mutating func proxyHeaderTimedOut(_ down: UnsafeMutablePointer<Downstream>) {
        log.write(2) { line in
            line.text("connection refused, PROXY header: not whole within timeouts.head; client ")
            line.address(down.pointee.ip, port: down.pointee.port)
        }
        close(down)
    }

    /// Makes the header's client the connection's own, for logs, limits and plugins.
    private mutating func take(
        _ header: ProxyHeader,
        _ down: UnsafeMutablePointer<Downstream>
    ) {
        switch header.client {
        case .connection: return
        case .unix:
            down.pointee.ip = IPAddress()
            down.pointee.port = 0
        case .address:
            down.pointee.ip = IPAddress(header.source)
            down.pointee.port = header.source.port
            // At the bound of the slab the peers see this listener's own address instead.
            guard let destination = proxiedEnds.take() else { return }
            destination.initialize(to: header.destination)
            down.pointee.proxiedEnd = destination
        }
    }

    /// The connection's client is known: it is counted, and what it sends is read: TLS, or
    /// requests.
    private mutating func proxyHeaderDone(_ down: UnsafeMutablePointer<Downstream>) {
        let ip = down.pointee.ip
        let plan = listeners + Int(down.pointee.listener)
        if let addresses = plan.pointee.addresses, ip.family != 0,
            !addresses.add(ip)
        {
            answerRefused(
                down.pointee.fd,
                ip,
                down.pointee.port,
                limit: "connections_per_address"
            )
            close(down)
            return
        }
        // Counted from here on, whatever comes next.
        down.pointee.state = .idle
        if plan.pointee.tls != nil {
            beginHandshake(down)
        } else {
            advance(down)
        }
    }

    // MARK: To the peer behind

    /// Sends the header that a new connection to a peer begins with, where its upstream wants one.
    ///
    /// - Parameter client: whose request the connection is for; nil for one of a plugin.
    /// - Returns: why it could not be sent. That it was sent says nothing of whether the peer reads
    ///   it.
    mutating func sendProxyHeader(
        _ up: UnsafeMutablePointer<Upstream>,
        _ upstream: UnsafeMutablePointer<UpstreamPlan>,
        client: UnsafeMutablePointer<Downstream>?
    ) -> Errno? {
        guard let version = upstream.pointee.proxyProtocol else { return nil }
        let count: Int
        if let client, !client.pointee.isAbsent {
            let down = socketOwner(client)
            let source = ProxyEndpoint(down.pointee.ip, port: down.pointee.port)
            let destination = down.pointee.proxiedEnd?.pointee ?? localEnd(down.pointee.fd)
            count =
                version == .v1
                ? ProxyHeaderWriter.writeLine(source: source, destination: destination, to: out)
                : ProxyHeaderWriter.writeBinary(source: source, destination: destination, to: out)
        } else if version == .v1 {
            // There is no LOCAL, and UNKNOWN is refused by some: the line names the connection's
            // own ends (§2.1).
            count = ProxyHeaderWriter.writeLine(
                source: localEnd(up.pointee.fd),
                destination: ProxyEndpoint(peers[Int(up.pointee.peer)].address),
                to: out
            )
        } else {
            count = ProxyHeaderWriter.writeLocal(to: out)
        }
        // The socket's buffer is empty, so all of it is taken, or nothing. The request follows at
        // once, and goes out in the same segment.
        let sent = Syscall.sendMore(up.pointee.fd, out, count)
        if sent == count { return nil }
        return sent < 0 ? Errno(Int32(truncatingIfNeeded: -sent)) : .wouldBlock
    }

    /// The connection that a request came on: of a stream of HTTP/2 the one that it is part of.
    private func socketOwner(
        _ down: UnsafeMutablePointer<Downstream>
    ) -> UnsafeMutablePointer<Downstream> {
        guard down.pointee.isStream, let session = down.pointee.session else { return down }
        return session.pointee.owner
    }

    private func localEnd(_ fd: Int32) -> ProxyEndpoint {
        do throws(Errno) {
            return ProxyEndpoint(try Socket.localAddress(fd))
        } catch {
            return ProxyEndpoint()
        }
    }

    // MARK: Connections that named their client

    /// Keeps a connection to a peer for the next request of the client that its header names.
    ///
    /// One at a time for each connection of a client, outside of the pool: what the next request on
    /// it would be is that client's to the peer, whoever sent it.
    mutating func keep(
        _ up: UnsafeMutablePointer<Upstream>,
        for client: UnsafeMutablePointer<Downstream>
    ) {
        let down = socketOwner(client)
        if let earlier = down.pointee.keptUpstream { closeUpstream(earlier) }
        down.pointee.keptUpstream = up
        up.pointee.keeper = down
        // A client that is gone asks for nothing any more, and a stream asks only once.
        if down.pointee.flags.contains(.dead) || down.pointee.isStream { closeUpstream(up) }
    }

    /// The connection to a peer that this client's last request left.
    mutating func takeKept(
        _ client: UnsafeMutablePointer<Downstream>,
        _ peer: Int
    ) -> UnsafeMutablePointer<Upstream>? {
        let down = socketOwner(client)
        guard let up = down.pointee.keptUpstream, Int(up.pointee.peer) == peer else { return nil }
        forgetKept(up)
        up.pointee.flags.insert(.reused)
        return up
    }

    /// Takes a kept connection from its client.
    func forgetKept(_ up: UnsafeMutablePointer<Upstream>) {
        up.pointee.keeper?.pointee.keptUpstream = nil
        up.pointee.keeper = nil
    }
}
