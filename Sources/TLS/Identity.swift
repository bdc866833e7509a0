internal import COpenSSL
internal import Sys

/// A response of OCSP that says good.
struct Staple {
    let der: [UInt8]
    /// Seconds since 1970 from which on clients may refuse it (RFC 6960 §4.2.2.1).
    let end: UInt64

    /// - Parameter secondsLeft: as `copenssl_ocsp_check` sets it.
    init(_ der: [UInt8], secondsLeft: Int, now: UInt64 = Clock.wallSeconds()) {
        self.der = der
        let (sum, isOver) = now.addingReportingOverflow(UInt64(max(secondsLeft, 0)))
        end = isOver ? .max : sum
    }

    /// What is stapled; nil when it has run out since it was loaded, which clients would take for a
    /// fault.
    func der(at now: UInt64 = Clock.wallSeconds()) -> [UInt8]? { now < end ? der : nil }
}

/// A certificate with its chain, its key and its stapled response, as loaded from files.
struct Identity {
    /// The certificate's file, for messages.
    let path: String
    let leaf: Certificate
    let chain: [Certificate]
    let key: PrivateKey
    let names: [String]
    /// The OCSP response; nil is none.
    let ocsp: Staple?

    /// Bytes of an OCSP response at most.
    static let ocspBytesMax = 65_536

    /// Loads the files; nil after the problems were noted.
    init?(_ files: TLSCertificateFiles, _ findings: inout Findings) {
        let certificates = PEMFile.certificates(
            files.certificate,
            max: PEMFile.chainBytesMax,
            &findings
        )
        let key = PEMFile.key(files.key, &findings)
        guard let certificates, let key, let leaf = certificates.first else { return nil }
        guard X509_check_private_key(leaf.pointer, key.pointer) == 1 else {
            ERR_clear_error()
            findings.refuse(
                files.key,
                "the key does not belong to the first certificate of \(files.certificate)"
            )
            return nil
        }
        path = files.certificate
        self.leaf = leaf
        self.key = key
        chain = Array(certificates.dropFirst())
        names = leaf.names
        ocsp = Self.response(files, leaf, &findings)
        if let problem = leaf.datesProblem {
            findings.warn(path, "the certificate \(problem)")
        }
        for (index, pair) in zip(certificates, certificates.dropFirst()).enumerated()
        where !pair.0.isIssued(by: pair.1) {
            findings.warn(
                path,
                "certificate \(index + 2) is not the issuer of certificate \(index + 1);"
                    + " clients may not find the chain"
            )
        }
    }

    /// Lets a context use it beside those of other kinds of key; false after the problem was noted.
    func install(in context: OpaquePointer, _ findings: inout Findings) -> Bool {
        ERR_clear_error()
        guard SSL_CTX_use_certificate(context, leaf.pointer) == 1,
            SSL_CTX_use_PrivateKey(context, key.pointer) == 1,
            chain.allSatisfy({ copenssl_ctx_use_chain(context, $0.pointer) == 1 })
        else {
            findings.refuse(path, "the certificate can't be used: \(LibraryError.take())")
            return false
        }
        return true
    }

    /// The response to staple, or nil: one that no client would take is left out with a warning, as
    /// the certificate is good without it.
    private static func response(
        _ files: TLSCertificateFiles,
        _ leaf: Certificate,
        _ findings: inout Findings
    ) -> Staple? {
        guard let path = files.ocsp,
            let bytes = PEMFile.read(path, max: ocspBytesMax, &findings)
        else { return nil }
        var seconds = 0
        let result = copenssl_ocsp_check(bytes, bytes.count, leaf.pointer, &seconds)
        ERR_clear_error()
        switch Int(result) {
        case Int(COPENSSL_OCSP_GOOD):
            return Staple(bytes, secondsLeft: seconds)
        case Int(COPENSSL_OCSP_UNREADABLE):
            findings.refuse(path, "is not an OCSP response in DER form")
        case Int(COPENSSL_OCSP_OTHER_CERTIFICATE):
            findings.refuse(path, "the OCSP response is not about \(files.certificate)")
        case Int(COPENSSL_OCSP_NOT_SUCCESSFUL):
            findings.warn(path, "not stapled: the responder refused to answer")
        case Int(COPENSSL_OCSP_REVOKED):
            findings.warn(path, "not stapled: it says that the certificate is revoked")
        case Int(COPENSSL_OCSP_UNKNOWN):
            findings.warn(path, "not stapled: the responder does not know the certificate")
        default: findings.warn(path, "not stapled: it is out of date")
        }
        return nil
    }
}
