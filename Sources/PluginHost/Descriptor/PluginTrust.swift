import Sys

/// Which files of libraries are taken.
public struct PluginTrust: Sendable {
    /// Whether a file is refused that others than root and the process's user could have changed
    /// (`PathGuard`).
    public var checksPermissions: Bool
    /// Whether a signature is good for a file's bytes; nil when none is asked for.
    public var verify: (@Sendable (_ signature: [UInt8], _ bytes: [UInt8]) -> Bool)?
    /// SHA-256 in lower-case hex, where there is a faster one than `SHA256`.
    public var digest: @Sendable (_ bytes: [UInt8]) -> String = { SHA256.hexDigest($0) }

    public init(checksPermissions: Bool) {
        self.checksPermissions = checksPermissions
    }

    /// Every file: whoever names it on a command line means it.
    public static let any = PluginTrust(checksPermissions: false)
}

extension PluginFile {
    /// What follows the library's path in that of its signature.
    public static let signatureSuffix = ".sig"
    /// Bytes of an Ed25519 signature (RFC 8032 §5.1.6).
    static let signatureBytes = 64
    /// Bytes of its file: base64 and an end of line.
    private static let signatureFileBytesMax = 90

    /// Looks for a signature of these very bytes beside the file.
    ///
    /// The signature's file needs no protection: nothing but the right bytes in it will do.
    func checkSignature(
        _ verify: (_ signature: [UInt8], _ bytes: [UInt8]) -> Bool
    ) throws(PluginError) {
        let place = path + Self.signatureSuffix
        guard let signature = Self.signature(try Self.readSignature(place)) else {
            throw PluginError(
                "\(place): no Ed25519 signature: \(Self.signatureBytes) bytes are wanted, or their "
                    + "base64"
            )
        }
        guard verify(signature, bytes) else {
            throw PluginError(
                "\(path): its signature (\(place)) is not of this file by one of the trusted_keys"
            )
        }
    }

    private static func readSignature(_ place: String) throws(PluginError) -> [UInt8] {
        guard File.isFile(place) || File.isFolder(place) || !File.exists(place) else {
            throw PluginError("\(place): not a file that can be read")
        }
        do throws(Errno) {
            return try File.readAll(place, bytesMax: signatureFileBytesMax)
        } catch {
            throw PluginError("\(place): the signature can't be read: \(error)")
        }
    }

    /// The bytes of a signature as they are, or from base64.
    static func signature(_ text: [UInt8]) -> [UInt8]? {
        if text.count == signatureBytes { return text }
        let end = text.last == UInt8(ascii: "\n") ? text.count - 1 : text.count
        guard let bytes = Base64.bytes(text[..<end]), bytes.count == signatureBytes else {
            return nil
        }
        return bytes
    }
}
