import SluiceSDK

/// Asks a service whether a request may pass, and lets it wait for the answer.
///
/// Credentials are passed to the service and hashed, never kept and never logged.
public struct Authorizer: RequestHeadersHook, ResumedHook, CalloutHook {
    public static let id: StaticString = "org.example.auth-callout"
    public static let version: StaticString = "1.0.0"
    public static let summary: StaticString =
        "Asks a service of the manifest whether a request may pass."
    public static var needs: HostTables { [.httpClient, .shared] }

    /// What is known of a request while it waits.
    public struct Context: BitwiseCopyable {
        var token: Token
        var call: RunningCall
        /// Where a yes is remembered.
        var key: SharedKey
        var isCacheable: Bool
        /// What the service said: see `Answer`.
        var answer: Room
    }

    /// The callout belongs to the request and is cancelled with it, so it may point to its context.
    public typealias Callout = UnsafeMutablePointer<Context>

    private let host: Host
    private let upstream: Bytes
    private let path: Bytes
    private let timeout: UInt64
    private let copied: List<FieldName>
    private let isOpen: Bool
    private let cache: SharedValues?
    private let cacheTTL: UInt64
    private let cachesRequests: Bool
    /// What the answers depend on besides the request: the table outlives the configuration.
    private let salt: Bytes

    public init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        self.host = host
        let service = try configuration.required("upstream")
        upstream = try service.string()
        if !host.isChecking, !Callouts<Authorizer>(host).hasUpstream(upstream) {
            throw service.error("the manifest has no upstream \"\(String(upstream))\"")
        }
        path = try configuration.string("path") ?? "/"
        timeout = UInt64(try configuration.member("timeout")?.nanoseconds() ?? 2_000_000_000)
        var names: [FieldName] = []
        var pieces = [upstream, "\n", path]
        for field in try configuration.array("copy") {
            let name = try field.string()
            names.append(try field.naming { () throws(PluginError) in try FieldName(named: name) })
            pieces += ["\n", name]
        }
        guard names.count <= Answer.fieldsMax else {
            throw PluginError(path: "copy", "more than \(Answer.fieldsMax) fields")
        }
        copied = host.memory.list(names)
        salt = host.memory.join(pieces)
        isOpen = try configuration.string("on_unavailable") == "open"
        cachesRequests = try configuration.string("cache_by") != "credentials"
        cacheTTL = UInt64(try configuration.member("cache_ttl")?.nanoseconds() ?? 10_000_000_000)
        let entries = try configuration.integer("cache_entries", in: 64...16_777_216) ?? 4_096
        cache = cacheTTL == 0 ? nil : try SharedValues(host, "allowed", capacity: entries)
    }

    public func requestHeaders(_ exchange: borrowing Exchange<Self>) -> Verdict {
        // Only the service may say what these say; a client must not.
        for name in copied { exchange.edits.remove(name) }
        for field in exchange.fields where field.id == .authorization && field.isRepeated {
            // The service might look at one of them, and the origin at the other.
            return exchange.respond(status: 400, body: "more than one Authorization\n")
        }
        do throws(ServiceError) {
            exchange.context.answer = try exchange.room(capacity: SharedValues.bytesMax)
            if isRemembered(exchange) { return admit(exchange) }
            try ask(exchange)
            return .suspend
        } catch {
            host.log(.warn, "the service can't be asked") { pairs in
                pairs.add("error", Bytes(error.text))
            }
            return unavailable(exchange)
        }
    }

    public func calloutDone(
        _ callout: Callout,
        _ result: CallResult,
        on worker: inout Nothing
    ) {
        var answer = Answer(room: callout.pointee.answer)
        var status = result.status
        if let fields = result.fields, !answer.keep(fields, status, copied) { status = 0 }
        if !Answer.decides(status) {
            host.log(.warn, "the service did not decide") { pairs in
                pairs.add("outcome", Int(result.outcome.rawValue))
                pairs.add("status", result.status)
            }
        }
        callout.pointee.answer = answer.room
        callout.pointee.token.resume(payload: UInt64(status))
    }

    public func resumed(_ exchange: borrowing Exchange<Self>) -> Verdict {
        guard exchange.resumeReason == .resumed else {
            exchange.cancel(exchange.context.call)
            return unavailable(exchange)
        }
        switch Int(exchange.resumePayload) {
        case 200..<300:
            remember(exchange)
            return admit(exchange)
        case let status where Answer.decides(status): return refuse(exchange, status)
        default: return unavailable(exchange)
        }
    }

    public static func offer(_ offer: inout Offer) {
        offer.create = { Export<Self>.create($0, $1, $2) }
        offer.check = { Export<Self>.check($0, $1) }
        offer.requestHeaders = { Export<Self>.requestHeaders($0, $1, $2, $3, $4) }
        offer.resumed = { Export<Self>.resumed($0, $1, $2, $3, $4) }
        offer.calloutDone = { Export<Self>.calloutDone($0, $1, $2, $3) }
    }
}

extension Authorizer {
    // MARK: Asking

    private func ask(_ exchange: borrowing Exchange<Self>) throws(ServiceError) {
        let fields = exchange.fields
        var request = CallRequest(upstream, path)
        request.timeoutNanoseconds = timeout
        // What the service says in its body is of no interest.
        request.bodyBytesMax = 65_536
        exchange.context.token = try exchange.suspend()
        exchange.context.call = try exchange.call(request, exchange.contextPointer) { pairs in
            if let credentials = fields[.authorization] { pairs.add("authorization", credentials) }
            pairs.add("x-original-method", fields.method)
            pairs.add("x-original-host", fields.authority)
            pairs.add("x-original-uri", fields.target)
        }
    }

    // MARK: Answering

    /// Lets the request pass, with the fields of the answer.
    private func admit(_ exchange: borrowing Exchange<Self>) -> Verdict {
        Answer(room: exchange.context.answer).forEach { index, value in
            exchange.edits.append(copied[index], value)
        }
        return .next
    }

    private func refuse(_ exchange: borrowing Exchange<Self>, _ status: Int) -> Verdict {
        Answer(room: exchange.context.answer).forEach { _, value in
            exchange.replyEdits.append(.wwwAuthenticate, value)
        }
        return exchange.respond(status: status)
    }

    private func unavailable(_ exchange: borrowing Exchange<Self>) -> Verdict {
        if isOpen { return .next }
        exchange.replyEdits.set(.retryAfter, "1")
        return exchange.respond(status: 503, body: "503 Service Unavailable\n")
    }

    // MARK: Remembering

    /// Whether the service said yes to the same a short time ago; what it said is then at hand.
    private func isRemembered(_ exchange: borrowing Exchange<Self>) -> Bool {
        let fields = exchange.fields
        guard let cache, let credentials = fields[.authorization] else { return false }
        var parts = (method: Bytes.empty, authority: Bytes.empty, target: Bytes.empty)
        if cachesRequests { parts = (fields.method, fields.authority, fields.target) }
        // No part has a line end in it, so different parts never make the same text.
        let byteCount =
            salt.count + credentials.count + parts.method.count + parts.authority.count
            + parts.target.count + 4
        var text = exchange.writer(capacity: byteCount)
        text.append(salt)
        for part in [credentials, parts.method, parts.authority, parts.target] {
            text.append(UInt8(ascii: "\n"))
            text.append(part)
        }
        let key = cache.key(of: text.bytes)
        exchange.context.key = key
        exchange.context.isCacheable = true
        var answer = exchange.context.answer
        guard cache.read(key, { value, _ in answer.append(value) }) == true else { return false }
        exchange.context.answer = answer
        return true
    }

    private func remember(_ exchange: borrowing Exchange<Self>) {
        guard let cache, exchange.context.isCacheable else { return }
        // When there is no room for it the service is asked again.
        _ = try? cache.set(
            exchange.context.answer.bytes,
            for: exchange.context.key,
            ttlNanoseconds: cacheTTL
        )
    }
}
