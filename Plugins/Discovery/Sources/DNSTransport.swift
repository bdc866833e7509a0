import CDiscovery
import SluiceSDK

/// One question on its way: a server is asked by UDP, by TCP when the answer is too long for that,
/// and the next server when this one gives none.
///
/// Owns its socket. It never blocks: `DNSClient` waits for all questions together.
struct DNSTransport: ~Copyable {
    /// What became of a question.
    enum Outcome: Equatable {
        case reply(DNSReply)
        /// Nobody answered; what the last server did.
        case failed(String)
    }

    /// What the socket waits for.
    private enum Step {
        case datagram
        case sending(message: [UInt8], sent: Int)
        case receiving([UInt8])
    }

    /// Bytes of a message by TCP, with its length.
    private static let streamBytesMax = 65_537
    /// Bytes of a datagram: as many as IP has, though we ask for fewer.
    private static let datagramBytesMax = 65_535

    let question: DNSQuestion
    private let settings: ResolverSettings
    private let firstServer: Int
    private var query: DNSQuery
    private var attempt = 0
    private var step = Step.datagram
    private(set) var descriptor: Int32 = -1
    private(set) var deadline: UInt64 = 0
    private(set) var outcome: Outcome?
    private var lastFailure = "no server was asked"

    init(_ question: DNSQuestion, _ settings: ResolverSettings, firstServer: Int) {
        self.question = question
        self.settings = settings
        self.firstServer = firstServer
        query = DNSQuery(id: 0, question: question)
    }

    deinit {
        if descriptor >= 0 { discovery_close(descriptor) }
    }

    /// Whether the socket waits for room to write in, and not for something to read.
    var isSending: Bool {
        if case .sending = step { return true }
        return false
    }

    private var server: SocketAddress {
        settings.servers[(firstServer + attempt) % settings.servers.count]
    }

    /// Asks the first server.
    mutating func begin(now: UInt64) { ask(now: now) }

    /// The time for this server, or for everything, is over.
    mutating func expire(now: UInt64, isLast: Bool) {
        lastFailure = "\(text(server)): no answer"
        if isLast {
            end(.failed(lastFailure))
        } else {
            tryNext(now: now)
        }
    }

    /// The socket is ready.
    mutating func move(now: UInt64) {
        switch step {
        case .datagram: receiveDatagrams(now: now)
        case .sending(let message, let sent): send(message, from: sent, now: now)
        case .receiving(let bytes): receiveStream(bytes, now: now)
        }
    }

    // MARK: UDP

    private mutating func ask(now: UInt64) {
        while outcome == nil {
            // A new id and a new port for each try, so that a late answer to an older one is no
            // answer to this one, and forgers have to begin anew.
            query = DNSQuery(
                id: UInt16(truncatingIfNeeded: discovery_random()),
                question: question,
                hasOptions: query.hasOptions
            )
            deadline = now + settings.timeoutNanoseconds
            let result = open(isStream: false)
            step = .datagram
            if result >= 0 {
                let message = query.bytes
                let sent = message.withUnsafeBufferPointer { buffer -> Int64 in
                    guard let start = buffer.baseAddress else { return 0 }
                    return discovery_send(descriptor, start, UInt64(buffer.count))
                }
                if sent == Int64(message.count) { return }
                fail(sent)
            } else {
                fail(Int64(result))
            }
            advance()
        }
    }

    private mutating func receiveDatagrams(now: UInt64) {
        while outcome == nil, case .datagram = step {
            var bytes = [UInt8](repeating: 0, count: Self.datagramBytesMax)
            let count = Self.receive(descriptor, &bytes, from: 0)
            if discovery_would_block(count) != 0 { return }
            guard count >= 0 else {
                // Nobody listens there, say.
                fail(count)
                return tryNext(now: now)
            }
            bytes.removeLast(bytes.count - Int(count))
            do throws(DNSFault) {
                take(try query.reply(bytes), now: now)
                return
            } catch {
                // What is not ours is dropped, and the wait goes on.
                guard case .malformed(let flaw) = error else { continue }
                lastFailure = "\(text(server)): a broken answer: \(flaw.text)"
                return tryNext(now: now)
            }
        }
    }

    // MARK: TCP

    private mutating func askByStream(now: UInt64) {
        query = DNSQuery(
            id: UInt16(truncatingIfNeeded: discovery_random()),
            question: question,
            hasOptions: query.hasOptions
        )
        deadline = now + settings.timeoutNanoseconds
        let result = open(isStream: true)
        guard result >= 0 else {
            fail(Int64(result))
            return tryNext(now: now)
        }
        let message = query.bytes
        // RFC 1035 §4.2.2: a message follows its length.
        let length = [UInt8(message.count >> 8), UInt8(message.count & 0xFF)]
        step = .sending(message: length + message, sent: 0)
    }

    private mutating func send(_ message: [UInt8], from first: Int, now: UInt64) {
        var sent = first
        while sent < message.count {
            let count = message.withUnsafeBufferPointer { buffer -> Int64 in
                guard let start = buffer.baseAddress else { return 0 }
                // Safe: `sent` is below the count.
                return discovery_send(descriptor, start + sent, UInt64(buffer.count - sent))
            }
            if discovery_would_block(count) != 0 {
                step = .sending(message: message, sent: sent)
                return
            }
            guard count >= 0 else {
                fail(count)
                return tryNext(now: now)
            }
            sent += Int(count)
        }
        step = .receiving([])
    }

    private mutating func receiveStream(_ first: [UInt8], now: UInt64) {
        var bytes = first
        while true {
            let length = bytes.count < 2 ? 0 : Int(bytes[0]) << 8 | Int(bytes[1])
            if bytes.count >= 2, bytes.count >= length + 2 {
                return takeStream(Array(bytes[2..<(length + 2)]), now: now)
            }
            let wanted = bytes.count < 2 ? 2 : length + 2
            let known = bytes.count
            bytes += [UInt8](repeating: 0, count: wanted - known)
            let count = Self.receive(descriptor, &bytes, from: known)
            bytes.removeLast(wanted - known - max(0, Int(count)))
            if discovery_would_block(count) != 0 {
                step = .receiving(bytes)
                return
            }
            guard count > 0 else {
                lastFailure = "\(text(server)): the connection ended before the answer"
                return tryNext(now: now)
            }
        }
    }

    private mutating func takeStream(_ bytes: [UInt8], now: UInt64) {
        do throws(DNSFault) {
            take(try query.reply(bytes, isStream: true), now: now)
        } catch {
            // On a connection of its own, an answer to something else is broken, too.
            var reason: StaticString = "it answers another question"
            if case .malformed(let flaw) = error { reason = flaw.text }
            lastFailure = "\(text(server)): a broken answer: \(reason)"
            tryNext(now: now)
        }
    }

    // MARK: Ends

    private mutating func take(_ reply: DNSReply, now: UInt64) {
        if reply.isTruncated { return askByStream(now: now) }
        switch reply.code {
        case ResponseCode.success, ResponseCode.noSuchName:
            end(.reply(reply))
        case ResponseCode.formatError where query.hasOptions,
            ResponseCode.notImplemented where query.hasOptions:
            // A server from before EDNS (RFC 6891 §7): asked again without, and no attempt is lost.
            query.hasOptions = false
            ask(now: now)
        default:
            lastFailure = "\(text(server)): \(ResponseCode.text(reply.code))"
            tryNext(now: now)
        }
    }

    private mutating func tryNext(now: UInt64) {
        advance()
        if outcome == nil { ask(now: now) }
    }

    private mutating func advance() {
        attempt += 1
        if attempt >= settings.attempts * settings.servers.count { end(.failed(lastFailure)) }
    }

    private mutating func end(_ outcome: Outcome) {
        self.outcome = outcome
        close()
    }

    private mutating func close() {
        if descriptor >= 0 { discovery_close(descriptor) }
        descriptor = -1
    }

    private mutating func open(isStream: Bool) -> Int32 {
        close()
        let server = server
        descriptor = discovery_connect(
            server.address.isV4 ? 1 : 0,
            isStream ? 1 : 0,
            server.address.high,
            server.address.low,
            server.port
        )
        return descriptor
    }

    private mutating func fail(_ result: Int64) {
        lastFailure = "\(text(server)): " + String(cString: discovery_error(result))
    }

    private func text(_ server: SocketAddress) -> String {
        String(decoding: server.text, as: UTF8.self)
    }

    private static func receive(
        _ descriptor: Int32,
        _ bytes: inout [UInt8],
        from first: Int
    ) -> Int64 {
        bytes.withUnsafeMutableBufferPointer { buffer in
            guard let start = buffer.baseAddress else { return 0 }
            // Safe: `first` is at most the count.
            return discovery_receive(descriptor, start + first, UInt64(buffer.count - first))
        }
    }
}
