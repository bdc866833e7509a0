internal import COpenSSL
internal import Sys

/// Reads files of certificates and keys.
enum PEMFile {
    /// Bytes of a file at most.
    ///
    /// A chain must fit `TLSOutput`, and the system's store is below it.
    static let bytesMax = 1_048_576
    /// Bytes of one chain at most, in PEM: more than clients take.
    static let chainBytesMax = 131_072

    /// The bytes of a file, or nil after the problem was noted.
    static func read(_ path: String, max: Int, _ findings: inout Findings) -> [UInt8]? {
        guard !File.exists(path) || File.isFile(path) else {
            findings.refuse(path, "is not a file")
            return nil
        }
        do throws(Errno) {
            return try File.readAll(path, bytesMax: max)
        } catch {
            findings.refuse(
                path,
                error.code == 27 ? "is larger than \(max) bytes" : error.description
            )
            return nil
        }
    }

    /// The certificates of a file in its order, at least one; nil after the problem was noted.
    static func certificates(
        _ path: String,
        max: Int,
        _ findings: inout Findings
    ) -> [Certificate]? {
        guard let bytes = read(path, max: max, &findings) else { return nil }
        var found: [Certificate] = []
        ERR_clear_error()
        let isWhole = withBIO(bytes) { bio in
            while let certificate = PEM_read_bio_X509(bio, nil, nil, nil) {
                found.append(Certificate(taking: certificate))
            }
            let error = ERR_peek_last_error()
            return ERR_GET_LIB(error) == ERR_LIB_PEM
                && ERR_GET_REASON(error) == PEM_R_NO_START_LINE
        }
        defer { ERR_clear_error() }
        if !isWhole {
            let reason = LibraryError.take()
            findings.refuse(path, "certificate \(found.count + 1) can't be read: \(reason)")
            return nil
        }
        if found.isEmpty {
            findings.refuse(path, "has no certificate in PEM form (-----BEGIN CERTIFICATE-----)")
            return nil
        }
        return found
    }

    /// The private key of a file, or nil after the problem was noted.
    static func key(_ path: String, _ findings: inout Findings) -> PrivateKey? {
        guard var bytes = read(path, max: chainBytesMax, &findings) else { return nil }
        defer { bytes.withUnsafeMutableBytes { OPENSSL_cleanse($0.baseAddress, $0.count) } }
        if let version = FileVersion(path) {
            if version.isWritableByOthers {
                findings.refuse(path, "everybody may write this key; chmod 600 it")
                return nil
            }
            if version.isReadableByOthers {
                findings.warn(path, "everybody on this machine may read this key; chmod 600 it")
            }
        }
        ERR_clear_error()
        let key = withBIO(bytes) { bio in
            // Without this OpenSSL would ask the terminal.
            PEM_read_bio_PrivateKey(bio, nil, { _, _, _, _ in -1 }, nil)
        }
        defer { ERR_clear_error() }
        if let key { return PrivateKey(taking: key) }
        if contains(bytes, "ENCRYPTED") {
            findings.refuse(
                path,
                "the key has a pass phrase; take it off with: openssl pkey -in FILE -out NEW"
            )
        } else if !contains(bytes, "PRIVATE KEY-----") {
            findings.refuse(path, "has no key in PEM form (-----BEGIN PRIVATE KEY-----)")
        } else {
            findings.refuse(path, "the key can't be read: \(LibraryError.take())")
        }
        return nil
    }

    /// The public key of a file, which the caller frees; nil after the problem was noted.
    static func publicKey(_ path: String, _ findings: inout Findings) -> OpaquePointer? {
        guard let bytes = read(path, max: chainBytesMax, &findings) else { return nil }
        ERR_clear_error()
        defer { ERR_clear_error() }
        let key = withBIO(bytes) { PEM_read_bio_PUBKEY($0, nil, nil, nil) }
        if key == nil {
            findings.refuse(path, "has no public key in PEM form (-----BEGIN PUBLIC KEY-----)")
        }
        return key
    }

    private static func withBIO<Value>(_ bytes: [UInt8], _ body: (OpaquePointer?) -> Value) -> Value
    {
        bytes.withUnsafeBytes { bytes in
            // Safe: a BIO over memory only reads, and is freed before the bytes are.
            let bio = BIO_new_mem_buf(bytes.baseAddress, Int32(bytes.count))
            defer { BIO_free(bio) }
            return body(bio)
        }
    }

    private static func contains(_ bytes: [UInt8], _ text: StaticString) -> Bool {
        let word = Array(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
        return bytes.indices.contains { bytes[$0...].starts(with: word) }
    }
}

/// A private key that is freed with its last user.
final class PrivateKey {
    let pointer: OpaquePointer

    init(taking pointer: OpaquePointer) { self.pointer = pointer }

    deinit { EVP_PKEY_free(pointer) }

    /// Equal for keys of one kind, of which a certificate's name may have one each.
    var kind: Int32 { EVP_PKEY_get_base_id(pointer) }
}

/// A certificate that is freed with its last user.
final class Certificate {
    let pointer: OpaquePointer

    init(taking pointer: OpaquePointer) { self.pointer = pointer }

    deinit { X509_free(pointer) }

    /// Longest host name (RFC 1035 §2.3.4).
    private static let nameBytesMax = 253

    /// DNS names of the subjectAltName in lower case; names that no client can mean are left out.
    var names: [String] {
        guard let list = copenssl_names(pointer) else { return [] }
        defer { copenssl_names_free(list) }
        var names: [String] = []
        var index: Int32 = 0
        var bytes: UnsafePointer<UInt8>?
        while true {
            let count = copenssl_name(list, index, &bytes)
            if count < 0 { return names }
            index += 1
            guard let bytes, (1...Self.nameBytesMax).contains(count) else { continue }
            // Safe: OpenSSL gave the length with the address.
            let name = UnsafeBufferPointer(start: bytes, count: count)
            guard name.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else { continue }
            names.append(String(decoding: name, as: UTF8.self).lowercased())
        }
    }

    /// What is wrong with the time of its use; nil when nothing is.
    var datesProblem: String? {
        if X509_cmp_current_time(X509_get0_notAfter(pointer)) < 0 { return "has expired" }
        if X509_cmp_current_time(X509_get0_notBefore(pointer)) > 0 { return "is not valid yet" }
        return nil
    }

    /// Whether the other one is its issuer.
    func isIssued(by other: Certificate) -> Bool {
        X509_check_issued(other.pointer, pointer) == X509_V_OK
    }
}
