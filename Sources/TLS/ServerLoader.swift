internal import COpenSSL
internal import Sys

/// Makes a listener's contexts from its files.
struct ServerLoader {
    let settings: TLSServerSettings
    let protocols: [TLSProtocol]
    let tickets: TicketKeys
    let keyLog: KeyLog?
    private var trust: Trust?
    var findings = Findings()

    /// Certificates of one listener at most.
    static let certificatesMax = 1_024
    /// Seconds that a ticket is good at most (RFC 8446 §4.6.1).
    private static let ticketSecondsMax = 604_800

    private final class Trust {
        let store: OpaquePointer
        let certificates: [Certificate]

        init(_ store: OpaquePointer, _ certificates: [Certificate]) {
            self.store = store
            self.certificates = certificates
        }

        deinit { X509_STORE_free(store) }
    }

    init(
        _ settings: TLSServerSettings,
        _ protocols: [TLSProtocol],
        _ tickets: TicketKeys,
        _ keyLog: KeyLog?
    ) {
        self.settings = settings
        self.protocols = protocols
        self.tickets = tickets
        self.keyLog = keyLog
    }

    /// The context for new connections, which the caller frees; nil after problems were noted.
    mutating func load() -> OpaquePointer? {
        guard (1...Self.certificatesMax).contains(settings.certificates.count) else {
            findings.refuse("certificates", "1 to \(Self.certificatesMax) are possible")
            return nil
        }
        let identities = settings.certificates.compactMap { Identity($0, &findings) }
        loadTrust()
        guard findings.problems.isEmpty else { return nil }
        noteNames(identities)
        let wire = protocols.flatMap(\.wireBytes)
        let generation = ServerGeneration(identities, tickets, keyLog, wire)
        var found = Findings()
        let first = generation.assignNames { indexes in
            makeContext(indexes.map { identities[$0] }, generation, &found)
        }
        findings.add(found)
        guard let first else { return nil }
        generation.own(by: first)
        return first
    }

    private mutating func loadTrust() {
        guard settings.clientAuth.mode != .off else { return }
        guard let path = settings.clientAuth.ca else {
            findings.refuse("client_auth", "needs a file of CAs (ca)")
            return
        }
        trust = TrustStore.load(path, &findings).map { Trust($0.store, $0.certificates) }
    }

    /// Tells of certificates that no client gets.
    private mutating func noteNames(_ identities: [Identity]) {
        guard identities.count > 1 else { return }
        var taken: Set<String> = []
        for (index, identity) in identities.enumerated() {
            let names = identity.names.map { "\(identity.key.kind) \($0)" }
            if index > 0, names.allSatisfy({ taken.contains($0) }) {
                findings.warn(
                    identity.path,
                    names.isEmpty
                        ? "never used: it has no DNS name (subjectAltName)"
                        : "never used: earlier certificates have all its names"
                )
            }
            taken.formUnion(names)
        }
    }

    // MARK: A context

    private func makeContext(
        _ identities: [Identity],
        _ generation: ServerGeneration,
        _ findings: inout Findings
    ) -> OpaquePointer? {
        guard let context = SSL_CTX_new(TLS_server_method()) else {
            findings.refuse("tls", LibraryError.take())
            return nil
        }
        let before = findings.problems.count
        ContextOptions.apply(to: context)
        settings.parameters.apply(to: context, &findings)
        if protocols.contains(.h2), findings.problems.count == before {
            for suite in TLSParameters.suitesUnfitForHTTP2(of: context) {
                findings.refuse(
                    "ciphers",
                    "\(suite) must not be used with \"h2\" (RFC 9113 §9.2.2)"
                )
            }
        }
        for identity in identities where !identity.install(in: context, &findings) { break }
        setUpTickets(context)
        setUpClients(context)
        ServerCallbacks.install(in: context, logsKeys: keyLog != nil)
        generation.attach(to: context)
        guard findings.problems.count == before else {
            SSL_CTX_free(context)
            return nil
        }
        return context
    }

    private func setUpTickets(_ context: OpaquePointer) {
        copenssl_ctx_set_session_cache(context, Int(SSL_SESS_CACHE_OFF))
        SSL_CTX_set_num_tickets(context, settings.tickets)
        if settings.tickets == 0 { SSL_CTX_set_options(context, COPENSSL_NO_TICKET) }
        // A ticket is good while its key is: two rotations at least.
        let seconds = 2 * settings.ticketRotation / 1_000
        SSL_CTX_set_timeout(context, min(seconds, Self.ticketSecondsMax))
        var identity = sessionIdentity
        SSL_CTX_set_session_id_context(context, &identity, UInt32(identity.count))
    }

    /// What a session must have in common with the listener that takes it up: else one that began
    /// under other rules for clients' certificates would go past those of today.
    private var sessionIdentity: [UInt8] {
        var bytes = Array("sluice \(settings.clientAuth.mode) \(settings.clientAuth.depth)".utf8)
        for certificate in trust?.certificates ?? [] { bytes += certificate.sha256 }
        var digest = [UInt8](repeating: 0, count: 32)
        EVP_Digest(bytes, bytes.count, &digest, nil, EVP_sha256(), nil)
        return digest
    }

    private func setUpClients(_ context: OpaquePointer) {
        guard let trust else { return }
        let isRequired = settings.clientAuth.mode == .required
        SSL_CTX_set_verify(
            context,
            SSL_VERIFY_PEER | (isRequired ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
            nil
        )
        SSL_CTX_set_verify_depth(context, Int32(settings.clientAuth.depth))
        SSL_CTX_set1_cert_store(context, trust.store)
        for certificate in trust.certificates {
            _ = copenssl_ctx_add_client_ca(context, certificate.pointer)
        }
    }
}

extension Certificate {
    /// SHA-256 of the whole.
    var sha256: [UInt8] {
        var digest = [UInt8](repeating: 0, count: 32)
        X509_digest(pointer, EVP_sha256(), &digest, nil)
        return digest
    }
}
