internal import Sys

/// One worker's room for what is encrypted and not sent yet.
///
/// Empty between two calls of a stream, so that all streams of the worker share it.
public struct TLSOutput: ~Copyable {
    /// Bytes of ciphertext: a batch, with what records add to it, and a flight of a handshake.
    public static let capacity = 327_680
    /// Plaintext of one batch.
    ///
    /// In records of `smallRecordBytes` it grows by a fiftieth at most, so that it always fits.
    static let batchBytesMax = 262_144
    /// Bytes of a record's plaintext at most (RFC 8446 §5.1).
    static let recordBytesMax = 16_384
    /// Plaintext of a record that fits a TCP segment: 1,440 bytes of IPv6 on Ethernet, less 12 of
    /// time stamps, and 29 of a record's header, nonce and tag in TLS 1.2, rounded down.
    static let smallRecordBytes = 1_360

    let bytes: UnsafeMutablePointer<UInt8>
    /// Where short pieces are put together for one record.
    let gathered: UnsafeMutablePointer<UInt8>
    var count = 0

    /// Nil without memory.
    ///
    /// Pages that are never written to cost nothing.
    public init?() {
        guard let memory = Memory.allocate(Self.capacity + Self.recordBytesMax) else { return nil }
        // Safe: one block, given back as one by `deinit`.
        bytes = memory.assumingMemoryBound(to: UInt8.self)
        gathered = bytes + Self.capacity
    }

    deinit { Memory.free(bytes) }
}
