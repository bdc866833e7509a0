internal import TLS

extension TLSServerSettings: Defaulted {
    static var defaults: Self { TLSServerSettings() }
}
extension TLSClientAuth: Defaulted {
    static var defaults: Self { TLSClientAuth() }
}
extension TLSClientSettings: Defaulted {
    static var defaults: Self { TLSClientSettings() }
}
extension TLSCertificateFiles: Defaulted {
    static var defaults: Self { TLSCertificateFiles(certificate: "", key: "") }
}

/// `tls` of a listener.
extension Table where Root == TLSServerSettings {
    static let tls = Table(
        "tls",
        at: "listeners[].tls",
        keys: [
            Key(
                required: "certificates",
                \.certificates,
                .list(of: .table(.certificate), 1...ManifestLimits.certificatesMax),
                "Certificates, chosen by the host that a client names and the kinds of keys that it"
                    + " knows. The first is for clients that name none, or an unknown one."
            ),
            .minVersion(\.parameters.minVersion),
            .maxVersion(\.parameters.maxVersion),
            .ciphers(\.parameters.ciphers),
            .cipherSuites(\.parameters.cipherSuites),
            .groups(\.parameters.groups),
            Key(
                "tickets",
                \.tickets,
                .integer(0...8),
                "Session tickets that a client gets, for as many later connections without a full"
                    + " handshake. 0 turns resumption off."
            ),
            Key(
                "ticket_rotation",
                \.ticketRotation,
                .duration(60_000...604_800_000),
                "How long tickets are encrypted with one key. The two keys before it still decrypt;"
                    + " after that a full handshake is made."
            ),
            Key("client_auth", \.clientAuth, .table(.clientAuth), "Certificates of clients."),
            Key(
                "key_log",
                \.keyLog,
                .absent(.path),
                "File that the secrets of all connections are added to, for network analysers. Only"
                    + " for debugging."
            ),
            Key(
                "reload_interval",
                \.reloadInterval,
                .orNone(.duration(0...86_400_000)),
                "How often the files are looked at. When one has changed, all are read, and serve"
                    + " new connections if all are good."
            ),
        ],
        check: { node, settings, reader in
            reader.checkVersions(node, settings.parameters)
        }
    )
}

/// One entry of `certificates`.
extension Table where Root == TLSCertificateFiles {
    static let certificate = Table(
        "certificate",
        at: "listeners[].tls.certificates[]",
        keys: [
            Key(
                required: "certificate",
                \.certificate,
                .path,
                "PEM: the certificate, then those that lead from it towards the root."
            ),
            Key(required: "key", \.key, .path, "PEM: its key, without a pass phrase."),
            Key(
                "ocsp",
                \.ocsp,
                .absent(.path),
                "DER: an OCSP response, which clients that ask for one get with the certificate."
            ),
        ]
    )
}

/// `client_auth` of a listener's `tls`.
extension Table where Root == TLSClientAuth {
    static let clientAuth = Table(
        "client_auth",
        at: "listeners[].tls.client_auth",
        keys: [
            Key(
                "mode",
                \.mode,
                .words(TLSClientAuth.Mode.allCases.map { ($0.rawValue, $0) }),
                "`\"required\"` refuses clients without a good certificate, `\"optional\"` only"
                    + " those with a bad one."
            ),
            Key(
                "ca",
                \.ca,
                .absent(.path),
                "PEM: certificates that clients' certificates must lead to."
            ),
            Key(
                "depth",
                \.depth,
                .integer(0...16),
                "Certificates between a client's and one of `ca`."
            ),
        ],
        check: { node, settings, reader in
            if settings.mode != .off, node.member("ca") == nil {
                reader.inside(.key("ca")) {
                    $0.report(
                        "this key is missing; mode \(quote(settings.mode.rawValue)) needs it",
                        at: node
                    )
                }
            }
            if settings.ca != nil, node.member("mode") == nil, let ca = node.member("ca") {
                reader.inside(.key("ca")) {
                    $0.report("nothing is verified without a mode; set mode too", at: ca)
                }
            }
        }
    )
}

/// `tls` of an upstream.
extension Table where Root == TLSClientSettings {
    static let upstreamTLS = Table(
        "upstream_tls",
        at: "upstreams.NAME.tls",
        keys: [
            Key(
                "verify",
                \.verify,
                .words([("full", true), ("none", false)]),
                "`\"full\"` verifies a peer's certificate and its name. `\"none\"` takes any"
                    + " certificate: whoever is in between can read and change everything."
            ),
            Key(
                "ca",
                \.ca,
                .absent(.path),
                "PEM: certificates that the peers' certificates must lead to. When left out: those"
                    + " that the machine trusts."
            ),
            Key(
                "depth",
                \.depth,
                .integer(0...16),
                "Certificates between a peer's and one of `ca`."
            ),
            Key(
                "server_name",
                \.serverName,
                .absent(.serverName),
                "Host that peers are told (SNI). When left out: the host of the peer's address; an"
                    + " IP address is not told."
            ),
            Key(
                "verify_name",
                \.verifyName,
                .absent(.serverName),
                "Host or IP address that a peer's certificate must have. When left out:"
                    + " `server_name`, or else the host of the peer's address."
            ),
            Key(
                "certificate",
                \.certificate,
                .absent(.path),
                "PEM: the certificate, and its chain, for peers that ask for one."
            ),
            Key("key", \.key, .absent(.path), "PEM: its key, without a pass phrase."),
            .minVersion(\.parameters.minVersion),
            .maxVersion(\.parameters.maxVersion),
            .ciphers(\.parameters.ciphers),
            .cipherSuites(\.parameters.cipherSuites),
            .groups(\.parameters.groups),
            Key(
                "resume",
                \.resumes,
                .words([("on", true), ("off", false)]),
                "Whether a connection takes up the session of an earlier one to the same peer."
            ),
        ],
        check: { node, settings, reader in
            reader.checkVersions(node, settings.parameters)
            for (one, other) in [("certificate", "key"), ("key", "certificate")]
            where node.member(one) != nil && node.member(other) == nil {
                reader.inside(.key(other)) {
                    $0.report("this key is missing; \(one) needs it", at: node)
                }
            }
            if !settings.verify {
                for name in ["ca", "verify_name", "depth"] {
                    guard let found = node.member(name) else { continue }
                    reader.inside(.key(name)) {
                        $0.report("nothing is verified with verify \"none\"", at: found)
                    }
                }
            }
        }
    )
}

// MARK: What both sides have

extension Key where Root: Defaulted {
    fileprivate static func minVersion(
        _ target: any WritableKeyPath<Root, TLSVersion> & Sendable
    ) -> Key {
        Key("min_version", target, .tlsVersion, "Oldest version that is spoken.")
    }

    fileprivate static func maxVersion(
        _ target: any WritableKeyPath<Root, TLSVersion> & Sendable
    ) -> Key {
        Key("max_version", target, .tlsVersion, "Newest version that is spoken.")
    }

    fileprivate static func ciphers(
        _ target: any WritableKeyPath<Root, [String]> & Sendable
    ) -> Key {
        Key(
            "ciphers",
            target,
            .list(of: .algorithm, 0...64),
            "Suites of TLS 1.2 by OpenSSL's names. Empty: those of Mozilla's \"intermediate\""
                + " profile with elliptic curves."
        )
    }

    fileprivate static func cipherSuites(
        _ target: any WritableKeyPath<Root, [String]> & Sendable
    ) -> Key {
        Key(
            "cipher_suites",
            target,
            .list(of: .algorithm, 0...64),
            "Suites of TLS 1.3. Empty: `TLS_AES_128_GCM_SHA256`, `TLS_AES_256_GCM_SHA384`,"
                + " `TLS_CHACHA20_POLY1305_SHA256`."
        )
    }

    fileprivate static func groups(
        _ target: any WritableKeyPath<Root, [String]> & Sendable
    ) -> Key {
        Key(
            "groups",
            target,
            .list(of: .algorithm, 0...64),
            "Groups of the key exchange by OpenSSL's names, preferred first. Empty:"
                + " `X25519MLKEM768` where OpenSSL has it, `X25519`, `prime256v1`, `secp384r1`."
        )
    }
}

extension ManifestReader {
    fileprivate mutating func checkVersions(_ node: Node, _ parameters: TLSParameters) {
        guard parameters.minVersion > parameters.maxVersion else { return }
        inside(.key("min_version")) {
            $0.report(
                "larger than max_version, \(quote(parameters.maxVersion.rawValue))",
                at: node.member("min_version") ?? node
            )
        }
    }
}

extension ValueKind where Value == TLSVersion {
    fileprivate static let tlsVersion = ValueKind.words(
        TLSVersion.allCases.map { ($0.rawValue, $0) }
    )
}

extension ValueKind where Value == String {
    /// A file that is looked at when everything was read.
    static let path = ValueKind.parsed(
        .init("file", expected: "the path of a file")
    ) { text, reader throws(Complaint) in
        guard !text.isEmpty, !text.utf8.contains(0) else { throw Complaint("not a file name") }
        return ManifestPath.resolve(text, in: reader.folder)
    }

    /// A host, or an IP address without brackets.
    fileprivate static let serverName = ValueKind.parsed(
        .init("host", expected: "a host such as \"example.com\", or an IP address")
    ) { text, reader throws(Complaint) in
        let isAddress =
            (try? Address("[\(text)]:1", for: .peer, folder: reader.folder)) != nil
        if !text.hasPrefix("*"), isAddress || (try? Pattern.host(text)) != nil { return text }
        throw Complaint("\(quote(text)) is not a host such as \"example.com\"")
    }

    /// The name of a suite or a group, which OpenSSL looks up later.
    fileprivate static let algorithm = ValueKind.parsed(
        .init("name", expected: "the name of an algorithm", pattern: "^[A-Za-z0-9_-]{1,64}$")
    ) { text, _ throws(Complaint) in
        let isName = text.utf8.allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
        }
        guard isName, (1...64).contains(text.utf8.count) else {
            throw Complaint("\(quote(text)) is not the name of one algorithm")
        }
        return text
    }
}
