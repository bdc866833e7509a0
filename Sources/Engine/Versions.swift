import PluginHost
import Proxy

/// What the test's ends of connections are translated to.
package enum EndVersion: UInt32, Sendable {
    /// Nothing: the proxy gets the bytes as the test sends them.
    case http1 = 0
    /// HTTP/2 in the clear, by prior knowledge (RFC 9113 §3.3).
    case http2 = 1
}

/// The versions of both sides.
package struct EndVersions: Sendable {
    package var client = EndVersion.http1
    package var origin = EndVersion.http1

    package init(client: EndVersion = .http1, origin: EndVersion = .http1) {
        self.client = client
        self.origin = origin
    }

    /// Refuses settings with which the proxy would not speak HTTP/2.
    func check(_ settings: ProxySettings) throws(PluginError) {
        var lines: [String] = []
        if client == .http2 {
            for listener in settings.listeners {
                let name = "listener \(listener.address): clients that speak HTTP/2"
                if !listener.protocols.contains(.h2c) {
                    lines.append("\(name) need \"h2c\" in protocols")
                }
                if listener.proxyProtocol != nil {
                    lines.append("\(name) send no header of the PROXY protocol")
                }
            }
        }
        if origin == .http2 {
            for upstream in settings.upstreams {
                let name = "upstream \(upstream.name): peers that speak HTTP/2"
                if upstream.speaks != .h2c { lines.append("\(name) need protocol \"h2c\"") }
                if upstream.proxyProtocol != nil {
                    lines.append("\(name) take no header of the PROXY protocol")
                }
            }
        }
        guard lines.isEmpty else { throw PluginError(lines.joined(separator: "\n")) }
    }
}
