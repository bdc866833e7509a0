/// A stream that an event is about.
public struct H2StreamReference {
    /// 1 to 2^31 - 1, odd: no side pushes.
    public var id: UInt32
    /// What the caller set for the stream; nil for one that is new.
    public var user: UnsafeMutableRawPointer?

    init(_ id: UInt32, _ user: UnsafeMutableRawPointer?) {
        self.id = id
        self.user = user
    }
}

/// A whole header block.
public struct H2Headers {
    public var stream: H2StreamReference
    /// The block's bytes, compressed; valid until the next call of `next`.
    public var block: UnsafePointer<UInt8>
    public var count: Int
    /// The peer sends nothing more on the stream.
    public var endStream: Bool
    /// It came after the final header section of the message (RFC 9113 §8.1).
    public var isTrailers: Bool
    /// The stream began with it.
    public var isNew: Bool
    /// Both sides have ended the stream: its id finds nothing from now on.
    public var isClosed: Bool
}

/// A piece of content.
public struct H2Data {
    public var stream: H2StreamReference
    /// In the input that was given to `next`; nil when there are none.
    public var bytes: UnsafeMutablePointer<UInt8>?
    /// May be 0 when `endStream` is set.
    ///
    /// The bytes count against the windows until `consume`.
    public var count: Int
    /// The peer sends nothing more on the stream.
    public var endStream: Bool
    /// Both sides have ended the stream: its id finds nothing from now on.
    public var isClosed: Bool
}

/// The early end of a stream; its id finds nothing from now on.
public struct H2Reset {
    public var stream: H2StreamReference
    public var code: H2ErrorCode
    /// The peer ended it, and not this side because of what the peer sent.
    public var isByPeer: Bool
    /// The server has not acted on the request (RFC 9113 §8.7): any method may be sent again.
    public var isUnprocessed: Bool
}

/// The end of a connection, and why.
public struct H2Failure: Error, Equatable {
    public var code: H2ErrorCode
    /// For the log: what the peer did.
    public var reason: StaticString
    /// What the peer went over, when the code is ENHANCE_YOUR_CALM.
    public var bound: H2Bound?

    init(_ code: H2ErrorCode, _ reason: StaticString) {
        self.code = code
        self.reason = reason
    }

    init(over bound: H2Bound, _ reason: StaticString) {
        self.init(.enhanceYourCalm, reason)
        self.bound = bound
    }

    /// Whether code and reason are the same.
    public static func == (left: H2Failure, right: H2Failure) -> Bool {
        left.code == right.code && left.reason.description == right.reason.description
    }
}

/// What the input of a connection led to.
public enum H2Event {
    /// All input is used.
    case needsMore
    /// The peer's settings have changed: `peerSettings` has them.
    case settings
    /// The peer has taken the local settings: they hold from here on (RFC 9113 §6.5.3).
    case settingsAcknowledged
    case headers(H2Headers)
    /// A header block that belongs to no stream (refused, or reset before): it must be decoded all
    /// the same, because it changes the state of the decoder (RFC 9113 §4.3).
    ///
    /// The bytes are valid until the next call of `next`.
    case discardedHeaders(stream: UInt32, block: UnsafePointer<UInt8>, count: Int)
    case data(H2Data)
    case streamReset(H2Reset)
    /// A stream may send more than before, or all of them (nil).
    case windowOpened(H2StreamReference?)
    /// The peer takes no new streams.
    ///
    /// A client gets `.streamReset` for each stream above `lastStream` next: they are unprocessed.
    case goAway(lastStream: UInt32, code: H2ErrorCode)
    /// The answer to `sendPing`, after so many milliseconds.
    case pingAnswered(milliseconds: UInt64)
    /// The connection is over: `output` ends with the GOAWAY that says so.
    ///
    /// Further calls repeat it.
    case connectionError(H2Failure)
}
