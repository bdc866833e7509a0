/// Why a chunked body was refused (RFC 9112 §7.1).
public enum ChunkError: UInt8, Error, CaseIterable, Sendable {
    /// No hexadecimal digit where a size must stand, or something after it that is no extension.
    case badSize
    /// More than 2^63 - 1, or more than 16 digits.
    case sizeTooLarge
    /// A chunk-size line over `ChunkLimits.lineBytesMax`.
    case lineTooLong
    /// An extension that is not of the form of RFC 9112 §7.1.1.
    case badExtension
    /// Extensions of one body over `ChunkLimits.extensionBytesMax`.
    case extensionsTooLong
    /// A bare CR or LF, or chunk data that CRLF does not follow.
    case badLineEnd
}
