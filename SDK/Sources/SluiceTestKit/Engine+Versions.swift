extension Engine {
    /// A version of HTTP between the proxy and the test's end of a connection.
    public enum Version: UInt32, Sendable, CaseIterable {
        /// HTTP/1.1: bytes as the test sends them.
        case http1 = 0
        /// HTTP/2 in the clear: the engine translates the test's text, which stays HTTP/1.1.
        case http2 = 1
    }

    /// What the proxy speaks with its clients and with its peers.
    ///
    ///     @Test(arguments: Engine.Versions.all)
    ///     func `responses are greeted`(versions: Engine.Versions) throws {
    ///         let engine = try Engine(hello: ..., [:], Engine.Options(versions))
    public struct Versions: Sendable, Hashable, CustomStringConvertible {
        /// With clients.
        public var client: Version
        /// With the upstream's peers.
        public var origin: Version

        /// A version for each side.
        public init(client: Version = .http1, origin: Version = .http1) {
            self.client = client
            self.origin = origin
        }

        /// Every version of clients with every version of origins.
        public static let all = Version.allCases.flatMap { client in
            Version.allCases.map { Versions(client: client, origin: $0) }
        }

        /// "client http1, origin http2".
        public var description: String { "client \(client), origin \(origin)" }
    }
}
