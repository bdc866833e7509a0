import HTTP

/// One side of a connection, and all that it reported.
final class H2Endpoint {
    var connection: H2Connection
    var now: UInt64 = 0
    /// Events in words; neighbouring pieces of content are one.
    private(set) var events: [String] = []
    /// Runs after each event; the content is valid in it.
    var onEvent: ((H2Endpoint, H2Event) -> Void)?
    /// The content of the last `data` event in `events`, while more may follow.
    private var lastData: (id: UInt32, text: String)?

    init(
        _ role: H2Role,
        settings: H2Settings? = nil,
        limits: H2Limits = H2Limits(),
        memory: H2Memory = .heap
    ) {
        connection = H2Connection(
            role: role,
            settings: settings ?? .local(role),
            limits: limits,
            memory: memory
        )
    }

    /// A server whose client has sent its preface and an empty SETTINGS, or a client whose server
    /// has; what it wrote and reported is forgotten.
    static func ready(
        _ role: H2Role,
        settings: H2Settings? = nil,
        limits: H2Limits = H2Limits()
    ) -> H2Endpoint {
        let endpoint = H2Endpoint(role, settings: settings, limits: limits)
        endpoint.receive(role == .server ? H2Bytes.start : H2Bytes.settings())
        endpoint.receive(H2Bytes.settingsAck)
        _ = endpoint.takeOutput()
        endpoint.events = []
        return endpoint
    }

    /// Feeds bytes, in pieces of a size or in one; each piece in memory of its own size.
    func receive(_ bytes: [UInt8], pieces: Int = .max) {
        var at = 0
        repeat {
            let count = min(pieces, bytes.count - at)
            let piece = UnsafeMutablePointer<UInt8>.allocate(capacity: max(count, 1))
            defer { piece.deallocate() }
            for index in 0..<count { piece[index] = bytes[at + index] }
            receive(piece, count)
            at += count
        } while at < bytes.count
    }

    private func receive(_ piece: UnsafeMutablePointer<UInt8>, _ count: Int) {
        var used = 0
        while true {
            var consumed = -1
            let event = connection.next(
                piece + used,
                count - used,
                consumed: &consumed,
                now: now
            )
            precondition(consumed >= 0 && consumed <= count - used, "consumed \(consumed)")
            used += consumed
            if case .needsMore = event {
                precondition(used == count, "\(count - used) bytes left, but more wanted")
                return
            }
            record(event)
            onEvent?(self, event)
            if case .connectionError = event { return }
        }
    }

    private func record(_ event: H2Event) {
        if case .data(let data) = event {
            let text = words(data.bytes, data.count)
            if let last = lastData, last.id == data.stream.id {
                events.removeLast()
                lastData = (last.id, last.text + text)
            } else {
                lastData = (data.stream.id, text)
            }
            let content = lastData?.text ?? ""
            let shown = content.utf8.count > 20 ? "\(content.unicodeScalars.count) bytes" : content
            events.append(
                "data \(data.stream.id) \(shown)" + (data.endStream ? " end" : "")
                    + (data.isClosed ? " closed" : "")
            )
            if data.endStream { lastData = nil }
            return
        }
        lastData = nil
        if let words = Self.describe(event) {
            if words == events.last, words.hasPrefix("error") { return }
            events.append(words)
        }
    }

    private static func describe(_ event: H2Event) -> String? {
        switch event {
        case .needsMore, .data: return nil
        case .settings: return "settings"
        case .settingsAcknowledged: return "settings acknowledged"
        case .headers(let headers):
            return "headers \(headers.stream.id) \(words(headers.block, headers.count))"
                + (headers.isNew ? " new" : "") + (headers.isTrailers ? " trailers" : "")
                + (headers.endStream ? " end" : "") + (headers.isClosed ? " closed" : "")
        case .discardedHeaders(let id, let block, let count):
            return "discarded \(id) \(words(block, count))"
        case .streamReset(let reset):
            return "reset \(reset.stream.id) \(reset.code.name)"
                + (reset.isByPeer ? " by peer" : "") + (reset.isUnprocessed ? " unprocessed" : "")
        case .windowOpened(let stream):
            return stream.map { "window \($0.id)" } ?? "window of all"
        case .goAway(let last, let code): return "goaway \(last) \(code.name)"
        case .pingAnswered(let milliseconds): return "ping \(milliseconds) ms"
        case .connectionError(let failure):
            return "error \(failure.code.name): \(failure.reason)"
        }
    }

    func takeOutput() -> [UInt8] {
        guard let output = connection.output else { return [] }
        let bytes = Array(UnsafeBufferPointer(start: output, count: connection.outputCount))
        connection.consumeOutput(bytes.count)
        return bytes
    }

    func takeFrames() -> [String] { H2Bytes.describe(takeOutput()) }

    func takeEvents() -> [String] {
        defer {
            events = []
            lastData = nil
        }
        return events
    }

    // What `#expect` cannot ask of a value that has one owner.
    var streamCount: Int { connection.streamCount }
    var isDrained: Bool { connection.isDrained }
    var canOpenStream: Bool { connection.canOpenStream }
    var failure: H2Failure? { connection.failure }
    var outputCount: Int { connection.outputCount }
    var pingSentAt: UInt64? { connection.pingSentAt }

    func isOpen(_ id: UInt32) -> Bool { connection.isOpen(id) }
    func nextToSend() -> UInt32? { connection.nextToSend()?.id }
    func mustShare(_ id: UInt32) -> Bool { connection.mustShare(id) }
    func sendPing(now: UInt64) -> Bool { connection.sendPing(now: now) }

    // MARK: Sending

    func sendHeaders(_ id: UInt32, _ block: String = "h", end: Bool = false) {
        let bytes = latin1(block)
        bytes.withUnsafeBufferPointer { buffer in
            guard let start = buffer.baseAddress else { return }
            connection.sendHeaders(id, start, buffer.count, endStream: end)
        }
    }

    @discardableResult
    func open(_ block: String = "h", end: Bool = false) -> UInt32 {
        let bytes = latin1(block)
        return bytes.withUnsafeBufferPointer { buffer in
            guard let start = buffer.baseAddress else { return 0 }
            return connection.openStream(start, buffer.count, endStream: end, user: nil)
        }
    }

    @discardableResult
    func sendData(_ id: UInt32, _ bytes: [UInt8], end: Bool = false) -> Int {
        bytes.withUnsafeBufferPointer {
            connection.sendData(id, $0.baseAddress, $0.count, endStream: end)
        }
    }

    @discardableResult
    func sendData(_ id: UInt32, count: Int, end: Bool = false) -> Int {
        sendData(id, [UInt8](repeating: 0x79, count: count), end: end)
    }

    private static func words(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> String {
        String(String.UnicodeScalarView((0..<count).map { Unicode.Scalar(bytes[$0]) }))
    }

    private func words(_ bytes: UnsafeMutablePointer<UInt8>?, _ count: Int) -> String {
        bytes.map { Self.words($0, count) } ?? ""
    }
}

/// A small generator that gives the same numbers for the same seed (SplitMix64).
struct H2Random: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
