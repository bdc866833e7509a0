package import SluiceSDK

extension RateLimitFilter {
    package static func offer(_ offer: inout Offer) {
        offer.create = { Export<RateLimitFilter>.create($0, $1, $2) }
        offer.check = { Export<RateLimitFilter>.check($0, $1) }
        offer.requestHeaders = { Export<RateLimitFilter>.requestHeaders($0, $1, $2, $3, $4) }
        offer.responseHeaders = { Export<RateLimitFilter>.responseHeaders($0, $1, $2, $3, $4) }
        offer.requestEnd = { Export<RateLimitFilter>.requestEnd($0, $1, $2, $3, $4) }
        offer.resumed = { Export<RateLimitFilter>.resumed($0, $1, $2, $3, $4) }
        offer.perform = { Export<RateLimitFilter>.perform($0, $1, $2) }
        offer.run = { Export<RateLimitFilter>.run($0, $1) }
        offer.finish = { Export<RateLimitFilter>.finish($0, $1, $2) }
    }

    package func narrow(_ offer: inout Offer) {
        if configuration.fields.isEmpty { offer.responseHeaders = nil }
        if !configuration.hasConcurrency, !configuration.hasDelay { offer.requestEnd = nil }
        if !configuration.hasDelay { offer.resumed = nil }
    }
}
