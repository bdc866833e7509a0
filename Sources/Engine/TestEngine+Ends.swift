import HTTP
import Proxy
package import Sys

/// The test's ends of connections.
extension TestEngine {
    /// Opens a client's connection; our end.
    ///
    /// - Parameters:
    ///   - client: its address as plugins see it; an empty one is a Unix socket's.
    ///   - listener: place in the settings.
    package func connect(from client: SocketAddress, listener: Int) throws(Errno) -> Int32 {
        let (ours, theirs) = try Socket.pair()
        switch versions.client {
        case .http1: ends.insert(ours)
        case .http2:
            let link = HTTP2Link(.client, ours, translationRoom)
            links.append(Link(link: link, peer: nil))
            translated[ours] = (link, link.translation.client)
        }
        worker.open(theirs, listener, client)
        return ours
    }

    /// Takes a connection that the proxy made to a peer, counted over all upstreams; nil when there
    /// is none.
    ///
    /// Of HTTP/2 it is a stream, in the order in which the proxy opened them.
    package func accept(peer: Int) -> Int32? {
        switch versions.origin {
        case .http1:
            guard let end = takeConnection(peer: peer) else { return nil }
            ends.insert(end)
            return end
        case .http2:
            for link in links where link.peer == peer {
                guard let stream = link.link.translation.takeArrival() else { continue }
                nextStreamEnd += 1
                translated[nextStreamEnd] = (link.link, stream)
                return nextStreamEnd
            }
            return nil
        }
    }

    private func takeConnection(peer: Int) -> Int32? {
        guard origins.indices.contains(peer), origins[peer].listening >= 0 else { return nil }
        var address = SocketAddress()
        let result = Socket.accept(origins[peer].listening, from: &address)
        return result < 0 ? nil : Int32(result)
    }

    /// Lets a peer take connections, or refuse them.
    package func setListening(_ isListening: Bool, peer: Int) throws(Errno) {
        guard origins.indices.contains(peer),
            isListening != (origins[peer].listening >= 0)
        else { return }
        if isListening {
            origins[peer].listening = try Self.listen(origins[peer].address)
        } else {
            Syscall.close(origins[peer].listening)
            origins[peer].listening = -1
        }
    }

    package var peerCount: Int { origins.count }

    /// Moves frames of translated connections; whether there were any.
    func moveLinks() -> Bool {
        var hasMoved = false
        if versions.origin == .http2 {
            for peer in origins.indices {
                while let descriptor = takeConnection(peer: peer) {
                    let link = HTTP2Link(.server, descriptor, translationRoom)
                    links.append(Link(link: link, peer: peer))
                    hasMoved = true
                }
            }
        }
        for link in links where link.link.move(now: now / 1_000_000) { hasMoved = true }
        links.removeAll { $0.link.isClosed }
        return hasMoved
    }

    // MARK: Bytes

    /// What came of sending or receiving.
    package enum Transfer: Equatable {
        case bytes(Int)
        /// No room, or nothing there, now.
        case later
        /// The other side has closed.
        case closed
        /// What was sent has no form in HTTP/2, or the proxy broke its rules: `problem` says which.
        case refused
    }

    /// Sends what there is room for.
    package func send(_ bytes: UnsafeRawBufferPointer, to end: Int32) -> Transfer {
        if let (link, stream) = translated[end] {
            return link.translation.send(bytes, on: stream)
        }
        guard ends.contains(end), let start = bytes.baseAddress, bytes.count > 0 else {
            return ends.contains(end) ? .bytes(0) : .closed
        }
        let count = Syscall.send(end, start, bytes.count)
        if count >= 0 { return .bytes(count) }
        return count == Syscall.wouldBlock ? .later : .closed
    }

    /// Receives what is there.
    package func receive(_ buffer: UnsafeMutableRawBufferPointer, from end: Int32) -> Transfer {
        if let (link, stream) = translated[end] {
            return link.translation.receive(buffer, on: stream)
        }
        guard ends.contains(end), let start = buffer.baseAddress, buffer.count > 0 else {
            return .closed
        }
        let count = Syscall.receive(end, start, buffer.count)
        if count > 0 { return .bytes(count) }
        return count == Syscall.wouldBlock ? .later : .closed
    }

    /// Why an end refused to send or receive; nil when it did not.
    package func problem(of end: Int32) -> String? {
        translated[end].flatMap { $0.link.translation.problem(of: $0.stream) }
    }

    /// Says that no more will be sent.
    package func shutdown(_ end: Int32) {
        if let (link, stream) = translated[end] {
            link.finish(stream)
        } else if ends.contains(end) {
            Syscall.shutdownWrite(end)
        }
    }

    package func close(_ end: Int32) {
        if let (link, stream) = translated.removeValue(forKey: end) {
            link.close(stream)
        } else if ends.remove(end) != nil {
            Syscall.close(end)
        }
    }
}
