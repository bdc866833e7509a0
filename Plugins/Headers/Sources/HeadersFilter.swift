package import SluiceSDK

/// Sets, adds and removes fields; tells origins who the client is; numbers requests.
package struct HeadersFilter: RequestHeadersHook, ResponseHeadersHook {
    package static let id: StaticString = "org.sluice.headers"
    package static let version: StaticString = "0.1.0"
    package static let summary: StaticString =
        "Edits fields, adds X-Forwarded-*, Forwarded, Via and request ids."

    /// What is kept of a request: its id, so that the response can have it too.
    package typealias Context = RequestID

    private let request: Rules
    private let response: Rules
    private let trust: TrustedProxies
    private let forwarding: Forwarding
    private let requestID: RequestIDSettings?
    private let via: Via?

    package init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        try configuration.allowKeys(["request", "response", "forwarded", "request_id", "via"])
        let forwarded = try configuration.member("forwarded")
        trust = try TrustedProxies(forwarded, host)
        forwarding = try Forwarding(forwarded)
        requestID = try RequestIDSettings.read(configuration, host)
        via = try Via(configuration, host)
        let hasID = requestID != nil
        request = try Rules(configuration.member("request"), .request, host, hasID: hasID)
        response = try Rules(configuration.member("response"), .response, host, hasID: hasID)
    }

    package func requestHeaders(_ exchange: borrowing Exchange<HeadersFilter>) -> Verdict {
        let isTrusted = trust.contains(exchange.facts)
        forwarding.apply(exchange, isTrusted: isTrusted)
        let id = requestID?.assign(exchange, isTrusted: isTrusted) ?? .empty
        via?.addToRequest(exchange)
        request.apply(exchange, requestID: id)
        return .next
    }

    package func responseHeaders(_ exchange: borrowing Exchange<HeadersFilter>) -> Verdict {
        let id = requestID?.echo(exchange) ?? .empty
        if !exchange.isLocal { via?.addToResponse(exchange) }
        response.apply(exchange, requestID: id)
        return .next
    }

    package static func offer(_ offer: inout Offer) {
        offer.create = { Export<HeadersFilter>.create($0, $1, $2) }
        offer.check = { Export<HeadersFilter>.check($0, $1) }
        offer.requestHeaders = { Export<HeadersFilter>.requestHeaders($0, $1, $2, $3, $4) }
        offer.responseHeaders = { Export<HeadersFilter>.responseHeaders($0, $1, $2, $3, $4) }
    }
}
