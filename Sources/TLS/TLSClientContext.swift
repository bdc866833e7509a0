internal import COpenSSL
internal import Synchronization

/// How the peers of one upstream are spoken to, for all workers.
public final class TLSClientContext: Sendable {
    private let settings: TLSClientSettings
    private let protocols: [TLSProtocol]
    private let cell: ContextCell
    private let files: Mutex<WatchedFiles>
    /// What is not as it should be, but was loaded: a line each, with the file.
    public let warnings: [String]

    /// Loads all files.
    ///
    /// - Parameter protocols: what ALPN offers, preferred first; empty sends none.
    /// - Throws: every problem that was found.
    public init(
        _ settings: TLSClientSettings,
        protocols: [TLSProtocol]
    ) throws(TLSFailure) {
        self.settings = settings
        self.protocols = protocols
        files = Mutex(Self.watched(settings))
        var loader = ClientLoader(settings, protocols)
        guard let context = loader.load() else { throw TLSFailure(loader.findings.problems) }
        warnings = loader.findings.warnings
        cell = ContextCell(context)
    }

    var resumes: Bool { settings.resumes }

    // MARK: Reload

    private static func watched(_ settings: TLSClientSettings) -> WatchedFiles {
        WatchedFiles([settings.ca, settings.certificate, settings.key].compactMap(\.self))
    }

    /// Whether the files are those that it was made of. [any thread]
    public var isCurrent: Bool { !files.withLock { $0.haveChanged } }

    /// Reads all files again, and uses them for new connections: all, or none. [any thread]
    ///
    /// Sessions of before are not resumed: they were verified by other files.
    ///
    /// - Returns: warnings, a line each.
    /// - Throws: every problem that was found; what was used before still is.
    @discardableResult
    public func reload() throws(TLSFailure) -> [String] {
        let now = Self.watched(settings)
        files.withLock { $0 = now }
        var loader = ClientLoader(settings, protocols)
        guard let context = loader.load() else { throw TLSFailure(loader.findings.problems) }
        cell.replace(with: context)
        return loader.findings.warnings
    }

    /// Reads all files again when one of them has changed since the last time. [any thread]
    ///
    /// - Returns: nil when nothing has changed, else warnings.
    /// - Throws: as `reload`.
    @discardableResult
    public func reloadIfChanged() throws(TLSFailure) -> [String]? {
        guard files.withLock({ $0.haveChanged }) else { return nil }
        return try reload()
    }

    // MARK: A connection

    /// A connection and whose names it goes by.
    struct Connection {
        var ssl: OpaquePointer
        /// Number of the files' version, for sessions.
        var id: UInt64
        /// Verification is on, and there is nothing to verify against.
        var lacksName: Bool
    }

    /// A new connection; nil without memory.
    func makeConnection(
        peer: UnsafePointer<CChar>?,
        _ slot: UnsafeMutablePointer<TLSSessionSlot>?
    ) -> Connection? {
        guard let (ssl, id) = cell.makeConnection() else { return nil }
        let named =
            if let name = settings.serverName {
                name.withCString { PeerName.announce($0, ssl) }
            } else {
                peer.map { PeerName.announce($0, ssl) } ?? true
            }
        var isExpected = true
        if settings.verify {
            isExpected =
                if let name = settings.verifyName ?? settings.serverName {
                    name.withCString { PeerName.expect($0, ssl) }
                } else {
                    peer.map { PeerName.expect($0, ssl) } ?? false
                }
        }
        if settings.resumes, let slot { slot.pointee.offer(to: ssl, owner: id) }
        return Connection(ssl: ssl, id: id, lacksName: !named || !isExpected)
    }
}

extension TLSClientContext {
    /// Takes HTTP/2 out of what ALPN offers on one connection, for a request that it can't carry.
    func offerHTTP1(_ ssl: OpaquePointer) {
        guard protocols.contains(.h2) else { return }
        // Only without memory it fails; then the peer chooses what the request is not made for.
        let wire = TLSProtocol.h1.wireBytes
        SSL_set_alpn_protos(ssl, wire, UInt32(wire.count))
    }
}

/// A session of one peer, for the next connection to it: a worker keeps one for each peer.
///
/// Only for one context and one peer, and for one thread.
public struct TLSSessionSlot {
    var session: OpaquePointer?
    /// The files' version that the session began with.
    var owner: UInt64 = 0

    public init() {}

    /// Forgets the session; also what must be called before the slot's memory is given back.
    public mutating func clear() {
        if let session { SSL_SESSION_free(session) }
        session = nil
    }

    /// Whether there is one.
    public var isFilled: Bool { session != nil }

    /// Keeps a session that OpenSSL has counted for us.
    mutating func keep(_ session: OpaquePointer, owner: UInt64) {
        clear()
        self.session = session
        self.owner = owner
    }

    /// Lets a connection take up the session, if it is of the same files and the same server name:
    /// a session that is taken up brings its verification along.
    mutating func offer(to ssl: OpaquePointer, owner: UInt64) {
        guard let session else { return }
        guard self.owner == owner, SSL_SESSION_is_resumable(session) == 1,
            PeerName.areEqual(
                SSL_SESSION_get0_hostname(session),
                SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)
            )
        else {
            clear()
            return
        }
        SSL_set_session(ssl, session)
    }
}

/// Names that a peer is told, and that its certificate must have.
enum PeerName {
    /// Tells the peer a host; an IP address is none (RFC 6066 §3).
    ///
    /// - Returns: false for a name that can't be told.
    static func announce(_ name: UnsafePointer<CChar>, _ ssl: OpaquePointer) -> Bool {
        if name.pointee == 0 { return false }
        if let address = a2i_IPADDRESS(name) {
            ASN1_OCTET_STRING_free(address)
            return true
        }
        return copenssl_set_host_name(ssl, name) == 1
    }

    /// Lets only a certificate of this host, or IP address, pass.
    ///
    /// - Returns: false for a name that nothing can be verified against.
    static func expect(_ name: UnsafePointer<CChar>, _ ssl: OpaquePointer) -> Bool {
        if name.pointee == 0 { return false }
        guard let parameters = SSL_get0_param(ssl) else { return false }
        if X509_VERIFY_PARAM_set1_ip_asc(parameters, name) == 1 { return true }
        // Names stand in the subjectAltName, and a wildcard is a whole label (RFC 9525 §6.3).
        let flags = X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT
        X509_VERIFY_PARAM_set_hostflags(parameters, UInt32(flags))
        return X509_VERIFY_PARAM_set1_host(parameters, name, 0) == 1
            && acceptUnderscore(name, parameters)
    }

    /// Lets a wildcard stand for a first label with an underscore too.
    ///
    /// Such hosts occur inside of networks, and OpenSSL's wildcards do not match them. A label of
    /// one hyphen is no host's name, so that the second name matches wildcards alone.
    private static func acceptUnderscore(
        _ name: UnsafePointer<CChar>,
        _ parameters: OpaquePointer
    ) -> Bool {
        var dot = 0
        var hasUnderscore = false
        while name[dot] != 0, name[dot] != CChar(UInt8(ascii: ".")) {
            hasUnderscore = hasUnderscore || name[dot] == CChar(UInt8(ascii: "_"))
            dot += 1
        }
        guard hasUnderscore, name[dot] != 0 else { return true }
        return X509_VERIFY_PARAM_add1_host(parameters, "-" + String(cString: name + dot), 0) == 1
    }

    /// Whether both are the same bytes, or both none.
    static func areEqual(_ one: UnsafePointer<CChar>?, _ other: UnsafePointer<CChar>?) -> Bool {
        guard let one, let other else { return one == nil && other == nil }
        var index = 0
        while one[index] == other[index] {
            if one[index] == 0 { return true }
            index += 1
        }
        return false
    }
}
