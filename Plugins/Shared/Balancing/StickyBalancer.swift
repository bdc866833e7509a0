public import SluiceSDK

/// A balancer that keeps clients with their peers when its configuration says so.
///
/// It lists both hooks in its offer, and leaves them out in `narrow` where they have nothing to do.
public protocol StickyBalancer: Balancer, RequestHeadersHook, ResponseHeadersHook
where Worker == SessionNames {
    /// What the instance was told.
    var common: CommonConfiguration { get }
    /// What requests are hashed by; nil where nothing is.
    var key: KeyRule? { get }
}

extension StickyBalancer {
    /// Nothing is hashed.
    public var key: KeyRule? { nil }

    /// No names are known yet.
    public func makeWorker(_ index: Int) -> SessionNames { SessionNames() }

    /// Sets the request's key, and names its session's peer.
    public func requestHeaders(_ exchange: borrowing Exchange<Self>) -> Verdict {
        if let sticky = common.sticky { sticky.apply(exchange, key) } else { key?.apply(exchange) }
        return .next
    }

    /// Sets the session's cookie.
    public func responseHeaders(_ exchange: borrowing Exchange<Self>) -> Verdict {
        common.sticky?.keep(exchange)
        return .next
    }

    /// Without a rule another plugin sets the key, and without sessions there is no cookie.
    public func narrow(_ offer: inout Offer) {
        if common.sticky == nil {
            offer.responseHeaders = nil
            if key == nil { offer.requestHeaders = nil }
        }
    }
}
