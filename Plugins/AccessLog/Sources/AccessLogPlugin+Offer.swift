package import SluiceSDK

extension AccessLogPlugin {
    package static func offer(_ offer: inout Offer) {
        offer.create = { Export<AccessLogPlugin>.create($0, $1, $2) }
        offer.check = { Export<AccessLogPlugin>.check($0, $1) }
        offer.requestHeaders = { Export<AccessLogPlugin>.requestHeaders($0, $1, $2, $3, $4) }
        offer.upstreamResult = { Export<AccessLogPlugin>.upstreamResult($0, $1, $2, $3, $4) }
        offer.responseHeaders = { Export<AccessLogPlugin>.responseHeaders($0, $1, $2, $3, $4) }
        offer.requestEnd = { Export<AccessLogPlugin>.requestEnd($0, $1, $2, $3, $4) }
        offer.perform = { Export<AccessLogPlugin>.perform($0, $1, $2) }
        offer.run = { Export<AccessLogPlugin>.run($0, $1) }
        offer.finish = { Export<AccessLogPlugin>.finish($0, $1, $2) }
        offer.reopenLogs = { Export<AccessLogPlugin>.reopenLogs($0) }
    }

    package func narrow(_ offer: inout Offer) {
        if format.layout.isEmpty { offer.requestHeaders = nil }
        if !format.layout.hasAttempts { offer.upstreamResult = nil }
        if format.responseFields.isEmpty { offer.responseHeaders = nil }
    }
}
