internal import Sys

/// One client of the admin interface: a descriptor, and how far its request and answer are.
final class AdminConnection {
    enum Phase {
        case reading(AdminExchange)
        /// Bytes of an answer, and how many of them are sent.
        case answering([UInt8], sent: Int)
        /// The answer is sent and no more will be; what comes is thrown away until the client
        /// closes, because closing over unread bytes would take the answer from it.
        case lingering(bytesLeft: Int)
    }

    /// What is left to do for a connection after an event.
    enum Next {
        case wait
        case call(AdminRequest)
        /// The answer was sent whole.
        case answered
        case close
    }

    let descriptor: FileDescriptor
    /// As the log names it.
    let peer: AdminPeer
    var phase: Phase
    /// Nanoseconds of the monotonic clock.
    var deadline: UInt64
    /// Method and path for the log; empty when they were never known.
    private(set) var line = ""
    var request: AdminRequest?
    /// The answer until somebody was told that it is sent.
    var response: AdminResponse?

    /// Bytes that are read at a time.
    private static let pieceBytes = 16_384
    private static let interim = Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)

    init(
        _ descriptor: consuming FileDescriptor,
        peer: AdminPeer,
        phase: Phase,
        deadline: UInt64
    ) {
        self.descriptor = descriptor
        self.peer = peer
        self.phase = phase
        self.deadline = deadline
    }

    /// Moves on as far as the socket allows.
    ///
    /// Readiness comes as edges, so each step goes on until the kernel has no more.
    func advance(now: UInt64, limits: AdminLimits) -> Next {
        do throws(Errno) {
            while true {
                switch phase {
                case .reading(var exchange):
                    if let next = try read(&exchange) { return next }
                case .answering(let bytes, let sent):
                    guard sent < bytes.count else {
                        Syscall.shutdownWrite(descriptor.number)
                        phase = .lingering(bytesLeft: limits.lingerBytes)
                        deadline = now + UInt64(limits.lingerMilliseconds) * 1_000_000
                        return .answered
                    }
                    let count = try Socket.send(descriptor.number, bytes, from: sent)
                    phase = .answering(bytes, sent: sent + count)
                case .lingering(let bytesLeft):
                    let count = try receive().count
                    guard 0 < count, count <= bytesLeft else { return .close }
                    phase = .lingering(bytesLeft: bytesLeft - count)
                }
            }
        } catch {
            return error == .wouldBlock ? .wait : .close
        }
    }

    /// Reads once; nil when there may be more.
    private func read(_ exchange: inout AdminExchange) throws(Errno) -> Next? {
        let bytes = try receive()
        // The client has given up.
        guard !bytes.isEmpty else { return .close }
        let step = exchange.receive(bytes)
        phase = .reading(exchange)
        switch step {
        case .more: return nil
        case .sendContinue:
            // Nothing was sent before, so there is room for it; without it a client goes on, too.
            _ = try Socket.send(descriptor.number, Self.interim, from: 0)
            return nil
        case .call(let request):
            self.request = request
            return .call(request)
        case .answer(let answer):
            begin(answer)
            return nil
        }
    }

    private func receive() throws(Errno) -> [UInt8] {
        try Socket.receive(descriptor.number, bytesMax: Self.pieceBytes)
    }

    /// Begins to send an answer.
    func begin(_ answer: AdminAnswer) {
        if case .reading(let exchange) = phase { line = exchange.line }
        response = answer.response
        phase = .answering(answer.bytes(now: Clock.wallSeconds()), sent: 0)
    }
}

/// Who a client is.
enum AdminPeer: Equatable {
    case process(PeerCredentials)
    case address(String)

    var text: String {
        switch self {
        case .process(let peer): "user \(peer.user), process \(peer.process)"
        case .address(let text): "client \(text)"
        }
    }
}
