internal import COpenSSL

/// Makes an upstream's context from its files.
struct ClientLoader {
    private let settings: TLSClientSettings
    private let protocols: [TLSProtocol]
    var findings = Findings()

    init(_ settings: TLSClientSettings, _ protocols: [TLSProtocol]) {
        self.settings = settings
        self.protocols = protocols
    }

    /// The context, which the caller frees; nil after problems were noted.
    mutating func load() -> OpaquePointer? {
        guard let context = SSL_CTX_new(TLS_client_method()) else {
            findings.refuse("tls", LibraryError.take())
            return nil
        }
        ContextOptions.apply(to: context)
        settings.parameters.apply(to: context, &findings)
        setUpVerification(context)
        setUpCertificate(context)
        setUpSessions(context)
        let wire = protocols.flatMap(\.wireBytes)
        if !wire.isEmpty, SSL_CTX_set_alpn_protos(context, wire, UInt32(wire.count)) != 0 {
            findings.refuse("protocol", LibraryError.take())
        }
        guard findings.problems.isEmpty else {
            SSL_CTX_free(context)
            return nil
        }
        return context
    }

    private mutating func setUpVerification(_ context: OpaquePointer) {
        guard settings.verify else {
            SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nil)
            return
        }
        // An empty name would turn off the comparison of names in OpenSSL.
        if settings.serverName == "" { findings.refuse("server_name", "is empty") }
        if settings.verifyName == "" { findings.refuse("verify_name", "is empty") }
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
        SSL_CTX_set_verify_depth(context, Int32(settings.depth))
        if let path = settings.ca {
            guard let trust = TrustStore.load(path, &findings) else { return }
            SSL_CTX_set1_cert_store(context, trust.store)
            X509_STORE_free(trust.store)
        } else {
            TrustStore.useSystem(context, &findings)
        }
    }

    private mutating func setUpCertificate(_ context: OpaquePointer) {
        guard let certificate = settings.certificate, let key = settings.key else {
            if settings.certificate != nil { findings.refuse("key", "is missing") }
            if settings.key != nil { findings.refuse("certificate", "is missing") }
            return
        }
        let files = TLSCertificateFiles(certificate: certificate, key: key)
        guard let identity = Identity(files, &findings) else { return }
        _ = identity.install(in: context, &findings)
    }

    /// Sessions go to the slot of the connection, never to a table of OpenSSL's.
    private func setUpSessions(_ context: OpaquePointer) {
        guard settings.resumes else {
            copenssl_ctx_set_session_cache(context, Int(SSL_SESS_CACHE_OFF))
            return
        }
        copenssl_ctx_set_session_cache(
            context,
            Int(SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL)
        )
        SSL_CTX_sess_set_new_cb(context) { ssl, session in
            // Safe: a stream sets its transport before the handshake, and outlives the connection.
            guard let session,
                let transport = SSL_get_ex_data(ssl, 0)?.assumingMemoryBound(to: Transport.self),
                let slot = transport.pointee.slot
            else { return 0 }
            // OpenSSL notes the name only when the server says that it has heard it.
            if let name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) {
                SSL_SESSION_set1_hostname(session, name)
            }
            slot.pointee.keep(session, owner: transport.pointee.slotOwner)
            return 1
        }
    }
}
