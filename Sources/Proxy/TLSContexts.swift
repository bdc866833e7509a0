package import TLS

/// The contexts of all listeners and upstreams that speak TLS, made from their files.
package struct TLSContexts: Sendable {
    /// In the order of the listeners; nil is in the clear.
    package private(set) var listeners: [TLSServerContext?] = []
    /// In the order of the upstreams; nil is in the clear.
    package private(set) var upstreams: [TLSClientContext?] = []
    /// A line each, with the key of the manifest; while there are any, nothing may be served.
    package private(set) var problems: [String] = []
    /// What is not as it should be, but can be served; a line each.
    package private(set) var warnings: [String] = []

    package init(_ settings: ProxySettings) {
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
        let protocols: [TLSProtocol] =
            (listener.protocols.contains(.h2) ? [.h2] : [])
            + (listener.protocols.contains(.h1) ? [.h1, .h1_0] : [])
        do throws(TLSFailure) {
            let context = try TLSServerContext(tls, protocols: protocols)
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
        do throws(TLSFailure) {
            let protocols: [TLSProtocol] =
                switch upstream.speaks {
                case .h1, .h2c: []
                case .h2: [.h2]
                case .auto: [.h2, .h1]
                }
            let context = try TLSClientContext(tls, protocols: protocols)
            warnings += context.warnings.map { "\(place): \($0)" }
            return context
        } catch {
            problems += error.lines.map { "\(place): \($0)" }
            return nil
        }
    }
}
