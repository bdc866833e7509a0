package import SluiceSDK

/// Which trace a request belongs to, and which span of it is its parent (W3C Trace Context).
package struct TraceContext: BitwiseCopyable, Equatable {
    /// The trace's id, 128 bits that are not all 0.
    package var traceHigh: UInt64
    /// Its lower half.
    package var traceLow: UInt64
    /// The span's id, not 0.
    package var spanID: UInt64
    /// Bits of `sampledFlag` and `randomFlag`.
    package var flags: UInt8

    /// Who gave the context has recorded the trace (level 1 §3.2.2.5).
    package static let sampledFlag: UInt8 = 1
    /// The lowest 56 bits of the trace's id are random (level 2 §3.2.2.5).
    package static let randomFlag: UInt8 = 2

    /// Bytes of a `traceparent` of version 00.
    package static let textBytes = 55

    /// Takes ids as they are.
    package init(traceHigh: UInt64, traceLow: UInt64, spanID: UInt64, flags: UInt8) {
        self.traceHigh = traceHigh
        self.traceLow = traceLow
        self.spanID = spanID
        self.flags = flags
    }

    /// Reads a `traceparent` (W3C Trace Context §3.2); nil when it breaks a rule of it.
    ///
    /// Of a version above 00 what is known of 00 is read, and the rest is left (§3.2.1,
    /// "versioning"). Flags that level 2 does not know are dropped, as it wants (§3.2.2.5).
    package init?(traceparent text: Bytes) {
        guard text.count >= Self.textBytes,
            text[2] == 0x2D, text[35] == 0x2D, text[52] == 0x2D,
            let version = Hexadecimal.read(text, 0..<2), version != 0xFF,
            let traceHigh = Hexadecimal.read(text, 3..<19),
            let traceLow = Hexadecimal.read(text, 19..<35),
            let spanID = Hexadecimal.read(text, 36..<52),
            let flags = Hexadecimal.read(text, 53..<55)
        else { return nil }
        guard traceHigh | traceLow != 0, spanID != 0 else { return nil }
        if text.count > Self.textBytes {
            guard version > 0, text[Self.textBytes] == 0x2D else { return nil }
        }
        self.init(
            traceHigh: traceHigh,
            traceLow: traceLow,
            spanID: spanID,
            flags: UInt8(flags) & (Self.sampledFlag | Self.randomFlag)
        )
    }

    /// Whether who gave it has recorded the trace.
    package var isSampled: Bool { flags & Self.sampledFlag != 0 }

    /// Writes it as a `traceparent` of version 00.
    ///
    /// - Parameter start: room for `textBytes` bytes.
    package func write(to start: UnsafeMutablePointer<UInt8>) {
        // Safe: the caller gives room for 55 bytes, and each part ends before the next.
        start[0] = 0x30
        start[1] = 0x30
        start[2] = 0x2D
        writeTraceID(to: start + 3)
        start[35] = 0x2D
        Hexadecimal.write(spanID, to: start + 36)
        start[52] = 0x2D
        Hexadecimal.write(flags, to: start + 53)
    }

    /// Writes the trace's id: 32 digits.
    package func writeTraceID(to start: UnsafeMutablePointer<UInt8>) {
        Hexadecimal.write(traceHigh, to: start)
        Hexadecimal.write(traceLow, to: start + 16)
    }
}

/// What a `b3` field says: the whole of it is optional but one part.
package struct B3: BitwiseCopyable, Equatable {
    /// The parent; nil when the field only says whether to sample.
    package var context: TraceContext?
    /// Whether the trace is to be recorded; nil when that is left to us.
    package var isSampled: Bool?

    /// Reads the single field of B3, "TRACE-SPAN-SAMPLED-PARENT" or "0", "1" or "d"; nil when it is
    /// neither.
    ///
    /// A trace's id of 16 digits is the lower half of one with zeros before.
    package init?(_ text: Bytes) {
        if text.count == 1 {
            guard let sampled = Self.decision(text[0]) else { return nil }
            isSampled = sampled
            return
        }
        let digits = text.count > 16 && text[16] == 0x2D ? 16 : 32
        guard text.count >= digits + 17, text[digits] == 0x2D else { return nil }
        let high = digits == 16 ? 0 : Hexadecimal.read(text, 0..<16)
        guard let high, let low = Hexadecimal.read(text, digits - 16..<digits),
            let span = Hexadecimal.read(text, digits + 1..<digits + 17),
            high | low != 0, span != 0
        else { return nil }
        let rest = text.dropFirst(digits + 17)
        if !rest.isEmpty {
            guard rest.count == 2 || rest.count == 19, rest[0] == 0x2D,
                let sampled = Self.decision(rest[1])
            else { return nil }
            isSampled = sampled
            if rest.count == 19 {
                guard rest[2] == 0x2D, Hexadecimal.read(rest, 3..<19) != nil else { return nil }
            }
        }
        context = TraceContext(
            traceHigh: high,
            traceLow: low,
            spanID: span,
            flags: isSampled == true ? TraceContext.sampledFlag : 0
        )
    }

    private static func decision(_ byte: UInt8) -> Bool? {
        switch byte {
        case 0x30: false
        // "d" is for debug: recorded whatever samplers say.
        case 0x31, 0x64: true
        default: nil
        }
    }
}
