package import SluiceSDK

extension TracingFilter {
    package static func offer(_ offer: inout Offer) {
        offer.create = { Export<TracingFilter>.create($0, $1, $2) }
        offer.check = { Export<TracingFilter>.check($0, $1) }
        offer.requestHeaders = { Export<TracingFilter>.requestHeaders($0, $1, $2, $3, $4) }
        offer.upstreamRequest = { Export<TracingFilter>.upstreamRequest($0, $1, $2, $3, $4) }
        offer.upstreamResult = { Export<TracingFilter>.upstreamResult($0, $1, $2, $3, $4) }
        offer.responseHeaders = { Export<TracingFilter>.responseHeaders($0, $1, $2, $3, $4) }
        offer.requestEnd = { Export<TracingFilter>.requestEnd($0, $1, $2, $3, $4) }
        offer.perform = { Export<TracingFilter>.perform($0, $1, $2) }
        offer.calloutDone = { Export<TracingFilter>.calloutDone($0, $1, $2, $3) }
        offer.drain = { Export<TracingFilter>.drain($0, $1) }
        offer.exportState = { Export<TracingFilter>.exportState($0, $1, $2) }
        offer.importState = { Export<TracingFilter>.importState($0, $1, $2) }
        offer.warm = { Export<TracingFilter>.warm($0, $1) }
        offer.exportRest = { Export<TracingFilter>.exportRest($0, $1, $2) }
        offer.importRest = { Export<TracingFilter>.importRest($0, $1, $2) }
    }

    package func narrow(_ offer: inout Offer) {
        if configuration.response.isEmpty { offer.responseHeaders = nil }
    }
}
