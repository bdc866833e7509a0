/// Bounds that the parsers keep.
///
/// A message over a bound is refused, never cut.
public struct HeadLimits: Sendable {
    /// Bytes of a whole head, its last empty line included: 256 to 65,535, because offsets are 16
    /// bits wide.
    ///
    /// Over it: 431 for a request, 502 for a response.
    public var headBytesMax = 32_768
    /// Fields in a head: 1 to 1,024.
    ///
    /// Over it: 431.
    public var fieldCountMax = 100
    /// Bytes of a request target: 1 to 65,000.
    ///
    /// Over it: 414.
    public var targetBytesMax = 8_192

    public init() {}
}

/// Bounds of the chunked coding that need no setting.
public enum ChunkLimits {
    /// Bytes of one chunk-size line, extensions included (RFC 9112 §7.1.1 asks for a limit).
    public static let lineBytesMax = 1_024
    /// Bytes of all extensions of one body.
    public static let extensionBytesMax = 16_384
    /// Bytes of a trailer section, its last empty line included.
    public static let trailerBytesMax = 8_192
    /// Fields in a trailer section.
    public static let trailerFieldsMax = 64
}
