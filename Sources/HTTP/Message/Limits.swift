/// Bounds that the parsers keep.
///
/// A message over a bound is refused, never cut.
package struct HeadLimits: Sendable {
    /// Bytes of a whole head, its last empty line included: 256 to 65,535, because offsets are 16
    /// bits wide.
    ///
    /// Over it: 431 for a request, 502 for a response.
    package var headBytesMax = 32_768
    /// Fields in a head: 1 to 1,024.
    ///
    /// Over it: 431.
    package var fieldCountMax = 100
    /// Bytes of a request target: 1 to 65,000.
    ///
    /// Over it: 414.
    package var targetBytesMax = 8_192

    package init() {}
}

/// Bounds of the chunked coding that need no setting.
package enum ChunkLimits {
    /// Bytes of one chunk-size line, extensions included (RFC 9112 §7.1.1 asks for a limit).
    package static let lineBytesMax = 1_024
    /// Bytes of all extensions of one body.
    package static let extensionBytesMax = 16_384
    /// Bytes of a trailer section, its last empty line included.
    package static let trailerBytesMax = 8_192
    /// Fields in a trailer section.
    package static let trailerFieldsMax = 64
}
