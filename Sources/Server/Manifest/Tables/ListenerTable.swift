internal import Proxy

extension ListenerSettings: Defaulted {
    static var defaults: Self { ListenerSettings(address: "") }
}
extension DownstreamLimits: Defaulted {
    static var defaults: Self { DownstreamLimits() }
}
extension DownstreamTimeouts: Defaulted {
    static var defaults: Self { DownstreamTimeouts() }
}

/// One entry of `listeners`.
extension Table where Root == ListenerSettings {
    static let listener = Table(
        "listener",
        at: "listeners[]",
        later: ["reuse_port", "fast_open"],
        keys: [
            Key(
                required: "listen",
                \.address,
                .listen,
                "`\"192.0.2.1:80\"`, `\"[2001:db8::1]:80\"`, `\"unix:/run/sluice.sock\"`, or"
                    + " `\":80\"` for all addresses, IPv6 and IPv4. Port 0 takes a free port."
            ),
            Key(
                "protocols",
                \.protocols,
                .list(
                    of: .words(
                        ListenerProtocol.allCases.map { ($0.rawValue, $0) },
                        later: ["h3"]
                    ),
                    1...2
                ),
                "Protocols that clients may speak. `\"h1\"` is HTTP/1.1 and HTTP/1.0, `\"h2\"` is"
                    + " HTTP/2 over TLS, which ALPN chooses, and `\"h2c\"` is HTTP/2 in the clear,"
                    + " which a client knows beforehand."
            ),
            Key(
                "backlog",
                \.backlog,
                .integer(1...65_535),
                "Connections that wait to be accepted; the kernel's `net.core.somaxconn` bounds it"
                    + " too. Beyond it the kernel drops connection attempts."
            ),
            Key(
                "mode",
                \.unixMode,
                .mode,
                "Permissions of the file of a Unix socket, in octal."
            ),
            Key(
                "tcp_keepalive",
                \.tcpKeepaliveSeconds,
                .orNone(.seconds(0...32_400)),
                "Silence after which TCP asks whether the client is still there. Whole seconds."
            ),
            Key(
                "half_close",
                \.halfClose,
                .words(HalfClose.allCases.map { ($0.rawValue, $0) }),
                "A client that closed its sending side behind a whole request gets its answer"
                    + " (`\"serve\"`), or the exchange is given up (`\"abort\"`)."
            ),
            Key(
                "proxy_protocol",
                \.proxyProtocol,
                .absent(.table(.proxyProtocol)),
                "Every connection begins with a header of the [PROXY protocol](proxy-protocol.md)"
                    + " that says who the client is. Without this key none may."
            ),
            Key("limits", \.limits, .table(.limits), "Bounds of one client."),
            Key("timeouts", \.timeouts, .table(.downstreamTimeouts), "Times of one client."),
            Key(
                "tls",
                \.tls,
                .absent(.table(.tls)),
                "How clients are spoken to in TLS. In the clear, when left out."
            ),
            Key(
                "http2",
                \.http2,
                .table(.http2),
                "What clients that speak [HTTP/2](http2.md) are told and allowed."
            ),
        ],
        check: { node, settings, reader in
            checkTrusted(node, settings, &reader)
            checkProtocols(node, settings, &reader)
        }
    )

    /// Each protocol is there once, and fits what it runs on.
    @Sendable
    private static func checkProtocols(
        _ node: Node,
        _ settings: ListenerSettings,
        _ reader: inout ManifestReader
    ) {
        // A wrong protocol is not in the settings, so that the places no longer fit.
        guard let protocols = node.member("protocols"),
            protocols.elements.count == settings.protocols.count
        else { return }
        let isTLS = node.member("tls") != nil
        for (index, name) in settings.protocols.enumerated() {
            let problem: String? =
                if settings.protocols[..<index].contains(name) {
                    "\(quote(name.rawValue)) occurs twice"
                } else if name == .h2, !isTLS {
                    "needs tls; HTTP/2 in the clear is \"h2c\""
                } else if name == .h2c, isTLS {
                    "is HTTP/2 in the clear; over tls it is \"h2\""
                } else {
                    nil
                }
            guard let problem else { continue }
            reader.inside(.key("protocols")) { reader in
                reader.inside(.index(index)) {
                    $0.report(problem, at: protocols.elements[index])
                }
            }
        }
    }
}

extension Table where Root == DownstreamLimits {
    static let limits = Table(
        "limits",
        at: "listeners[].limits",
        keys: [
            Key(
                "head",
                \.headBytes,
                .size(256...65_535),
                "A request's head: its first line and all fields. Over it: 431."
            ),
            Key(
                "fields",
                \.fields,
                .integer(1...1_024),
                "Fields of a request's head. Over it: 431."
            ),
            Key(
                "target",
                \.targetBytes,
                .size(1...65_000),
                "The target in a request's first line. Over it: 414."
            ),
            Key(
                "body",
                \.bodyBytes,
                .optional("none", .size(0...(512 << 40))),
                "A request's body. Over it: 413."
            ),
            Key(
                "body_rate",
                \.bodyRate,
                .orNone(.size(0...(1 << 30))),
                "Least speed of a request's body in bytes a second, averaged over ten seconds."
                    + " Under it: 408."
            ),
            Key(
                "requests",
                \.requests,
                .integer(1...1_000_000_000),
                "Requests on one connection. The last answer says `Connection: close`."
            ),
            Key(
                "connections",
                \.connections,
                .optional("auto", .integer(1...1_048_576)),
                "Connections of this listener at a time, over all workers. `\"auto\"` is three"
                    + " quarters of the descriptors that the process may open. Over it: 503 and"
                    + " close."
            ),
            Key(
                "connections_per_address",
                \.connectionsPerAddress,
                .orNone(.integer(0...1_048_576)),
                "Connections of one client address at a time, over all workers. Over it: 503 and"
                    + " close."
            ),
            Key(
                "buffer",
                \.bufferBytes,
                .size(4_096...262_144),
                "Bytes that are read ahead of a receiver that does not keep up, for each direction"
                    + " of an exchange. At it, reading stops until the receiver has taken some."
            ),
            Key(
                "drain",
                \.drainBytes,
                .size(0...(16 << 20)),
                "Bytes of an unread request body that are thrown away to keep a connection whose"
                    + " answer came early. Over it: the connection is closed."
            ),
            Key(
                "body_buffer",
                \.bodyBufferBytes,
                .size(4_096...(16 << 20)),
                "Bytes of a body that a plugin may ask for in one piece. Over it, as the plugin"
                    + " says: 413 for a request and 502 for a response, or it comes in chunks."
            ),
            Key(
                "hold",
                \.holdBytes,
                .size(4_096...(1 << 20)),
                "Bytes of a response's body that are kept while a plugin holds its head back. Over"
                    + " it the head goes out."
            ),
        ]
    )
}

extension Table where Root == DownstreamTimeouts {
    static let downstreamTimeouts = Table(
        "downstream_timeouts",
        at: "listeners[].timeouts",
        keys: [
            Key(
                "head",
                \.head,
                .time,
                "The whole head of a request, from its first byte, or from the connection's begin."
                    + " After it: 408."
            ),
            Key("body", \.body, .time, "Between two reads of a request's body. After it: 408."),
            Key(
                "idle",
                \.idle,
                .time,
                "Between two requests of a connection. After it: closed without an answer."
            ),
            Key(
                "write",
                \.write,
                .time,
                "Between two writes that the client took bytes of. After it: the connection is"
                    + " cut."
            ),
            Key(
                "tunnel",
                \.tunnel,
                .time,
                "A tunnel (after 101), or a request that goes on beside its response, without a"
                    + " byte in either direction. After it: closed."
            ),
            Key(
                "handshake",
                \.handshake,
                .time,
                "A TLS handshake, from the connection's begin. After it: closed without an answer."
            ),
            Key(
                "settings",
                \.settings,
                .time,
                "HTTP/2: until the client acknowledges our SETTINGS, from the connection's begin."
                    + " After it: SETTINGS_TIMEOUT, and the connection ends."
            ),
            Key(
                "suspend",
                \.suspend,
                .time,
                "The longest that a plugin may let a request wait. After it the plugin is told that"
                    + " the time is over. The longest, too, that it may hold a response's head."
            ),
        ]
    )
}
