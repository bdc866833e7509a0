internal import Proxy
internal import TLS

/// The contexts of all listeners and upstreams that speak TLS, made from their files.
struct TLSContexts {
    /// In the order of the listeners; nil is in the clear.
    private(set) var listeners: [TLSServerContext?] = []
    /// In the order of the upstreams; nil is in the clear.
    private(set) var upstreams: [TLSClientContext?] = []
    /// A line each, with the key of the manifest.
    private(set) var problems: [String] = []
    private(set) var warnings: [String] = []

    /// Whether workers speak TLS.
    ///
    /// While they do not, a manifest that asks for it is refused: it must not be served in the
    /// clear.
    static let areServed = false

    init(_ settings: ProxySettings) {
        for (index, listener) in settings.listeners.enumerated() {
            listeners.append(context(of: listener, "listeners[\(index)].tls"))
        }
        for upstream in settings.upstreams {
            upstreams.append(context(of: upstream, "upstreams.\(upstream.name).tls"))
        }
    }

    private mutating func context(
        of listener: ListenerSettings,
        _ place: String
    ) -> TLSServerContext? {
        guard let tls = listener.tls else { return nil }
        refuseUnserved(place)
        do throws(TLSFailure) {
            let context = try TLSServerContext(tls, protocols: [.h1])
            warnings += context.warnings.map { "\(place): \($0)" }
            return context
        } catch {
            problems += error.lines.map { "\(place): \($0)" }
            return nil
        }
    }

    private mutating func context(
        of upstream: UpstreamSettings,
        _ place: String
    ) -> TLSClientContext? {
        guard let tls = upstream.tls else { return nil }
        refuseUnserved(place)
        do throws(TLSFailure) {
            let context = try TLSClientContext(tls, protocols: [])
            warnings += context.warnings.map { "\(place): \($0)" }
            return context
        } catch {
            problems += error.lines.map { "\(place): \($0)" }
            return nil
        }
    }

    private mutating func refuseUnserved(_ place: String) {
        if !Self.areServed { problems.append("\(place): not supported by this version of sluice") }
    }
}
