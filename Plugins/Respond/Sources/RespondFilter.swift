package import SluiceSDK

/// Answers requests itself: a fixed text, a file, or a redirect.
package struct RespondFilter: RequestHeadersHook, ~Copyable {
    package static let id: StaticString = "org.sluice.respond"
    package static let version: StaticString = "0.1.0"
    package static let summary: StaticString = "Answers with a text, a file or a redirect."

    private let configuration: RespondConfiguration

    package init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        self.configuration = try RespondConfiguration(configuration, host)
    }

    package func requestHeaders(_ exchange: borrowing Exchange<RespondFilter>) -> Verdict {
        if let methods = configuration.methods, !methods.allow(exchange.fields.method) {
            exchange.replyEdits.append(.allow, methods.list)
            return exchange.respond(status: 405)
        }
        if let location = configuration.location {
            guard let value = location.value(exchange) else {
                return exchange.respond(status: 400)
            }
            exchange.replyEdits.append(.location, value)
        }
        return configuration.answer.give(exchange)
    }

    package static func offer(_ offer: inout Offer) {
        offer.create = { Export<RespondFilter>.create($0, $1, $2) }
        offer.check = { Export<RespondFilter>.check($0, $1) }
        offer.requestHeaders = { Export<RespondFilter>.requestHeaders($0, $1, $2, $3, $4) }
    }
}
