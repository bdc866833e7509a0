internal import Proxy
internal import TLS

extension UpstreamSettings: Defaulted {
    static var defaults: Self { UpstreamSettings(name: "") }
}
extension PeerSettings: Defaulted {
    static var defaults: Self { PeerSettings(address: "") }
}
extension UpstreamTimeouts: Defaulted {
    static var defaults: Self { UpstreamTimeouts() }
}
extension PoolSettings: Defaulted {
    static var defaults: Self { PoolSettings() }
}
extension UpstreamHTTP2Settings: Defaulted {
    static var defaults: Self { UpstreamHTTP2Settings() }
}

/// One entry of `upstreams`.
extension Table where Root == UpstreamSettings {
    static let upstream = Table(
        "upstream",
        at: "upstreams.NAME",
        later: ["hash_key", "health"],
        keys: [
            Key(
                "balancer",
                \.balancer,
                .absent(.reference(to: .plugin)),
                "Plugin instance that picks the peer. Its hooks, if it has any, run last on the way"
                    + " of each route to the upstream. Needed when there are several peers."
            ),
            Key(
                "protocol",
                \.speaks,
                .words(
                    UpstreamProtocol.allCases.map { ($0.rawValue, $0) },
                    later: ["h3"]
                ),
                "Protocol that the peers speak. `\"h1\"` is HTTP/1.1, `\"h2\"` is HTTP/2 over TLS,"
                    + " `\"h2c\"` is HTTP/2 in the clear, and `\"auto\"` is what each peer chooses"
                    + " in the TLS handshake (ALPN): HTTP/2 if it can."
            ),
            Key(
                "http2",
                \.http2,
                .table(.upstreamHTTP2),
                "Connections to peers that speak HTTP/2."
            ),
            Key(
                "host",
                \.hostOverride,
                .absent(.hostOverride),
                "Value of `Host` that the peers see. The client's, when left out."
            ),
            Key(
                "peers",
                \.peers,
                .list(of: .peer, 0...ManifestLimits.peersMax),
                "Addresses of the peers: strings, or objects where more than the address is set."
                    + " Needed, unless `discovery` is true."
            ),
            Key(
                "discovery",
                \.isDiscovered,
                .yes,
                "That a plugin gives the peers, in place of those in `peers`. Until it has,"
                    + " requests get 503 where there are none."
            ),
            Key(
                "proxy_protocol",
                \.proxyProtocol,
                .absent(.words(ProxyProtocolVersion.allCases.map { ($0.rawValue, $0) })),
                "Version of the [PROXY protocol](proxy-protocol.md) that tells the peers who the"
                    + " client is. Such a connection serves one client, and is closed with the"
                    + " client's."
            ),
            Key("timeouts", \.timeouts, .table(.upstreamTimeouts), "Times of an exchange."),
            Key("retries", \.retries, .table(.retries), "When a request is tried again."),
            Key("hedge", \.hedge, .table(.hedge), "A second attempt beside a slow one."),
            Key(
                "limits",
                \.limits,
                .table(.upstreamLimits),
                "What the peers are given at the same time, over all workers. Over it: a request"
                    + " waits as `pending` says, or 503 with `Retry-After`."
            ),
            Key("pool", \.pool, .table(.pool), "Idle connections to the peers."),
            Key(
                "tls",
                \.tls,
                .absent(.table(.upstreamTLS)),
                "How the peers are spoken to in TLS. In the clear, when left out."
            ),
        ],
        check: { node, settings, reader in
            checkDiscovery(node, settings, &reader)
            checkPeers(node, settings, &reader)
            checkDraining(node, settings, &reader)
            checkNames(node, settings, &reader)
            checkProtocol(node, settings, &reader)
            checkFailover(node, settings, &reader)
        }
    )

    /// Without a balancer there are no sessions that could stay.
    private static func checkDraining(
        _ node: Node,
        _ settings: UpstreamSettings,
        _ reader: inout ManifestReader
    ) {
        guard settings.balancer == nil, settings.peers.contains(where: \.isDraining),
            let peers = node.member("peers")
        else { return }
        reader.inside(.key("balancer")) {
            $0.report("this key is missing; a draining peer needs it", at: peers)
        }
    }

    private static func checkDiscovery(
        _ node: Node,
        _ settings: UpstreamSettings,
        _ reader: inout ManifestReader
    ) {
        guard !settings.isDiscovered else { return }
        guard let peers = node.member("peers") else {
            reader.inside(.key("peers")) {
                $0.report("this key is missing; or say discovery: true", at: node)
            }
            return
        }
        if case .array = peers.content, peers.elements.isEmpty {
            reader.inside(.key("peers")) {
                $0.report("at least 1 is needed, or discovery: true", at: peers)
            }
        }
    }

    @Sendable
    private static func checkPeers(
        _ node: Node,
        _ settings: UpstreamSettings,
        _ reader: inout ManifestReader
    ) {
        guard let peers = node.member("peers") else { return }
        if peers.elements.count > 1, node.member("balancer") == nil {
            reader.inside(.key("balancer")) {
                $0.report(
                    "this key is missing; an upstream with \(peers.elements.count) peers needs it",
                    at: peers
                )
            }
        }
        // A wrong peer is not in the settings, so that the places no longer fit.
        guard settings.peers.count == peers.elements.count else { return }
        var first: [String: Int] = [:]
        for (index, peer) in settings.peers.enumerated() where peer.address != "" {
            guard let earlier = first[peer.address] else {
                first[peer.address] = index
                continue
            }
            reader.inside(.key("peers")) { reader in
                reader.inside(.index(index)) {
                    $0.report(
                        "the same address as peers[\(earlier)]; use weight for a larger share",
                        at: peers.elements[index]
                    )
                }
            }
        }
    }
}

extension Table where Root == UpstreamSettings {
    /// A peer without a host has no name to verify: it must not pass for that.
    private static func checkNames(
        _ node: Node,
        _ settings: UpstreamSettings,
        _ reader: inout ManifestReader
    ) {
        guard let tls = settings.tls, tls.verify, tls.serverName == nil, tls.verifyName == nil,
            let found = node.member("tls"),
            let peer = settings.peers.first(where: { $0.address.hasPrefix("unix:") })
        else { return }
        reader.inside(.key("tls")) { reader in
            reader.inside(.key("verify_name")) {
                $0.report(
                    "this key is missing; the peer \(peer.address) has no host to verify",
                    at: found
                )
            }
        }
    }
}

extension Table where Root == UpstreamSettings {
    /// The protocol fits what it runs on, and what connections begin with.
    private static func checkProtocol(
        _ node: Node,
        _ settings: UpstreamSettings,
        _ reader: inout ManifestReader
    ) {
        let name = settings.speaks.rawValue
        if let found = node.member("protocol") {
            let isTLS = node.member("tls") != nil
            let problem: String? =
                switch settings.speaks {
                case .h2 where !isTLS: "needs tls; HTTP/2 in the clear is \"h2c\""
                case .auto where !isTLS: "needs tls, whose handshake chooses the protocol"
                case .h2c where isTLS: "is HTTP/2 in the clear; over tls it is \"h2\""
                default: nil
                }
            if let problem {
                reader.inside(.key("protocol")) { $0.report(problem, at: found) }
            }
        }
        if settings.speaks != .h1, let found = node.member("proxy_protocol") {
            reader.inside(.key("proxy_protocol")) {
                $0.report(
                    "can't be with protocol \(quote(name)), whose connections serve many clients",
                    at: found
                )
            }
        }
        if settings.speaks == .h1, let found = node.member("http2"),
            case .object = found.content
        {
            reader.inside(.key("http2")) {
                $0.report("has no effect with protocol \"h1\"", at: found)
            }
        }
    }
}

extension Table where Root == PeerSettings {
    static let peer = Table(
        "peer",
        at: "upstreams.NAME.peers[]",
        later: ["tls", "meta"],
        keys: [
            Key(
                required: "address",
                \.address,
                .address(for: .peer),
                "`\"192.0.2.1:80\"`, `\"[2001:db8::1]:80\"`, `\"unix:/run/app.sock\"`, or"
                    + " `\"name:80\"`, resolved once at start."
            ),
            Key("weight", \.weight, .integer(1...65_535), "Share of the requests."),
            Key(
                "priority",
                \.priority,
                .integer(0...65_535),
                "Peers with a larger number are used when none with a smaller one can be."
            ),
            Key(
                "backup",
                \.isBackup,
                .yes,
                "Whether the peer is used only when no other one can be, whatever its priority."
            ),
            Key(
                "zone",
                \.zone,
                .absent(.zone),
                "Where the peer is; [balancers](load-balancing.md#zones) may prefer their own zone."
            ),
            Key(
                "draining",
                \.isDraining,
                .yes,
                "Whether the peer gets no new sessions: [balancers](load-balancing.md#draining)"
                    + " keep those that are with it."
            ),
        ]
    )
}

extension ValueKind where Value == PeerSettings {
    /// An address, or an object with one.
    static let peer: ValueKind = {
        let address = ValueKind<String>.address(for: .peer)
        let object = ValueKind.table(.peer)
        return ValueKind(form: .either([address.form, object.form]), text: { _ in nil }) {
            node,
            reader in
            if case .object = node.content { return object.read(node, &reader) }
            guard case .string = node.content else {
                reader.report(
                    expected: address.form.expectedText + ", or an object with one",
                    at: node
                )
                return nil
            }
            return address.read(node, &reader).map { PeerSettings(address: $0) }
        }
    }()
}

extension Table where Root == UpstreamHTTP2Settings {
    static let upstreamHTTP2 = Table(
        "upstream_http2",
        at: "upstreams.NAME.http2",
        keys: [
            Key(
                "max_concurrent_streams",
                \.streams,
                .integer(1...65_536),
                "Requests on one connection at the same time; the peer may allow fewer. Over it:"
                    + " another connection."
            ),
            Key(
                "initial_stream_window",
                \.streamWindowBytes,
                .size(16_384...UpstreamHTTP2Settings.streamWindowBytesMax),
                "Bytes of one response that a peer may send ahead of a slow client."
            ),
            Key(
                "initial_connection_window",
                \.connectionWindowBytes,
                .size(65_535...2_147_483_647),
                "The same of all responses on one connection together."
            ),
            Key(
                "ping_interval",
                \.pingInterval,
                .orNone(.time),
                "Silence, while requests are under way, after which a peer is sent a PING. Servers"
                    + " of gRPC end connections that ping more often than they allow, which is"
                    + " every five minutes unless they are told otherwise."
            ),
            Key(
                "ping_timeout",
                \.pingTimeout,
                .time,
                "Time for the answer to a PING. After it: the connection counts as broken."
            ),
        ]
    )
}

extension Table where Root == UpstreamTimeouts {
    static let upstreamTimeouts = Table(
        "upstream_timeouts",
        at: "upstreams.NAME.timeouts",
        keys: [
            Key(
                "connect",
                \.connect,
                .time,
                "Until a connection stands. After it: the next peer, or 504."
            ),
            Key(
                "first_byte",
                \.firstByte,
                .time,
                "From the end of the request until the response's head is whole. After it: another"
                    + " attempt where `retries.on` has `\"timeout\"`, else 504."
            ),
            Key(
                "read",
                \.read,
                .time,
                "Between two reads of a response's body. After it: the client's connection is cut."
            ),
            Key(
                "write",
                \.write,
                .time,
                "Between two writes that the peer took bytes of. After it: as `first_byte`."
            ),
            Key("idle", \.idle, .time, "An unused connection in the pool. After it: closed."),
        ]
    )
}

extension Table where Root == PoolSettings {
    static let pool = Table(
        "pool",
        at: "upstreams.NAME.pool",
        keys: [
            Key(
                "idle_per_peer",
                \.idlePerPeer,
                .integer(0...65_535),
                "Idle connections that are kept for each peer and worker; 0 keeps none. Over it:"
                    + " the one that was used longest ago is closed."
            ),
            Key(
                "requests",
                \.requests,
                .orNone(.integer(0...1_000_000_000)),
                "Requests on one connection to a peer. At it: closed after the exchange."
            ),
        ]
    )
}
