internal import Reactor
internal import Sys

/// What the thread of an `AdminServer` does: waits for events, and moves each connection on.
final class AdminLoop: @unchecked Sendable {
    // Safe: made by one thread, which then gives it to the server's and keeps no reference.

    /// What is done with a request.
    struct Work: Sendable {
        var token: AdminToken?
        var hasPage: Bool
        var limits: AdminLimits
        var answered: AdminServer.Answered
        var handler: AdminHandler
    }

    private let listening: FileDescriptor
    private let isUnix: Bool
    private let work: Work
    private let poller: Epoll
    private var log: ErrorLog
    /// By number.
    ///
    /// Numbers are never used again, so an event for a connection that is gone finds nothing.
    private var connections: [UInt64: AdminConnection] = [:]
    private var nextNumber: UInt64 = 2
    /// When to accept again after the process ran out of descriptors; nil while accepting.
    private var acceptsAgain: UInt64?

    private static let listeningToken: UInt64 = 0
    private static let stopToken: UInt64 = 1
    /// How long no connection is accepted after the process ran out of descriptors: the socket
    /// would stay readable, and the loop would spin.
    private static let pauseNanoseconds: UInt64 = 100_000_000

    /// - Parameter stop: becomes readable when the loop must end.
    init(
        listening: consuming FileDescriptor,
        stop: Int32,
        work: Work,
        logLevel: UInt32
    ) throws(Errno) {
        isUnix = try Socket.localAddress(listening.number).isUnix
        poller = try Epoll()
        try poller.add(input: listening.number, token: Self.listeningToken, shared: false)
        try poller.add(input: stop, token: Self.stopToken, shared: false)
        self.listening = listening
        self.work = work
        log = ErrorLog(level: logLevel, source: "admin")
    }

    /// Returns when it is stopped.
    func run() {
        while true {
            let count = poller.wait(milliseconds: patience)
            for index in 0..<count {
                let token = poller.event(index).token
                if token == Self.stopToken { return }
                if token == Self.listeningToken { accept() } else { advance(token) }
            }
            expire()
        }
    }

    /// Milliseconds until something is due; -1 is for ever.
    private var patience: Int32 {
        let due = connections.values.map(\.deadline) + (acceptsAgain.map { [$0] } ?? [])
        guard let first = due.min() else { return -1 }
        let now = Clock.monotonicNanoseconds()
        // Rounded up, so that it is due when the wait is over.
        return first <= now ? 0 : Int32(clamping: (first - now) / 1_000_000 + 1)
    }

    /// Ends what took too long.
    private func expire() {
        let now = Clock.monotonicNanoseconds()
        if let again = acceptsAgain, again <= now {
            acceptsAgain = nil
            try? poller.add(input: listening.number, token: Self.listeningToken, shared: false)
        }
        for (number, connection) in connections where connection.deadline <= now {
            guard case .reading = connection.phase else {
                close(number)
                continue
            }
            let seconds = Double(work.limits.requestMilliseconds) / 1_000
            connection.begin(.refusal(408, "the request took longer than \(seconds) s"))
            connection.deadline = answerDeadline(from: now)
            advance(number)
        }
    }

    private func answerDeadline(from now: UInt64) -> UInt64 {
        now + UInt64(work.limits.requestMilliseconds) * 1_000_000
    }

    // MARK: Connections

    /// Accepts all that wait; at most as many as there may be connections, then others go on.
    private func accept() {
        for _ in 0..<work.limits.connections {
            var address = SocketAddress()
            let result = Socket.accept(listening.number, from: &address)
            if result == Syscall.connectionAborted { continue }
            guard result >= 0 else {
                if result != Syscall.wouldBlock { pause(errno: -result) }
                return
            }
            begin(FileDescriptor(owning: Int32(result)), address)
        }
    }

    private func pause(errno: Int) {
        log.write(1) { line in
            line.text("a connection can't be accepted: ")
            line.text(Errno(Int32(clamping: errno)).description)
        }
        poller.remove(listening.number)
        acceptsAgain = Clock.monotonicNanoseconds() + Self.pauseNanoseconds
    }

    private func begin(_ descriptor: consuming FileDescriptor, _ address: SocketAddress) {
        let now = Clock.monotonicNanoseconds()
        guard connections.count < work.limits.connections else {
            let problem = "there are \(work.limits.connections) connections already"
            log.write(2) { $0.text("503: \(problem)") }
            // At best: it has no place to wait for room or for the client's close.
            let bytes = AdminAnswer.refusal(503, problem).bytes(now: Clock.wallSeconds())
            _ = try? Socket.send(descriptor.number, bytes, from: 0)
            Syscall.shutdownWrite(descriptor.number)
            return
        }
        let peer: AdminPeer
        var refusal: AdminAnswer?
        do throws(Errno) {
            peer =
                isUnix
                ? .process(try Socket.peerCredentials(descriptor.number)) : .address(address.text)
            if case .process(let credentials) = peer { refusal = self.refusal(of: credentials) }
            let number = nextNumber
            try poller.add(connection: descriptor.number, token: number)
            let connection = AdminConnection(
                descriptor,
                peer: peer,
                phase: .reading(
                    AdminExchange(
                        token: work.token,
                        hasPage: work.hasPage,
                        limits: work.limits
                    )
                ),
                deadline: answerDeadline(from: now)
            )
            if let refusal { connection.begin(refusal) }
            connections[number] = connection
            nextNumber += 1
        } catch {
            log.write(1) { $0.text("a connection can't be served: \(error.description)") }
        }
    }

    /// Only the user of this process and root are answered.
    ///
    /// The mode of the socket's file says the same, but it can be changed.
    private func refusal(of peer: PeerCredentials) -> AdminAnswer? {
        guard peer.user != 0, peer.user != Process.effectiveUser else { return nil }
        return .refusal(403, "user \(peer.user) is neither root nor the user of this process")
    }

    private func advance(_ number: UInt64) {
        guard let connection = connections[number] else { return }
        while true {
            let now = Clock.monotonicNanoseconds()
            switch connection.advance(now: now, limits: work.limits) {
            case .wait: return
            case .close: return close(number)
            case .answered: finish(connection)
            case .call(let request):
                let response = work.handler(request)
                var answer = AdminAnswer(response: response)
                answer.hidesBody = request.method == "HEAD"
                connection.begin(answer)
                let end = Clock.monotonicNanoseconds()
                connection.deadline = answerDeadline(from: end)
                // The others could not be served meanwhile.
                for other in connections.values where other !== connection {
                    other.deadline += end - now
                }
            }
        }
    }

    /// What follows an answer that was sent, or never will be.
    private func finish(_ connection: AdminConnection) {
        guard let response = connection.response else { return }
        connection.response = nil
        write(connection, response)
        if let request = connection.request { work.answered(request, response) }
    }

    private func close(_ number: UInt64) {
        guard let connection = connections.removeValue(forKey: number) else { return }
        poller.remove(connection.descriptor.number)
        finish(connection)
    }

    // MARK: Log

    /// What somebody did, or was refused; only looking is not worth a line.
    private func write(_ connection: AdminConnection, _ response: AdminResponse) {
        let isRefused = [401, 403].contains(response.status)
        let isLook = connection.request?.method == "GET" && response.status < 400
        log.write(isRefused ? 2 : isLook ? 4 : 3) { line in
            line.number(response.status)
            line.text(": ")
            line.escaped(connection.line)
            line.text("; ")
            line.text(connection.peer.text)
            for problem in response.problems.prefix(1) {
                line.text("; ")
                line.escaped(problem)
            }
        }
    }
}
