/// Bounds of a message that is read whole.
public struct WholeLimits: Sendable {
    public var head: HeadLimits
    /// Bytes of the body, without what frames it.
    public var bodyBytesMax: Int

    public init(head: HeadLimits = HeadLimits(), bodyBytesMax: Int) {
        self.head = head
        self.bodyBytesMax = bodyBytesMax
    }
}

/// What the bytes so far are.
public enum WholeOutcome: Equatable, Sendable {
    /// The head is not there yet.
    case incompleteHead
    /// The head is there, the body is not.
    case incompleteBody
    /// The whole message is there.
    ///
    /// Bytes behind it are left out.
    case complete
    /// It never will be a message that is taken; more bytes change nothing.
    case invalid(WholeError)
}

/// Why a message is refused.
public struct WholeError: Error, Equatable, Sendable {
    /// The status that a client gets for it.
    public var status: UInt16
    /// A word or two, without any byte of the message.
    public var reason: String

    init(_ status: UInt16, _ reason: String) {
        self.status = status
        self.reason = reason
    }
}

/// One field of a head.
public struct WholeField: Equatable, Sendable {
    public var id: FieldID
    /// In lower case.
    public var name: String
    /// Bytes that are not UTF-8 are replaced.
    public var value: String
}

/// A request that is read whole into an array: for those who get a few in a minute, and want
/// neither pointers nor offsets.
///
/// The rules are those of the parsers; trailers, which nothing here has a use for, are refused.
public struct WholeRequest {
    /// As it was sent: methods are case-sensitive (RFC 9110 §9.1).
    public private(set) var method = ""
    /// The target's path as it was sent, without a query; "*" for the asterisk form.
    public private(set) var path = ""
    /// Whether a "?" follows the path.
    public private(set) var hasQuery = false
    /// Whether the client waits for 100 before it sends the body (RFC 9110 §10.1.1).
    public private(set) var expectsContinue = false
    private var fields: [WholeField] = []
    private var message: WholeMessage

    public init(limits: WholeLimits) {
        message = WholeMessage(limits: limits)
    }

    /// Takes the next bytes of the connection.
    public mutating func receive(_ bytes: [UInt8]) -> WholeOutcome {
        guard message.isInHead else { return message.receiveBody(bytes) }
        var head = RequestHead()
        let parsed = message.parseHead(bytes) { bytes, count, limits, spans in
            HeadParser.parseRequest(
                bytes,
                count: count,
                limits: limits,
                fields: spans,
                into: &head
            )
        }
        switch parsed {
        case .incomplete: return .incompleteHead
        case .invalid(let error): return message.fail(error.status, "\(error)")
        case .complete: break
        }
        method = message.text(Int(head.methodStart), Int(head.methodLength))
        // An absolute form without a path means the root (RFC 9112 §3.2.1).
        path = head.pathLength == 0 ? "/" : message.text(Int(head.pathStart), Int(head.pathLength))
        hasQuery = head.targetLength > head.pathLength
        expectsContinue = head.flags.contains(.expectContinue)
        fields = message.takeFields(Int(head.fieldCount))
        return message.beginBody(head.framing, headBytes: Int(head.byteCount))
    }

    /// The values of all fields of a name, once the head is there.
    public func values(of id: FieldID) -> [String] {
        fields.filter { $0.id == id }.map(\.value)
    }

    /// The same of a name that has no id.
    ///
    /// - Parameter name: in lower case.
    public func values(named name: String) -> [String] {
        fields.filter { $0.name == name }.map(\.value)
    }

    /// Whether a body follows, or has followed, the head.
    public var hasBody: Bool { message.hasBody }

    /// The body, without its framing.
    public var body: [UInt8] { message.body }
}

/// A response that is read whole into an array, as `WholeRequest` is.
///
/// Interim responses (RFC 9110 §15.2) are skipped.
public struct WholeResponse {
    /// Interim responses before the final one.
    public static let interimMax = 16

    /// 200 to 999.
    public private(set) var status: UInt16 = 0
    private let method: Method
    private var fields: [WholeField] = []
    private var interimCount = 0
    private var message: WholeMessage

    /// - Parameter method: that of the request.
    public init(to method: Method, limits: WholeLimits) {
        self.method = method
        message = WholeMessage(limits: limits)
    }

    /// Takes the next bytes of the connection.
    public mutating func receive(_ bytes: [UInt8]) -> WholeOutcome {
        guard message.isInHead else { return message.receiveBody(bytes) }
        var bytes = bytes
        while true {
            var head = ResponseHead()
            let method = method
            let parsed = message.parseHead(bytes) { bytes, count, limits, spans in
                HeadParser.parseResponse(
                    bytes,
                    count: count,
                    limits: limits,
                    fields: spans,
                    requestMethod: method,
                    into: &head
                )
            }
            switch parsed {
            case .incomplete: return .incompleteHead
            case .invalid(let error): return message.fail(502, "\(error)")
            case .complete: break
            }
            if head.status >= 200 || head.status == 101 {
                status = head.status
                fields = message.takeFields(Int(head.fieldCount))
                return message.beginBody(head.framing, headBytes: Int(head.byteCount))
            }
            interimCount += 1
            guard interimCount <= Self.interimMax else {
                return message.fail(502, "too many interim responses")
            }
            message.dropHead(Int(head.byteCount))
            bytes = []
        }
    }

    /// The connection has ended: the end of a body that nothing else ends (RFC 9112 §6.3).
    public mutating func end() -> WholeOutcome { message.end() }

    /// The values of all fields of a name, once the head is there.
    public func values(of id: FieldID) -> [String] {
        fields.filter { $0.id == id }.map(\.value)
    }

    /// The body, without its framing.
    public var body: [UInt8] { message.body }
}

/// What requests and responses have in common: the bytes of the head, then the body as its framing
/// tells.
struct WholeMessage {
    private let limits: WholeLimits
    /// Bytes of the head; empty once the body has begun.
    private var head: [UInt8] = []
    private var spans: [FieldSpan]
    private(set) var body: [UInt8] = []
    private var framing = BodyFraming.none
    private var decoder = ChunkedDecoder()
    private var outcome = WholeOutcome.incompleteHead

    init(limits: WholeLimits) {
        self.limits = limits
        let none = FieldSpan(
            nameStart: 0,
            nameLength: 0,
            valueStart: 0,
            valueLength: 0,
            id: .unknown,
            flags: 0
        )
        spans = Array(repeating: none, count: limits.head.fieldCountMax)
    }

    var isInHead: Bool { outcome == .incompleteHead }

    var hasBody: Bool { !framing.isNone }

    // MARK: Head

    /// Adds bytes and tries to parse what is there.
    ///
    /// Each try begins anew; `headBytesMax` bounds what that costs.
    mutating func parseHead(
        _ bytes: [UInt8],
        _ parse: (
            UnsafePointer<UInt8>, Int, HeadLimits, UnsafeMutablePointer<FieldSpan>
        ) -> HeadOutcome
    ) -> HeadOutcome {
        head += bytes
        let limits = limits.head
        return head.withUnsafeBufferPointer { head in
            spans.withUnsafeMutableBufferPointer { spans in
                // Safe: `spans` has room for as many as the limits allow, which is more than none.
                guard let from = head.baseAddress, let to = spans.baseAddress, head.count > 0 else {
                    return .incomplete
                }
                return parse(from, head.count, limits, to)
            }
        }
    }

    /// Leaves a head out that the message does not begin with.
    mutating func dropHead(_ count: Int) {
        head.removeFirst(count)
    }

    /// The first fields of the head that was parsed.
    func takeFields(_ count: Int) -> [WholeField] {
        spans[..<count].map { span in
            WholeField(
                id: span.id,
                name: text(Int(span.nameStart), Int(span.nameLength)).lowercased(),
                value: text(Int(span.valueStart), Int(span.valueLength))
            )
        }
    }

    /// A run of the head's bytes.
    func text(_ start: Int, _ count: Int) -> String {
        String(decoding: head[start..<start + count], as: UTF8.self)
    }

    // MARK: Body

    /// Ends the head; what is behind it is the body's.
    mutating func beginBody(_ framing: BodyFraming, headBytes: Int) -> WholeOutcome {
        self.framing = framing
        let rest = Array(head[headBytes...])
        head = []
        if framing.isNone {
            outcome = .complete
            return outcome
        }
        if case .length(let count) = framing, count > Int64(limits.bodyBytesMax) {
            return failOversize()
        }
        outcome = .incompleteBody
        return receiveBody(rest)
    }

    mutating func receiveBody(_ bytes: [UInt8]) -> WholeOutcome {
        guard outcome == .incompleteBody else { return outcome }
        switch framing {
        case .none: break
        case .length(let count):
            body += bytes.prefix(Int(count) - body.count)
            if body.count == Int(count) { outcome = .complete }
        case .untilClose:
            guard bytes.count <= limits.bodyBytesMax - body.count else { return failOversize() }
            body += bytes
        case .chunked: return receiveChunks(bytes)
        }
        return outcome
    }

    private mutating func receiveChunks(_ bytes: [UInt8]) -> WholeOutcome {
        var piece = bytes
        var consumed = 0
        var start = 0
        var count = 0
        let decoded = piece.withUnsafeMutableBufferPointer { piece in
            // Safe: an empty piece may have no address; there is nothing to decode in it.
            guard let from = piece.baseAddress else { return ChunkedDecoder.Outcome.more }
            return decoder.decode(
                from,
                count: piece.count,
                consumed: &consumed,
                dataStart: &start,
                dataCount: &count
            )
        }
        guard count <= limits.bodyBytesMax - body.count else { return failOversize() }
        // The chunk that has begun says how much more there will be.
        guard decoder.remainingInChunk <= UInt64(limits.bodyBytesMax - body.count - count) else {
            return failOversize()
        }
        body += piece[start..<start + count]
        switch decoded {
        case .more: break
        case .done: outcome = .complete
        case .trailers: return fail(400, "trailers are not taken")
        case .invalid(let error): return fail(400, "\(error)")
        }
        return outcome
    }

    mutating func end() -> WholeOutcome {
        if outcome == .incompleteBody, framing == .untilClose { outcome = .complete }
        return outcome
    }

    private mutating func failOversize() -> WholeOutcome {
        fail(413, "a body of more than \(limits.bodyBytesMax) bytes")
    }

    mutating func fail(_ status: UInt16, _ reason: String) -> WholeOutcome {
        outcome = .invalid(WholeError(status, reason))
        body = []
        return outcome
    }
}
