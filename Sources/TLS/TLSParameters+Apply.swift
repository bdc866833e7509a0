internal import COpenSSL

// Versions and algorithms that both sides use.
extension TLSParameters {
    /// Mozilla's "intermediate" profile (version 5.7), without its three suites of finite-field
    /// Diffie-Hellman: they cost the server far more than the client, which asks for them freely.
    public static let defaultCiphers = [
        "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305",
    ]
    /// The same profile's suites of TLS 1.3.
    public static let defaultCipherSuites = [
        "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256",
    ]
    /// The same profile's groups; before them the hybrid one that OpenSSL knows from 3.5 on.
    public static let defaultGroups = ["X25519", "prime256v1", "secp384r1"]
    static let hybridGroup = "X25519MLKEM768"

    /// Sets a context up; what it does not take is noted.
    func apply(to context: OpaquePointer, _ findings: inout Findings) {
        ERR_clear_error()
        defer { ERR_clear_error() }
        if minVersion > maxVersion {
            findings.refuse("min_version", "is larger than max_version")
            return
        }
        guard copenssl_ctx_set_versions(context, minVersion.number, maxVersion.number) == 1 else {
            findings.refuse("min_version", LibraryError.take())
            return
        }
        for (key, names) in [
            ("ciphers", ciphers), ("cipher_suites", cipherSuites), ("groups", groups),
        ]
        where Set(names).count < names.count {
            findings.refuse(key, "a name occurs twice")
            return
        }
        applyCiphers(to: context, &findings)
        applyGroups(to: context, &findings)
    }

    private func applyCiphers(to context: OpaquePointer, _ findings: inout Findings) {
        // OpenSSL leaves unknown names of a list out without a word, so each is tried alone.
        for name in ciphers where !Self.isSuite(name, of: context) {
            findings.refuse("ciphers", "\"\(name)\" is not a suite of TLS 1.2 that OpenSSL knows")
        }
        for name in cipherSuites where SSL_CTX_set_ciphersuites(context, name) != 1 {
            findings.refuse("cipher_suites", "\"\(name)\" is not a suite of TLS 1.3")
        }
        guard findings.problems.isEmpty else { return }
        let suites = cipherSuites.isEmpty ? Self.defaultCipherSuites : cipherSuites
        let list = ciphers.isEmpty ? Self.defaultCiphers : ciphers
        if SSL_CTX_set_ciphersuites(context, suites.joined(separator: ":")) != 1 {
            findings.refuse("cipher_suites", LibraryError.take())
        }
        if SSL_CTX_set_cipher_list(context, list.joined(separator: ":")) != 1 {
            findings.refuse("ciphers", LibraryError.take())
        }
    }

    /// Whether the word is the name of one suite, and not of a set of them, or an order.
    private static func isSuite(_ name: String, of context: OpaquePointer) -> Bool {
        guard SSL_CTX_set_cipher_list(context, name) == 1 else { return false }
        return names(of: context).contains(name)
    }

    /// OpenSSL's names of a context's suites.
    private static func names(of context: OpaquePointer) -> [String] {
        (0..<copenssl_cipher_count(context)).compactMap { index in
            SSL_CIPHER_get_name(copenssl_cipher_at(context, index)).map { String(cString: $0) }
        }
    }

    /// Suites that HTTP/2 must not be spoken over (RFC 9113 §9.2.2): those without ephemeral keys
    /// or without authenticated encryption.
    static func suitesUnfitForHTTP2(of context: OpaquePointer) -> [String] {
        (0..<copenssl_cipher_count(context)).compactMap { index in
            guard let cipher = copenssl_cipher_at(context, index) else { return nil }
            let exchange = SSL_CIPHER_get_kx_nid(cipher)
            let isEphemeral = [NID_kx_any, NID_kx_ecdhe, NID_kx_dhe].contains(exchange)
            if isEphemeral, SSL_CIPHER_is_aead(cipher) == 1 { return nil }
            return SSL_CIPHER_get_name(cipher).map { String(cString: $0) }
        }
    }

    private func applyGroups(to context: OpaquePointer, _ findings: inout Findings) {
        if groups.isEmpty {
            let plain = Self.defaultGroups.joined(separator: ":")
            if copenssl_ctx_set_groups(context, Self.hybridGroup + ":" + plain) == 1 { return }
            if copenssl_ctx_set_groups(context, plain) != 1 {
                findings.refuse("groups", LibraryError.take())
            }
            return
        }
        for name in groups where copenssl_ctx_set_groups(context, name) != 1 {
            findings.refuse("groups", "\"\(name)\" is not a group that OpenSSL knows")
        }
        guard findings.problems.isEmpty else { return }
        if copenssl_ctx_set_groups(context, groups.joined(separator: ":")) != 1 {
            findings.refuse("groups", LibraryError.take())
        }
    }
}

extension TLSVersion {
    var number: Int32 {
        switch self {
        case .v1_2: TLS1_2_VERSION
        case .v1_3: TLS1_3_VERSION
        }
    }
}
