/// Where one field stands in the bytes of its head: 12 bytes, offsets from the head's first byte.
///
/// A field's line ends where the next one's name begins (folding is refused, so lines are
/// contiguous), or at `fieldsEnd` of the head.
package struct FieldSpan: BitwiseCopyable {
    package var nameStart: UInt16
    package var nameLength: UInt16
    /// Value without the white space around it (RFC 9110 §5.5).
    package var valueStart: UInt16
    package var valueLength: UInt16
    package var id: FieldID
    package var flags: UInt8
    package var reserved: UInt16 = 0

    /// The field is not passed on: it belongs to this connection (RFC 9110 §7.6.1), or a plugin
    /// removed it.
    package static let dropped: UInt8 = 1
    /// A known field of the same id comes earlier in the head.
    package static let repeated: UInt8 = 2
}

/// Request methods that the host must tell apart (RFC 9110 §9, RFC 5789).
package enum Method: UInt8, Sendable {
    case other = 0
    case get, head, post, put, delete, connect, options, trace, patch

    /// Whether a repeated request has the effect of one (RFC 9110 §9.2.2); unknown methods do not
    /// count.
    package var isIdempotent: Bool {
        switch self {
        case .get, .head, .put, .delete, .options, .trace: true
        case .other, .post, .connect, .patch: false
        }
    }
}

/// How the end of a body is found (RFC 9112 §6.3).
package enum BodyFraming: Equatable, Sendable {
    case none
    /// Content-Length, 1 or more; a length of 0 is `none`.
    case length(Int64)
    case chunked
    /// Until the connection ends; responses only.
    case untilClose
}

/// Facts that both heads share.
package struct HeadFlags: OptionSet, Sendable {
    package var rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }

    /// The sender wants the connection kept: by its version and Connection (RFC 9112 §9.3).
    package static let keepAlive = HeadFlags(rawValue: 1 << 0)
    /// `Expect: 100-continue` (RFC 9110 §10.1.1); only set in HTTP/1.1 requests.
    package static let expectContinue = HeadFlags(rawValue: 1 << 1)
    /// Upgrade is present and Connection names it (RFC 9110 §7.8).
    package static let upgrade = HeadFlags(rawValue: 1 << 2)
    /// `TE: trailers`.
    package static let acceptsTrailers = HeadFlags(rawValue: 1 << 3)
    /// A Content-Length field is present, whatever its value.
    package static let hasContentLength = HeadFlags(rawValue: 1 << 4)
    /// The target was `*` (RFC 9112 §3.2.4).
    package static let asterisk = HeadFlags(rawValue: 1 << 5)
    /// The target was in absolute form (RFC 9112 §3.2.2).
    package static let absoluteForm = HeadFlags(rawValue: 1 << 6)
    /// Fields that this connection consumes were marked as dropped.
    package static let hasDropped = HeadFlags(rawValue: 1 << 7)
}

/// A parsed request head.
///
/// All offsets count from the head's first byte.
package struct RequestHead {
    package var method = Method.other
    /// 0 or 1: HTTP/1.0 or HTTP/1.1.
    package var minorVersion: UInt8 = 1
    package var methodStart: UInt16 = 0
    package var methodLength: UInt16 = 0
    /// Origin form of the target, path and query: what goes upstream.
    ///
    /// For `*` it is that byte; for an absolute form without a path its length is 0 and `/` is
    /// meant.
    package var pathStart: UInt16 = 0
    /// Bytes up to `?`, without it.
    package var pathLength: UInt16 = 0
    /// Bytes of path and query together.
    package var targetLength: UInt16 = 0
    /// Host and optional port: of an absolute target, else of Host.
    ///
    /// Length 0 where an HTTP/1.0 request has neither.
    package var authorityStart: UInt16 = 0
    package var authorityLength: UInt16 = 0
    package var fieldCount: UInt16 = 0
    /// Offset of the first field line.
    package var fieldsStart: UInt16 = 0
    /// Offset just after the last field line: where the final CRLF stands.
    package var fieldsEnd: UInt16 = 0
    /// Bytes of the head with its final CRLF, and an empty line before it where there was one.
    package var byteCount: UInt16 = 0
    package var flags: HeadFlags = []
    package var framing = BodyFraming.none

    package init() {}
}

/// A parsed response head.
///
/// All offsets count from the head's first byte.
package struct ResponseHead {
    /// 100 to 999.
    package var status: UInt16 = 0
    package var minorVersion: UInt8 = 1
    package var reasonStart: UInt16 = 0
    package var reasonLength: UInt16 = 0
    package var fieldCount: UInt16 = 0
    package var fieldsStart: UInt16 = 0
    package var fieldsEnd: UInt16 = 0
    package var byteCount: UInt16 = 0
    package var flags: HeadFlags = []
    package var framing = BodyFraming.none

    package init() {}
}

/// What a head parser found.
package enum HeadOutcome: Equatable {
    case complete
    /// More bytes are needed; nothing seen so far breaks a rule or a bound.
    case incomplete
    case invalid(HeadError)
}

/// Why a head was refused.
package enum HeadError: UInt8, Error, Equatable, CaseIterable, Sendable {
    case badMethod
    case badTarget
    case targetTooLong
    case badRequestLine
    case badStatusLine
    case unsupportedVersion
    case bareLineFeed
    case bareCarriageReturn
    case headTooLarge
    case tooManyFields
    case badFieldName
    case spaceBeforeColon
    case obsoleteFolding
    case badFieldValue
    case missingHost
    case repeatedHost
    case badHost
    case badContentLength
    case repeatedContentLength
    case contentLengthWithTransferEncoding
    case badTransferEncoding
    case unsupportedTransferEncoding
    case transferEncodingInHTTP10
    case badConnection
    case badExpect
    case badUpgrade
    case bodyNotAllowed

    /// The status that a client gets for it.
    ///
    /// A response head with any of these becomes 502.
    package var status: UInt16 {
        switch self {
        case .targetTooLong: 414
        case .headTooLarge, .tooManyFields: 431
        case .unsupportedVersion: 505
        case .unsupportedTransferEncoding: 501
        case .badExpect: 417
        default: 400
        }
    }
}
