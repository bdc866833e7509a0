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

    /// - Parameter previous: what is in use, with its settings: contexts whose settings and files
    ///   have not changed stay, and others go on with the ticket keys.
    package init(_ settings: ProxySettings, previous: (ProxySettings, TLSContexts)? = nil) {
        for (index, listener) in settings.listeners.enumerated() {
            let key = ListenerKey(index, of: settings)
            let place = previous?.0.listeners.indices.first { at in
                previous.map { ListenerKey(at, of: $0.0) == key } ?? false
            }
            let old = place.flatMap { previous?.1.listeners[$0] }
            let oldSettings = place.flatMap { previous?.0.listeners[$0] }
            if let old, let oldSettings, old.isCurrent, oldSettings.tls == listener.tls,
                oldSettings.protocols == listener.protocols
            {
                listeners.append(old)
                continue
            }
            let made = context(of: listener, "listeners[\(index)].tls")
            if let made, let old { _ = made.importTicketKeys(old.exportTicketKeys()) }
            listeners.append(made)
        }
        for upstream in settings.upstreams {
            let place = previous?.0.upstreams.firstIndex { $0.name == upstream.name }
            let old = place.flatMap { previous?.1.upstreams[$0] }
            let oldSettings = place.flatMap { previous?.0.upstreams[$0] }
            if let old, let oldSettings, old.isCurrent, oldSettings.tls == upstream.tls,
                oldSettings.speaks == upstream.speaks
            {
                upstreams.append(old)
                continue
            }
            upstreams.append(context(of: upstream, "upstreams.\(upstream.name).tls"))
        }
    }

    /// Whether all files are those that the contexts were made of.
    package var isCurrent: Bool {
        listeners.allSatisfy { $0?.isCurrent ?? true }
            && upstreams.allSatisfy { $0?.isCurrent ?? true }
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
