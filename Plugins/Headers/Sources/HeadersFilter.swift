package import SluiceSDK

/// Sets, adds and removes fields; tells origins who the client is; numbers requests.
package struct HeadersFilter: RequestHeadersHook, ResponseHeadersHook, ~Copyable {
    package static let id: StaticString = "org.sluice.headers"
    package static let version: StaticString = "0.1.0"
    package static let summary: StaticString =
        "Edits fields, adds X-Forwarded-*, Forwarded, Via and request ids."

    /// What is kept of a request: its id, so that the response can have it too.
    package typealias Context = RequestID

    private let configuration: HeadersConfiguration
    private let inPlace = InPlace()

    package init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        self.configuration = try HeadersConfiguration(configuration, host)
    }

    package func requestHeaders(_ exchange: borrowing Exchange<HeadersFilter>) -> Verdict {
        let isTrusted = configuration.trust.contains(exchange.facts)
        configuration.forwarding.apply(exchange, isTrusted: isTrusted)
        let id = configuration.requestID?.assign(exchange, isTrusted: isTrusted) ?? .empty
        configuration.via?.addToRequest(exchange)
        configuration.request.apply(exchange, requestID: id)
        return .next
    }

    package func responseHeaders(_ exchange: borrowing Exchange<HeadersFilter>) -> Verdict {
        let id = configuration.requestID?.echo(exchange) ?? .empty
        if !exchange.isLocal { configuration.via?.addToResponse(exchange) }
        configuration.response.apply(exchange, requestID: id)
        return .next
    }

    package static func offer(_ offer: inout Offer) {
        offer.create = { Export<HeadersFilter>.create($0, $1, $2) }
        offer.check = { Export<HeadersFilter>.check($0, $1) }
        offer.requestHeaders = { Export<HeadersFilter>.requestHeaders($0, $1, $2, $3, $4) }
        offer.responseHeaders = { Export<HeadersFilter>.responseHeaders($0, $1, $2, $3, $4) }
    }

    package func narrow(_ offer: inout Offer) {
        if !configuration.touchesResponses { offer.responseHeaders = nil }
        if !configuration.touchesRequests { offer.requestHeaders = nil }
    }
}
