internal import COpenSSL

/// Digests of files.
public enum Fingerprint {
    /// SHA-256 (FIPS 180-4) as 64 lower-case hexadecimal digits.
    public static func sha256(_ bytes: [UInt8]) -> String {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 32) { digest in
            var count: UInt32 = 0
            let result = EVP_Digest(
                bytes,
                bytes.count,
                digest.baseAddress,
                &count,
                EVP_sha256(),
                nil
            )
            precondition(result == 1 && count == 32, "SHA-256 is not to be had")
            let digits = Array("0123456789abcdef".utf8)
            var text: [UInt8] = []
            for byte in digest {
                text.append(digits[Int(byte >> 4)])
                text.append(digits[Int(byte & 15)])
            }
            return String(decoding: text, as: UTF8.self)
        }
    }
}
