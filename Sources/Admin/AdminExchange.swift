internal import HTTP
internal import Sys

/// Bounds of an admin interface.
package struct AdminLimits: Sendable {
    /// Connections at a time; one more is answered 503.
    package var connections = 16
    /// Bytes of a request's head; over it: 431.
    package var headBytes = 8_192
    /// Bytes of a request's body; over it: 413.
    package var bodyBytes = JSON.textBytesMax
    /// Milliseconds from the connection's begin until its request is whole (408 after that), and
    /// again for its answer to be taken.
    package var requestMilliseconds = 10_000
    /// Milliseconds that a client is given to close after its answer.
    package var lingerMilliseconds = 1_000
    /// Bytes of such a client that are thrown away until then.
    package var lingerBytes = 4_194_304

    package init() {}
}

/// What is sent for one request.
struct AdminAnswer: Equatable {
    struct Field: Equatable {
        var name: String
        var value: String
    }

    var response: AdminResponse
    /// `WWW-Authenticate`, which a 401 needs (RFC 9110 §11.6.1).
    var challenge: String?
    /// The answer to HEAD has no body (RFC 9110 §9.3.2).
    var hidesBody = false
    /// Another `Content-Type` than that of the body's kind.
    var type: String?
    /// More fields.
    var fields: [Field] = []

    static func refusal(_ status: Int, _ problem: String) -> AdminAnswer {
        AdminAnswer(response: .refusal(status, [problem]))
    }

    /// The bytes on the wire.
    ///
    /// - Parameter now: seconds since the epoch.
    func bytes(now: UInt64) -> [UInt8] {
        let text = response.body.string
        let isOpenMetrics =
            text?.utf8.suffix(6).elementsEqual(AdminWire.openMetricsEnd.utf8) == true
        let ownType =
            text == nil
            ? AdminWire.json : isOpenMetrics ? AdminWire.openMetrics : AdminWire.text
        let body = response.body.string ?? response.body.text + "\n"
        let reason = UInt16(exactly: response.status).map { HeadWriter.reason(of: $0) } ?? ""
        var head = "HTTP/1.1 \(response.status) \(reason)\r\n"
        head += "Date: \(HeadWriter.date(secondsSinceEpoch: Int64(clamping: now)))\r\n"
        head += "Content-Type: \(type ?? ownType)\r\n"
        head += "Content-Length: \(body.utf8.count)\r\n"
        head += "Cache-Control: no-store\r\n"
        if !response.allow.isEmpty {
            head += "Allow: \(response.allow.joined(separator: ", "))\r\n"
        }
        for field in fields { head += "\(field.name): \(field.value)\r\n" }
        if let challenge { head += "WWW-Authenticate: \(challenge)\r\n" }
        head += "Connection: close\r\n\r\n"
        return Array(head.utf8) + (hidesBody ? [] : Array(body.utf8))
    }
}

/// Names that both ends of the interface write.
package enum AdminWire {
    static let json = "application/json"
    /// The Prometheus text format; metrics are the only text there is.
    static let text = "text/plain; version=0.0.4; charset=utf-8"
    static let openMetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8"
    /// What OpenMetrics ends with, and nothing else.
    static let openMetricsEnd = "# EOF\n"
    /// Where metrics are, and where they are as OpenMetrics: what a request for the first one
    /// becomes that would rather have this format.
    package static let metricsPath = "/v1/metrics"
    package static let openMetricsPath = "/v1/metrics/openmetrics"
    /// Bytes of all metrics, as a string of JSON.
    package static let metricBytesMax = 15_728_640

    /// Whether a client asks for OpenMetrics 1.0 and does not like 0.0.4 better (RFC 9110 §12.5.1).
    ///
    /// Only a client that names the type gets it.
    static func prefersOpenMetrics(_ accept: [String]) -> Bool {
        var (open, plain) = (0.0, 0.0)
        for range in accept.joined(separator: ",").lowercased().split(separator: ",") {
            let parts = range.split(separator: ";").map { trimmed($0.drop { " \t".contains($0) }) }
            let names = parts.dropFirst()
            let weight = names.first { $0.hasPrefix("q=") }.map { Double($0.dropFirst(2)) ?? 0 }
            let version = names.first { $0.hasPrefix("version=") }?.dropFirst(8)
            switch parts.first {
            case "application/openmetrics-text" where version == nil || version == "1.0.0":
                open = max(open, weight ?? 1)
            case "text/plain": plain = max(plain, weight ?? 1)
            default: continue
            }
        }
        return open > 0 && open >= plain
    }

    /// Whether a Host is "localhost" or an address, with or without a port.
    static func isNear(host: String) -> Bool {
        let isBracketed = host.hasPrefix("[")
        let name =
            isBracketed
            ? host.dropFirst().prefix { $0 != "]" } : host.prefix { $0 != ":" }
        return name.lowercased() == "localhost"
            || SocketAddress(numericHost: String(name), port: 0) != nil
    }

    /// Whether the value of `Content-Type` is JSON, which has no parameter but this charset
    /// (RFC 8259 §11).
    static func isJSON(_ contentType: String) -> Bool {
        let parts = contentType.lowercased().split(
            separator: ";",
            omittingEmptySubsequences: false
        ).map { $0.drop { $0 == " " || $0 == "\t" } }
        guard let type = parts.first, trimmed(type) == json else { return false }
        return parts.dropFirst().allSatisfy {
            ["charset=utf-8", "charset=\"utf-8\""].contains(trimmed($0))
        }
    }

    private static func trimmed(_ text: Substring) -> String {
        var text = text
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return String(text)
    }
}

/// One request of a client as its bytes come in: what is refused before anybody is asked.
///
/// Without I/O. A connection has one request; what follows it is never read as another.
struct AdminExchange {
    enum Step: Equatable {
        /// More bytes are needed.
        case more
        /// The client waits for an interim 100 before it sends the rest.
        case sendContinue
        case call(AdminRequest)
        /// What needs nobody to be asked: a refusal, or the page.
        case answer(AdminAnswer)
    }

    private let token: AdminToken?
    private let hasPage: Bool
    private var request: WholeRequest
    private var isHeadChecked = false

    /// - Parameters:
    ///   - token: what the client must show; nil when it has proven otherwise who it is.
    ///   - hasPage: whether there is a page to look at.
    init(token: AdminToken?, hasPage: Bool = false, limits: AdminLimits) {
        self.token = token
        self.hasPage = hasPage
        var whole = WholeLimits(bodyBytesMax: limits.bodyBytes)
        whole.head.headBytesMax = limits.headBytes
        whole.head.targetBytesMax = limits.headBytes
        request = WholeRequest(limits: whole)
    }

    /// Method and path, as far as they are known.
    var line: String { request.method.isEmpty ? "" : request.method + " " + request.path }

    /// Takes the next bytes.
    ///
    /// After `.call` or `.answer` there must be no more.
    mutating func receive(_ bytes: [UInt8]) -> Step {
        let outcome = request.receive(bytes)
        let isHeadNew = !isHeadChecked && !request.method.isEmpty
        if isHeadNew {
            isHeadChecked = true
            if let answer = refusalOfBrowser() { return end(answer) }
            if asksForPage { return end(AdminPage.answer()) }
            if let answer = refusalOfHead() { return end(answer) }
        }
        switch outcome {
        case .incompleteHead: return .more
        case .incompleteBody: return isHeadNew && request.expectsContinue ? .sendContinue : .more
        case .invalid(let error):
            return end(.refusal(Int(error.status), "the request is refused: \(error.reason)"))
        case .complete: return call()
        }
    }

    private func end(_ answer: AdminAnswer) -> Step {
        var answer = answer
        answer.hidesBody = request.method == "HEAD"
        return .answer(answer)
    }

    /// Whether it is the page that is asked for, which needs no token.
    private var asksForPage: Bool {
        hasPage && request.path == AdminPage.path && !request.hasQuery && !request.hasBody
            && ["GET", "HEAD"].contains(request.method)
    }

    /// A browser says of what it asks which page had it do so; only our own may.
    ///
    /// A Unix socket that was forwarded has no token to tell others by. A name that an attacker
    /// lets point to this machine is no name of ours, so by name it is "localhost" alone.
    private func refusalOfBrowser() -> AdminAnswer? {
        let sites = request.values(of: .secFetchSite)
        let origins = request.values(of: .origin)
        guard !sites.isEmpty || !origins.isEmpty else { return nil }
        let hosts = request.values(of: .host)
        guard hosts.count == 1, AdminWire.isNear(host: hosts[0]) else {
            return .refusal(403, "a browser is answered by address or as localhost only")
        }
        let isOurs =
            sites.allSatisfy { ["same-origin", "none"].contains($0) }
            && origins.allSatisfy { $0 == "http://" + hosts[0] }
        return isOurs ? nil : .refusal(403, "another site's page may not ask this")
    }

    private func refusalOfHead() -> AdminAnswer? {
        if let token, let answer = refusalOfAccess(token) { return answer }
        if request.hasQuery { return .refusal(400, "a query is not taken") }
        guard request.hasBody else { return nil }
        guard request.method == "POST" else {
            return .refusal(400, "a body is taken with POST only")
        }
        let types = request.values(of: .contentType)
        guard types.count == 1, AdminWire.isJSON(types[0]) else {
            return .refusal(415, "the body's Content-Type must be \(AdminWire.json)")
        }
        guard request.values(of: .contentEncoding).isEmpty else {
            return .refusal(415, "Content-Encoding is not taken")
        }
        return nil
    }

    private func refusalOfAccess(_ token: AdminToken) -> AdminAnswer? {
        let shown = request.values(of: .authorization)
        if shown.count == 1, token.isShown(by: shown[0]) { return nil }
        var answer = AdminAnswer.refusal(
            401,
            shown.isEmpty ? "Authorization: Bearer TOKEN is missing" : "the token is wrong"
        )
        answer.challenge = shown.isEmpty ? "Bearer" : "Bearer error=\"invalid_token\""
        return answer
    }

    private func call() -> Step {
        var body = JSON.null
        if request.hasBody {
            do throws(JSON.SyntaxError) {
                body = try JSON.parse(request.body)
            } catch {
                return end(.refusal(400, "the body is not JSON: \(error.description)"))
            }
            guard body.members != nil else {
                return end(.refusal(400, "the body is not an object"))
            }
        }
        var path = request.path
        if path == AdminWire.metricsPath,
            AdminWire.prefersOpenMetrics(request.values(named: "accept"))
        {
            path = AdminWire.openMetricsPath
        }
        return .call(AdminRequest(request.method, path, body))
    }
}
