internal import COpenSSL

/// What is known of a connection once its handshake is done.
///
/// Texts are NUL-terminated; those that are not fixed live as long as the stream.
extension TLSStream {
    /// "TLSv1.2" or "TLSv1.3".
    public var version: UnsafePointer<CChar> { SSL_get_version(ssl) }

    /// 0x0303 for TLS 1.2, 0x0304 for TLS 1.3.
    public var versionNumber: UInt32 { UInt32(truncatingIfNeeded: SSL_version(ssl)) }

    /// The suite by OpenSSL's name, as in "TLS_AES_128_GCM_SHA256".
    public var cipher: UnsafePointer<CChar> { copenssl_cipher(ssl) }

    /// The host that the client named (RFC 6066 §3), as sent; nil when it named none.
    ///
    /// On the client's side, what it sent.
    public var serverName: UnsafePointer<CChar>? {
        SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)
    }

    /// What ALPN agreed on.
    public var alpn: TLSProtocol {
        var bytes: UnsafePointer<UInt8>?
        var count: UInt32 = 0
        SSL_get0_alpn_selected(ssl, &bytes, &count)
        // Only names that we offered or chose can be selected: those of `TLSProtocol`.
        guard let bytes else { return .none }
        return switch count {
        case 2: .h2
        // Safe: the name has 8 bytes.
        case 8: bytes[7] == UInt8(ascii: "0") ? .h1_0 : .h1
        default: .none
        }
    }

    /// Whether the handshake took up an earlier session.
    public var isResumed: Bool { SSL_session_reused(ssl) == 1 }

    /// Why the handshake or a later call failed, in words for the log; nil while nothing has.
    public var failure: UnsafePointer<CChar>? { reason }

    /// Whether the other side has shown a certificate that was verified.
    ///
    /// A session that was taken up brings the answer of its first handshake.
    public var isPeerVerified: Bool {
        SSL_get0_peer_certificate(ssl) != nil && SSL_get_verify_result(ssl) == Int(X509_V_OK)
            && SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER != 0
    }

    /// Texts of a certificate for logs and fields.
    public enum CertificateText: Sendable, CaseIterable {
        /// The subject's name in the form of RFC 2253.
        case subject
        /// The issuer's name in the form of RFC 2253.
        case issuer
        /// The serial number in upper-case hex.
        case serial
        /// SHA-256 of the whole certificate in lower-case hex.
        case sha256
    }

    /// Writes a fact of the certificate that the other side has shown.
    ///
    /// - Returns: bytes written; 0 when it has shown none, or the text is longer than `room`: a
    ///   name that is cut could be taken for another.
    public func write(
        _ text: CertificateText,
        to: UnsafeMutablePointer<UInt8>,
        room: Int
    ) -> Int {
        guard let certificate = SSL_get0_peer_certificate(ssl) else { return 0 }
        defer { forgetErrors() }
        switch text {
        case .subject: return Self.write(X509_get_subject_name(certificate), to, room)
        case .issuer: return Self.write(X509_get_issuer_name(certificate), to, room)
        case .serial: return Self.writeSerial(certificate, to, room)
        case .sha256: return Self.writeDigest(certificate, to, room)
        }
    }

    private static func write(
        _ name: OpaquePointer?,
        _ to: UnsafeMutablePointer<UInt8>,
        _ room: Int
    ) -> Int {
        guard let bio = BIO_new(BIO_s_mem()) else { return 0 }
        defer { BIO_free(bio) }
        let count = Int(X509_NAME_print_ex(bio, name, 0, COPENSSL_NAME_FORM))
        guard count > 0, count <= room else { return 0 }
        return Int(BIO_read(bio, to, Int32(count)))
    }

    private static func writeSerial(
        _ certificate: OpaquePointer,
        _ to: UnsafeMutablePointer<UInt8>,
        _ room: Int
    ) -> Int {
        guard let number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nil) else {
            return 0
        }
        defer { BN_free(number) }
        guard let hex = BN_bn2hex(number) else { return 0 }
        defer { CRYPTO_free(hex, nil, 0) }
        var count = 0
        while hex[count] != 0 { count += 1 }
        guard count <= room else { return 0 }
        // Safe: as many bytes as were just counted.
        UnsafeMutableRawPointer(to).copyMemory(from: hex, byteCount: count)
        return count
    }

    private static func writeDigest(
        _ certificate: OpaquePointer,
        _ to: UnsafeMutablePointer<UInt8>,
        _ room: Int
    ) -> Int {
        guard room >= 64 else { return 0 }
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 64) { digest in
            var count: UInt32 = 0
            guard X509_digest(certificate, EVP_sha256(), digest.baseAddress, &count) == 1 else {
                return 0
            }
            for (index, byte) in digest.prefix(Int(count)).enumerated() {
                to[2 * index] = hexDigit(byte >> 4)
                to[2 * index + 1] = hexDigit(byte & 15)
            }
            return 2 * Int(count)
        }
    }

    private static func hexDigit(_ value: UInt8) -> UInt8 {
        value < 10 ? 48 + value : 87 + value
    }
}
