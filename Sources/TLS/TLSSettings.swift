/// How a listener speaks TLS: `tls` of the manifest's `listeners[]`.
public struct TLSServerSettings: Sendable, Equatable {
    /// 1 to 1,024; the first is for clients that name no host, or an unknown one.
    public var certificates: [TLSCertificateFiles] = []
    public var parameters = TLSParameters()
    /// Session tickets that a client gets after a handshake: 0 to 8; 0 turns resumption off.
    public var tickets = 2
    /// How long a key of tickets is used, in milliseconds, 60,000 to 604,800,000.
    ///
    /// The two keys before it are still accepted.
    public var ticketRotation = 43_200_000
    public var clientAuth = TLSClientAuth()
    /// File for the secrets of sessions in the form that network analysers read; nil is none.
    public var keyLog: String?
    /// How often files are looked at for changes, in milliseconds; 0 is never.
    public var reloadInterval = 60_000

    public init() {}
}

/// The files of one certificate.
public struct TLSCertificateFiles: Sendable, Equatable {
    /// PEM: the certificate, then those that lead from it to the root.
    public var certificate: String
    /// PEM, without a pass phrase.
    public var key: String
    /// DER of an OCSP response to staple; nil is none.
    public var ocsp: String?

    public init(certificate: String, key: String, ocsp: String? = nil) {
        self.certificate = certificate
        self.key = key
        self.ocsp = ocsp
    }
}

/// Versions and algorithms; empty lists are the defaults of `TLSParameters.defaultCiphers` and its
/// neighbours.
public struct TLSParameters: Sendable, Equatable {
    public var minVersion = TLSVersion.v1_2
    public var maxVersion = TLSVersion.v1_3
    /// Suites of TLS 1.2 by OpenSSL's names.
    public var ciphers: [String] = []
    /// Suites of TLS 1.3 by their registered names.
    public var cipherSuites: [String] = []
    /// Groups of the key exchange by OpenSSL's names.
    public var groups: [String] = []

    public init() {}
}

/// Versions of TLS.
public enum TLSVersion: String, Sendable, Equatable, CaseIterable, Comparable {
    /// RFC 5246.
    case v1_2 = "1.2"
    /// RFC 8446.
    case v1_3 = "1.3"

    public static func < (left: Self, right: Self) -> Bool { left == .v1_2 && right == .v1_3 }
}

/// What a listener asks of its clients' certificates.
public struct TLSClientAuth: Sendable, Equatable {
    /// Whether a client's certificate is asked for.
    public enum Mode: String, Sendable, Equatable, CaseIterable {
        case off
        /// A client may have none; one that it has must be good.
        case optional
        case required
    }

    public var mode = Mode.off
    /// PEM: certificates that clients' certificates must lead to.
    public var ca: String?
    /// Certificates between the client's and the CA's at most: 0 to 16.
    public var depth = 4

    public init() {}
}

/// How an upstream's peers are spoken to: `tls` of the manifest's `upstreams.NAME`.
public struct TLSClientSettings: Sendable, Equatable {
    /// False accepts any certificate.
    public var verify = true
    /// PEM: certificates that the peer's must lead to; nil is the system's store.
    public var ca: String?
    /// Certificates between the peer's and the CA's at most: 0 to 16.
    public var depth = 8
    /// The name that the peer is told (SNI); nil is the host of its address.
    public var serverName: String?
    /// The name that the peer's certificate must have; nil is the server name.
    public var verifyName: String?
    /// PEM of the certificate that peers may ask for, and its key; both or none.
    public var certificate: String?
    public var key: String?
    public var parameters = TLSParameters()
    /// Whether sessions are resumed.
    public var resumes = true

    public init() {}
}

/// Protocols that ALPN chooses among (RFC 7301).
public enum TLSProtocol: Sendable, Equatable {
    /// No protocol was agreed on; the other side may not know ALPN.
    case none
    case h1
    /// What clients offer that want HTTP/1.0 and no more, as `curl --http1.0` does.
    case h1_0
    case h2

    /// As ALPN has it: a byte of length, and the name.
    var wireBytes: [UInt8] {
        switch self {
        case .none: []
        case .h1: [8] + Array("http/1.1".utf8)
        case .h1_0: [8] + Array("http/1.0".utf8)
        case .h2: [2] + Array("h2".utf8)
        }
    }
}

/// Why a context could not be made.
public struct TLSFailure: Error, Equatable, Sendable {
    /// One line a problem: the file or the setting, and what is wrong with it.
    public var lines: [String]

    public init(_ lines: [String]) { self.lines = lines }
}
