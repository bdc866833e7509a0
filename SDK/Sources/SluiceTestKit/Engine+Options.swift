extension Engine {
    /// How the proxy around the plugin is made.
    public struct Options: Sendable {
        /// What becomes of the views that a hook was given.
        public enum Views: UInt32, Sendable {
            /// Nothing.
            case kept = 0
            /// They are filled with 0xdd when the next hook begins.
            case poisoned = 1
            /// Reading them when the next hook has begun ends the process.
            case forbidden = 2
        }

        /// What becomes of the views that a hook was given.
        public var views = Views.poisoned
        /// `on_error` of the plugin; nil leaves it out.
        public var onError: String?
        /// What the proxy speaks with clients and peers; the test's own text stays the same.
        public var versions = Versions()
        /// The client's address, with its port.
        public var client = "192.0.2.1:4711"
        /// Peers of the upstream, 1 to 250: `10.0.0.1:80`, `10.0.0.2:80` and so on.
        public var peers = 1
        /// Whether the plugin is the upstream's balancer, in place of the chain's plugin.
        public var isBalancer = false
        /// Members of the listener, as in `["limits": ["body": "1KiB"]]`.
        public var listener: [String: TestValue] = [:]
        /// Members of the upstream, as in `["retries": ["attempts": 1]]`.
        public var upstream: [String: TestValue] = [:]
        /// Members of each peer besides its address, as in `["weight": 2]`.
        public var peer: [[String: TestValue]] = []

        /// What a manifest has that says nothing.
        ///
        /// - Parameter versions: what the proxy speaks with clients and peers.
        public init(_ versions: Versions = Versions()) { self.versions = versions }
    }
}

extension Engine.Options {
    /// The manifest of a proxy with one plugin.
    func manifest(library path: String, _ configuration: TestValue) -> String {
        var plugin: [String: TestValue] = ["library": .string(path), "config": configuration]
        if let onError { plugin["on_error"] = .string(onError) }
        var listener = listener
        listener["listen"] = "127.0.0.1:8080"
        if versions.client == .http2, listener["protocols"] == nil {
            listener["protocols"] = ["h1", "h2c"]
        }
        var upstream = upstream
        if versions.origin == .http2, upstream["protocol"] == nil { upstream["protocol"] = "h2c" }
        if isBalancer { upstream["balancer"] = .string(Engine.pluginName) }
        upstream["peers"] = .array(
            (0..<peers).map { index in
                var peer = index < peer.count ? peer[index] : [:]
                peer["address"] = .string("10.0.0.\(index + 1):80")
                return .object(peer)
            }
        )
        let chain: [TestValue] = isBalancer ? [] : [.string(Engine.pluginName)]
        let root: TestValue = [
            "version": 1,
            "workers": 1,
            "log": ["level": "debug"],
            "listeners": [.object(listener)],
            "plugins": .object([Engine.pluginName: .object(plugin)]),
            "upstreams": ["app": .object(upstream)],
            "chain": .array(chain),
            "routes": [["match": [:], "upstream": "app"]],
        ]
        return root.json
    }
}

extension TestValue {
    /// The value as JSON, members in the order of their names.
    var json: String {
        switch self {
        case .null: "null"
        case .bool(let flag): flag ? "true" : "false"
        case .integer(let number): "\(number)"
        case .number(let number): "\(number)"
        case .string(let text), .measured(let text, _): Self.quoted(text)
        case .array(let values): "[" + values.map(\.json).joined(separator: ",") + "]"
        case .object(let members):
            "{"
                + members.sorted { $0.key < $1.key }
                .map { Self.quoted($0.key) + ":" + $0.value.json }
                .joined(separator: ",") + "}"
        }
    }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": result += "\\\(scalar)"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
