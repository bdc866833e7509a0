package import Sys
package import TLS

/// Everything that a running proxy is told: the manifest after parsing, with defaults filled in.
///
/// Plain values without behaviour. `Server` makes them from the manifest, `Proxy` compiles them
/// into the tables that workers read.
package struct ProxySettings: Sendable, Equatable {
    /// Number of worker threads, 1 to 256; nil is "auto": the cores in the affinity mask, bounded
    /// by the cgroup's quota.
    package var workers: Int?
    package var logLevel = LogLevel.info
    /// Nil: there is no admin interface.
    package var admin: AdminSettings?
    package var listeners: [ListenerSettings] = []
    package var plugins: [PluginSettings] = []
    package var integrity = IntegritySettings()
    package var upstreams: [UpstreamSettings] = []
    /// Instances that every request goes through, before its route's own.
    package var chain: [String] = []
    package var routes: [RouteSettings] = []
    package var service = ServiceSettings()
    package var lifecycle = LifecycleSettings()
    /// Requests of a worker that go on without a client at the same time: 0 to 65,536.
    ///
    /// Over it a cache is told that nothing is fetched, and a fill ends with its client.
    package var backgroundRequests = 128
    /// Milliseconds after which a worker that is in one call of a plugin is stuck, and the process
    /// is ended as by a crash; 0 is off.
    package var hangTime = 10_000

    package init() {}
}

/// Levels of the error log, most important first.
package enum LogLevel: UInt32, Sendable, Equatable, CaseIterable {
    case error = 1
    case warn, info, debug
}

/// Where commands are taken.
package struct AdminSettings: Sendable, Equatable {
    /// "unix:/path", "127.0.0.1:9000" or "[::1]:9000".
    package var address: String
    /// File of the token that clients of TCP must show; nil for a Unix socket.
    package var tokenFile: String?
    /// Whether browsers get a page; nil: where only this machine can ask for it.
    package var page: Bool?

    package init(address: String, tokenFile: String? = nil) {
        self.address = address
        self.tokenFile = tokenFile
    }

    package var isUnix: Bool { address.hasPrefix("unix:") }
}

/// One address to listen on, with the bounds of its clients.
package struct ListenerSettings: Sendable, Equatable {
    /// "0.0.0.0:8080", "[::]:8080" or "unix:/path"; port 0 takes a free one.
    package var address: String
    package var protocols = [ListenerProtocol.h1]
    package var backlog = 4_096
    /// Mode of a Unix socket's file.
    package var unixMode: UInt32 = 0o660
    /// TCP keep-alive probes after this many seconds of silence; 0 is off.
    package var tcpKeepaliveSeconds = 0
    package var limits = DownstreamLimits()
    package var timeouts = DownstreamTimeouts()
    /// Whether a client that closed its sending side after a whole request still gets its answer.
    package var halfClose = HalfClose.serve
    /// Nil: connections begin with the client's own bytes.
    package var proxyProtocol: ProxyProtocolSettings?
    /// Nil is in the clear.
    package var tls: TLSServerSettings?
    /// Of no meaning where `protocols` has no HTTP/2.
    package var http2 = HTTP2Settings()

    package init(address: String) { self.address = address }
}

/// What clients of a listener may speak.
package enum ListenerProtocol: String, Sendable, Equatable, CaseIterable {
    /// HTTP/1.1 and HTTP/1.0.
    case h1
    /// HTTP/2 over TLS, chosen by ALPN.
    case h2
    /// HTTP/2 in the clear, by prior knowledge (RFC 9113 §3.3).
    case h2c
}

/// What a client's FIN behind a whole request means.
package enum HalfClose: String, Sendable, Equatable, CaseIterable {
    case serve
    case abort
}

/// Bounds of one listener's clients.
///
/// Counts and bytes.
package struct DownstreamLimits: Sendable, Equatable {
    /// Bytes of a request head: 256 to 65,535.
    ///
    /// Over it: 431.
    package var headBytes = 32_768
    /// Fields of a request head: 1 to 1,024.
    ///
    /// Over it: 431.
    package var fields = 100
    package static let fieldsMax = 1_024
    /// Bytes of a request target.
    ///
    /// Over it: 414.
    package var targetBytes = 8_192
    /// Bytes of a request body; nil is no bound.
    ///
    /// Over it: 413.
    package var bodyBytes: Int64? = 1_073_741_824
    /// Least bytes per second of a request body, averaged over ten seconds; 0 is off.
    ///
    /// Under it: 408.
    package var bodyRate = 500
    /// Requests on one connection; the last answer says close.
    package var requests = 1_000
    /// Connections of this listener over all workers; nil is three quarters of the process's
    /// descriptors.
    ///
    /// Over it: 503 and close.
    package var connections: Int?
    /// Connections of one client address over all workers; 0 is no bound.
    ///
    /// Over it: 503 and close.
    package var connectionsPerAddress = 0
    /// Bytes that are read ahead of a receiver that does not keep up, per direction of an exchange:
    /// 4,096 to 262,144.
    package var bufferBytes = 262_144
    /// Bytes of an unread request body that are read and thrown away to keep a connection whose
    /// answer came early.
    package var drainBytes = 65_536
    /// Bytes of a body that a plugin gets whole, at most; a plugin may ask for less: 4,096 to
    /// 16,777,216.
    ///
    /// Over it, as the plugin asked: 413 or 502, or in chunks.
    package var bodyBufferBytes = 1_048_576
    /// Bytes of a response's body that are kept while a plugin holds its head: 4,096 to 1,048,576.
    ///
    /// Over it the head goes out.
    package var holdBytes = 65_536

    package init() {}
}

/// Times of one listener's clients, in milliseconds, 1 to 86,400,000.
package struct DownstreamTimeouts: Sendable, Equatable {
    /// The whole request head, from its first byte (or the connection's begin) to its last.
    ///
    /// 408.
    package var head = 10_000
    /// Between two reads of a request body.
    ///
    /// 408.
    package var body = 30_000
    /// An idle connection between two requests.
    ///
    /// Closed without an answer.
    package var idle = 60_000
    /// Between two writes that the client took bytes of.
    ///
    /// The connection is cut.
    package var write = 30_000
    /// A tunnel (after 101), or both directions of an exchange in turns, without a byte.
    package var tunnel = 3_600_000
    /// A TLS handshake, from the connection's begin.
    ///
    /// The connection is closed.
    package var handshake = 10_000
    /// HTTP/2: from the connection's begin to the client's acknowledgement of our SETTINGS.
    ///
    /// SETTINGS_TIMEOUT (RFC 9113 §6.5.3).
    package var settings = 10_000
    /// The longest that a plugin may let a request wait, or hold a response's head.
    package var suspend = 60_000

    package init() {}
}

/// One entry of the manifest's `plugins`.
package struct PluginSettings: Sendable, Equatable {
    package var name: String
    /// Path of the library's file, resolved.
    package var libraryPath: String
    /// Expected SHA-256 of the file in lower-case hex; nil is not checked.
    package var sha256: String?
    package var onError = OnError.closed(500)
    /// Bytes of buffers that the plugin may have from the host at the same time.
    package var memoryBytes = 67_108_864
    /// Milliseconds that a hook may take; 0 is no bound.
    package var hookBudget = 0
    /// Milliseconds that a call outside of requests may take; 0 is no bound.
    package var controlBudget = 30_000
    package var circuit = PluginCircuitSettings()
    package var onCrash = CrashPolicy.restart
    package var unload = UnloadRule.never
    /// What becomes of its state when another instance takes its place.
    package var state = StatePolicy.prefer
    package var configuration = ConfigurationValue.object([])

    package init(name: String, libraryPath: String) {
        self.name = name
        self.libraryPath = libraryPath
    }
}

/// When the faults of a plugin take it out of requests.
package struct PluginCircuitSettings: Sendable, Equatable {
    /// Faults within `window` on one worker that are borne; 0 bears all.
    package var faults = 100
    /// Milliseconds.
    package var window = 10_000
    /// Milliseconds until one request tries the plugin again.
    package var retry = 30_000

    package init() {}
}

/// Whether the state of an instance moves to the one that takes its place.
package enum StatePolicy: String, Sendable, Equatable, CaseIterable {
    /// Without it the new instance is not taken.
    case require
    /// Where both can; else the new instance begins empty.
    case prefer
    case discard
}

/// What a failing hook means for its request.
package enum OnError: Sendable, Equatable {
    /// Go on as if the hook were not there.
    case open
    /// Answer with this status, 400 to 599.
    case closed(UInt16)
}

/// A JSON value, objects in the order of their keys' bytes.
package indirect enum ConfigurationValue: Sendable, Equatable {
    case null
    case bool(Bool)
    case integer(Int64)
    case number(Double)
    case string(String)
    case array([ConfigurationValue])
    case object([Member])

    package struct Member: Sendable, Equatable {
        package var key: String
        package var value: ConfigurationValue

        package init(key: String, value: ConfigurationValue) {
            self.key = key
            self.value = value
        }
    }
}

/// A named set of peers and how to talk to them.
package struct UpstreamSettings: Sendable, Equatable {
    package var name: String
    /// Instance of a plugin with the balancer role; may be nil with one peer.
    package var balancer: String?
    /// May be empty where they are discovered.
    package var peers: [PeerSettings] = []
    /// Whether a plugin gives the peers; then `peers` are those of before.
    package var isDiscovered = false
    package var timeouts = UpstreamTimeouts()
    package var retries = RetrySettings()
    package var hedge = HedgeSettings()
    package var limits = UpstreamLimits()
    package var pool = PoolSettings()
    /// Value of Host that the peers see; nil keeps the client's.
    package var hostOverride: String?
    /// Version of the PROXY header that connections to the peers begin with; nil is none.
    package var proxyProtocol: ProxyProtocolVersion?
    /// Nil is in the clear.
    package var tls: TLSClientSettings?
    package var speaks = UpstreamProtocol.h1
    package var http2 = UpstreamHTTP2Settings()

    package init(name: String) { self.name = name }
}

/// What the peers of an upstream are spoken to in.
package enum UpstreamProtocol: String, Sendable, Equatable, CaseIterable {
    /// HTTP/1.1.
    case h1
    /// HTTP/2 over TLS; a peer that does not choose it by ALPN is not used.
    case h2
    /// HTTP/2 in the clear, by prior knowledge (RFC 9113 §3.3).
    case h2c
    /// Over TLS: HTTP/2 where the peer chooses it by ALPN, else HTTP/1.1.
    case auto
}

/// Connections to peers that speak HTTP/2.
package struct UpstreamHTTP2Settings: Sendable, Equatable {
    /// Streams on one connection at the same time: 1 to 65,536; the peer may allow fewer.
    package var streams = 100
    /// Bytes that a peer may send on one stream ahead of its receiver: 16,384 to
    /// `streamWindowBytesMax`.
    package var streamWindowBytes = 65_536
    /// A head and a window behind it fit the largest block of a worker's buffers, 256 KiB.
    package static let streamWindowBytesMax = 196_608
    /// Bytes that a peer may send on all streams of a connection ahead of their receivers: 65,535
    /// to 2^31 - 1.
    ///
    /// 8 MiB are more than all streams of the usual number have, so that a slow receiver never
    /// stops another.
    package var connectionWindowBytes = 8_388_608
    /// Milliseconds of silence, while there are streams, after which a peer is asked for a sign of
    /// life; 0 is off.
    package var pingInterval = 0
    /// Milliseconds that a peer has for it.
    package var pingTimeout = 10_000

    package init() {}
}

/// One peer of an upstream.
package struct PeerSettings: Sendable, Equatable {
    /// "192.0.2.1:80", "[2001:db8::1]:80", "unix:/path" or "name:80", resolved once at start.
    package var address: String
    /// 1 to 65,535.
    package var weight = 1
    /// 0 first.
    package var priority = 0
    /// Where it is, as balancers compare it; nil when nothing is said.
    package var zone: String?
    /// Only when no other peer can be used.
    package var isBackup = false
    /// Whether it gets no new sessions: it stays for those that balancers keep with it.
    package var isDraining = false

    /// What balancers see as the priority: a backup comes behind all that are none.
    package var rank: Int { isBackup ? priority + Self.backupRank : priority }
    private static let backupRank = 65_536

    package init(address: String) { self.address = address }
}

/// Times towards the peers of an upstream, in milliseconds.
package struct UpstreamTimeouts: Sendable, Equatable {
    /// Until a connection stands.
    ///
    /// The next candidate, or 504.
    package var connect = 2_000
    /// From the end of the request to the response's first byte.
    ///
    /// 504.
    package var firstByte = 60_000
    /// Between two reads of a response.
    ///
    /// 504 before the head is whole, else the client is cut.
    package var read = 60_000
    /// Between two writes that the peer took bytes of.
    ///
    /// 504.
    package var write = 60_000
    /// An idle connection in the pool.
    package var idle = 60_000

    package init() {}
}

/// Idle connections to the peers of an upstream.
package struct PoolSettings: Sendable, Equatable {
    /// Idle connections per peer and worker: 0 to 65,535; 0 is no reuse.
    package var idlePerPeer = 256
    /// Requests on one connection to a peer; 0 is no bound.
    package var requests = 0

    package init() {}
}

/// One route: where a request goes when it matches.
package struct RouteSettings: Sendable, Equatable {
    /// For logs and plugins; "routes[2]" when the manifest gives none.
    package var name: String
    package var match = RouteMatch()
    package var chain: [String] = []
    /// Name of an upstream; nil for a route whose chain answers by itself.
    package var upstream: String?

    package init(name: String) { self.name = name }
}

/// What a route asks of a request.
///
/// Routes are tried in the manifest's order; the first match wins.
package struct RouteMatch: Sendable, Equatable {
    /// Addresses of listeners as the manifest writes them; empty is any.
    package var listeners: [String] = []
    /// Host names in lower case without port; empty is any.
    package var hosts: [HostPattern] = []
    package var path = PathPattern.any
    /// Methods as sent, upper case; empty is any.
    package var methods: [String] = []
    package var headers: [HeaderPattern] = []

    package init() {}
}

/// A host to match, without regard to case or port.
package enum HostPattern: Sendable, Equatable {
    case exact(String)
    /// ".example.com" of "*.example.com": any name that ends so and is longer.
    case suffix(String)
}

/// A path to match, byte for byte, before any decoding; the query is not part of it.
package enum PathPattern: Sendable, Equatable {
    case any
    case exact(String)
    /// "/api/" of "/api/*": the path begins so, or is the same without the last slash.
    case prefix(String)
}

/// A field to match.
package struct HeaderPattern: Sendable, Equatable {
    /// Lower case.
    package var name: String
    /// Bytes of the value; nil matches any value, an absent field never.
    package var value: String?

    package init(name: String, value: String?) {
        self.name = name
        self.value = value
    }
}
