internal import COpenSSL
internal import Sys

/// A public key of Ed25519 (RFC 8032), which says whether a signature is good.
public final class Ed25519Key: @unchecked Sendable {
    // Safe: written in `init` only; OpenSSL counts its references atomically and verifying does not
    // change it.
    private let key: OpaquePointer

    /// Bytes of a key, and of a signature.
    public static let keyBytes = 32
    public static let signatureBytes = 64

    private init(taking key: OpaquePointer) { self.key = key }

    deinit { EVP_PKEY_free(key) }

    /// A key from its 32 bytes.
    ///
    /// - Throws: what is wrong with them, as the end of "WHAT: ".
    public convenience init(bytes: [UInt8]) throws(TLSFailure) {
        guard bytes.count == Self.keyBytes,
            let key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nil, bytes, bytes.count)
        else {
            ERR_clear_error()
            throw TLSFailure(["no Ed25519 key: \(Self.keyBytes) bytes are wanted"])
        }
        self.init(taking: key)
    }

    /// A key from a file with one in PEM form (`-----BEGIN PUBLIC KEY-----`, RFC 8410).
    ///
    /// - Throws: what is wrong with the file; the line names it.
    public convenience init(file: String) throws(TLSFailure) {
        var findings = Findings()
        guard let key = PEMFile.publicKey(file, &findings) else {
            throw TLSFailure(findings.problems)
        }
        guard EVP_PKEY_get_id(key) == EVP_PKEY_ED25519 else {
            EVP_PKEY_free(key)
            throw TLSFailure(["\(file): a key of another kind than Ed25519"])
        }
        self.init(taking: key)
    }

    /// Whether the key's owner has signed these bytes (pure Ed25519, without a context).
    public func accepts(_ signature: [UInt8], of bytes: [UInt8]) -> Bool {
        guard signature.count == Self.signatureBytes, let context = EVP_MD_CTX_new() else {
            return false
        }
        defer {
            EVP_MD_CTX_free(context)
            ERR_clear_error()
        }
        // 1 is good; 0 is not, and all else is an error.
        return EVP_DigestVerifyInit(context, nil, nil, nil, key) == 1
            && EVP_DigestVerify(context, signature, signature.count, bytes, bytes.count) == 1
    }
}
