/// Where one field stands in the bytes of its head: 12 bytes, offsets from the head's first byte.
///
/// A field's line ends where the next one's name begins (folding is refused, so lines are
/// contiguous), or at `fieldsEnd` of the head.
public struct FieldSpan: BitwiseCopyable {
    public var nameStart: UInt16
    public var nameLength: UInt16
    /// Value without the white space around it (RFC 9110 §5.5).
    public var valueStart: UInt16
    public var valueLength: UInt16
    public var id: FieldID
    public var flags: UInt8
    public var reserved: UInt16 = 0

    /// The field is not passed on: it belongs to this connection (RFC 9110 §7.6.1), or a plugin
    /// removed it.
    @inlinable public static var dropped: UInt8 { 1 }
    /// A known field of the same id comes earlier in the head.
    @inlinable public static var repeated: UInt8 { 2 }
    /// The field came over HTTP/2 as never indexed, and goes on so (RFC 7541 §6.2.3).
    @inlinable public static var neverIndexed: UInt8 { 4 }
}

/// Request methods that the host must tell apart (RFC 9110 §9, RFC 5789).
public enum Method: UInt8, Sendable {
    case other = 0
    case get, head, post, put, delete, connect, options, trace, patch

    /// Whether a request of this method is expected to have content (RFC 9110 §8.6).
    @inlinable public var expectsContent: Bool {
        self == .post || self == .put || self == .patch
    }

    /// Whether a repeated request has the effect of one (RFC 9110 §9.2.2); unknown methods do not
    /// count.
    @inlinable public var isIdempotent: Bool {
        switch self {
        case .get, .head, .put, .delete, .options, .trace: true
        case .other, .post, .connect, .patch: false
        }
    }
}

/// How the end of a body is found (RFC 9112 §6.3).
public enum BodyFraming: Equatable, Sendable {
    case none
    /// Content-Length, 1 or more; a length of 0 is `none`.
    case length(Int64)
    case chunked
    /// Until the connection ends; responses only.
    case untilClose

    /// Whether a body follows.
    ///
    /// Cheaper than `==`, which is a call from other modules.
    @inlinable public var isNone: Bool {
        if case .none = self { return true }
        return false
    }

    @inlinable public var isChunked: Bool {
        if case .chunked = self { return true }
        return false
    }
}

/// Facts that both heads share.
public struct HeadFlags: OptionSet, Sendable {
    public var rawValue: UInt16
    @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// The sender wants the connection kept: by its version and Connection (RFC 9112 §9.3).
    @inlinable public static var keepAlive: HeadFlags { HeadFlags(rawValue: 1 << 0) }
    /// `Expect: 100-continue` (RFC 9110 §10.1.1); only set in HTTP/1.1 requests.
    @inlinable public static var expectContinue: HeadFlags { HeadFlags(rawValue: 1 << 1) }
    /// Upgrade is present and Connection names it (RFC 9110 §7.8).
    @inlinable public static var upgrade: HeadFlags { HeadFlags(rawValue: 1 << 2) }
    /// `TE: trailers`.
    @inlinable public static var acceptsTrailers: HeadFlags { HeadFlags(rawValue: 1 << 3) }
    /// A Content-Length field is present, whatever its value.
    @inlinable public static var hasContentLength: HeadFlags { HeadFlags(rawValue: 1 << 4) }
    /// The target was `*` (RFC 9112 §3.2.4).
    @inlinable public static var asterisk: HeadFlags { HeadFlags(rawValue: 1 << 5) }
    /// The target was in absolute form (RFC 9112 §3.2.2).
    @inlinable public static var absoluteForm: HeadFlags { HeadFlags(rawValue: 1 << 6) }
    /// Fields that this connection consumes were marked as dropped.
    @inlinable public static var hasDropped: HeadFlags { HeadFlags(rawValue: 1 << 7) }
}

/// A parsed request head.
///
/// All offsets count from the head's first byte.
public struct RequestHead {
    public var method = Method.other
    /// 0 or 1: HTTP/1.0 or HTTP/1.1.
    public var minorVersion: UInt8 = 1
    public var methodStart: UInt16 = 0
    public var methodLength: UInt16 = 0
    /// Origin form of the target, path and query: what goes upstream.
    ///
    /// For `*` it is that byte; for an absolute form without a path its length is 0 and `/` is
    /// meant.
    public var pathStart: UInt16 = 0
    /// Bytes up to `?`, without it.
    public var pathLength: UInt16 = 0
    /// Bytes of path and query together.
    public var targetLength: UInt16 = 0
    /// Host and optional port: of an absolute target, else of Host.
    ///
    /// Length 0 where an HTTP/1.0 request has neither.
    public var authorityStart: UInt16 = 0
    public var authorityLength: UInt16 = 0
    public var fieldCount: UInt16 = 0
    /// Offset of the first field line.
    public var fieldsStart: UInt16 = 0
    /// Offset just after the last field line: where the final CRLF stands.
    public var fieldsEnd: UInt16 = 0
    /// Bytes of the head with its final CRLF, and an empty line before it where there was one.
    public var byteCount: UInt16 = 0
    public var flags: HeadFlags = []
    public var framing = BodyFraming.none

    public init() {}
}

/// A parsed response head.
///
/// All offsets count from the head's first byte.
public struct ResponseHead {
    /// 100 to 999.
    public var status: UInt16 = 0
    public var minorVersion: UInt8 = 1
    public var reasonStart: UInt16 = 0
    public var reasonLength: UInt16 = 0
    public var fieldCount: UInt16 = 0
    public var fieldsStart: UInt16 = 0
    public var fieldsEnd: UInt16 = 0
    public var byteCount: UInt16 = 0
    public var flags: HeadFlags = []
    public var framing = BodyFraming.none

    public init() {}
}

/// What a head parser found.
public enum HeadOutcome: Equatable {
    case complete
    /// More bytes are needed; nothing seen so far breaks a rule or a bound.
    case incomplete
    case invalid(HeadError)
}

/// Why a head was refused.
public enum HeadError: UInt8, Error, Equatable, CaseIterable, Sendable {
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

    /// The manifest's key of the bound that was passed; nil for a rule that was broken.
    public var limitName: String? {
        switch self {
        case .targetTooLong: "limits.target"
        case .headTooLarge: "limits.head"
        case .tooManyFields: "limits.fields"
        default: nil
        }
    }

    /// The status that a client gets for it.
    ///
    /// A response head with any of these becomes 502.
    public var status: UInt16 {
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
