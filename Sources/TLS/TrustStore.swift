internal import COpenSSL
internal import Sys

/// Certificates that other ones must lead to.
enum TrustStore {
    /// The certificates of a file, each trusted by itself, also one that is no root.
    ///
    /// - Returns: the store, which the caller frees, and its certificates; nil after the problem
    ///   was noted.
    static func load(
        _ path: String,
        _ findings: inout Findings
    ) -> (store: OpaquePointer, certificates: [Certificate])? {
        let certificates = PEMFile.certificates(path, max: PEMFile.bytesMax, &findings)
        guard let certificates, let store = X509_STORE_new() else { return nil }
        for certificate in certificates {
            X509_STORE_add_cert(store, certificate.pointer)
            if let problem = certificate.datesProblem {
                findings.warn(path, "a certificate in it \(problem)")
            }
        }
        X509_STORE_set_flags(store, UInt(X509_V_FLAG_PARTIAL_CHAIN))
        ERR_clear_error()
        return (store, certificates)
    }

    /// Lets a context trust what the machine trusts.
    static func useSystem(_ context: OpaquePointer, _ findings: inout Findings) {
        let file = X509_get_default_cert_file().map { String(cString: $0) } ?? ""
        let folder = X509_get_default_cert_dir().map { String(cString: $0) } ?? ""
        let isFilled =
            Process.environment("SSL_CERT_FILE") != nil
            || Process.environment("SSL_CERT_DIR") != nil || File.exists(file)
            || File.entries(folder)?.isEmpty == false
        if !isFilled || SSL_CTX_set_default_verify_paths(context) != 1 {
            findings.refuse(
                "ca",
                "this machine has no certificates of CAs in \(folder); install them"
                    + " (ca-certificates) or name a file"
            )
        }
        ERR_clear_error()
    }
}
