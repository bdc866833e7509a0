/// Bounds of a manifest.
///
/// A manifest over a bound is refused with the place and the bound.
enum ManifestLimits {
    /// Bytes of the file; ten thousand routes take about one million.
    static let fileBytesMax = 4 << 20
    static let listenersMax = 64
    static let pluginsMax = 256
    static let upstreamsMax = 4_096
    /// Peers of one upstream: what a set of the balancer interface holds.
    static let peersMax = 65_535
    static let routesMax = 10_000
    /// Instances on the global chain, and on that of a route.
    static let chainMax = 64
    static let hostsMax = 256
    static let methodsMax = 32
    static let headersMax = 32
    /// Networks of one listener's trusted proxies, which each new connection is compared with.
    static let trustedMax = 256
    /// Certificates of one listener.
    static let certificatesMax = 1_024
    /// Keys that may sign libraries, with each of which a library is compared.
    static let trustedKeysMax = 16
    /// Bytes of the name of a plugin, an upstream or a route, which logs repeat.
    static let nameBytesMax = 64
    /// Bytes of a path to match, and of a value of a field to match.
    static let patternBytesMax = 4_096
}
