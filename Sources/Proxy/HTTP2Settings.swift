import HTTP

/// What HTTP/2 clients of a listener are told and allowed (RFC 9113).
///
/// Defaults are those of `H2Settings` and `H2Limits`, which are kept inside.
package struct HTTP2Settings: Sendable, Equatable {
    /// What SETTINGS tell every client.
    var settings = H2Settings.local(.server)
    var limits = H2Limits()

    package init() {}

    /// Streams that a client may have open at a time: 1 to 65,535.
    ///
    /// Over it: REFUSED_STREAM.
    package var maxConcurrentStreams: Int {
        get { Int(settings.maxConcurrentStreams) }
        set { settings.maxConcurrentStreams = UInt32(newValue) }
    }

    /// Bytes that a client may send on a new stream before credit: 1 to 262,144.
    ///
    /// An exchange keeps what came too early in one block, which is no larger. Over it: the stream
    /// is reset with FLOW_CONTROL_ERROR.
    package var initialStreamWindow: Int {
        get { Int(settings.initialWindowSize) }
        set { settings.initialWindowSize = UInt32(newValue) }
    }

    /// Bytes that a client may send on all streams together before credit: 65,535 to 2^30.
    ///
    /// Over it: the connection ends with FLOW_CONTROL_ERROR.
    package var initialConnectionWindow: Int {
        get { limits.connectionWindowBytes }
        set { limits.connectionWindowBytes = newValue }
    }

    /// Bytes of the longest frame payload that is taken: 16,384 to 16,777,215.
    ///
    /// Over it: the connection ends with FRAME_SIZE_ERROR.
    package var maxFrameSize: Int {
        get { Int(settings.maxFrameSize) }
        set { settings.maxFrameSize = UInt32(newValue) }
    }

    /// Bytes of HPACK's dynamic table in each direction: 0 to 65,536.
    ///
    /// Over it: the connection ends with COMPRESSION_ERROR.
    package var headerTableSize: Int {
        get { Int(settings.headerTableSize) }
        set { settings.headerTableSize = UInt32(newValue) }
    }

    /// Bytes of a header block as it comes, compressed: 1,024 to 65,536.
    ///
    /// Over it: the connection ends with ENHANCE_YOUR_CALM.
    package var maxHeaderBlock: Int {
        get { limits.headerBlockBytesMax }
        set { limits.headerBlockBytesMax = newValue }
    }

    /// CONTINUATION frames of one header block: 0 to 1,024.
    ///
    /// Over it: the connection ends with ENHANCE_YOUR_CALM.
    package var maxContinuationFrames: Int {
        get { limits.continuationFramesMax }
        set { limits.continuationFramesMax = newValue }
    }

    /// How often a client may do one of those things; beyond it the connection ends with
    /// ENHANCE_YOUR_CALM.
    package subscript(flood: HTTP2Flood) -> HTTP2Allowance {
        get {
            let allowance = limits[keyPath: flood.allowance]
            return HTTP2Allowance(
                burst: Int(allowance.burst),
                perSecond: Int(allowance.perSecond)
            )
        }
        set {
            limits[keyPath: flood.allowance] = H2Allowance(
                burst: UInt32(newValue.burst),
                perSecond: UInt32(newValue.perSecond)
            )
        }
    }
}

/// So many at once, and so many more each second.
package struct HTTP2Allowance: Sendable, Equatable {
    /// 1 to 1,000,000.
    package var burst: Int
    /// 0 to 1,000,000.
    package var perSecond: Int
}

/// What costs the proxy more than the client: the name is the manifest's, and that of the log.
package enum HTTP2Flood: String, Sendable, CaseIterable {
    case clientResets = "client_resets"
    case serverResets = "server_resets"
    case streams
    case settings
    case pings
    case priorities
    case windowUpdates = "window_updates"
    case unknownFrames = "unknown_frames"
    case emptyData = "empty_data"
    case lateFrames = "late_frames"

    fileprivate var allowance: WritableKeyPath<H2Limits, H2Allowance> {
        switch self {
        case .clientResets: \.peerResets
        case .serverResets: \.ownResets
        case .streams: \.streams
        case .settings: \.settings
        case .pings: \.pings
        case .priorities: \.priorities
        case .windowUpdates: \.windowUpdates
        case .unknownFrames: \.unknownFrames
        case .emptyData: \.emptyData
        case .lateFrames: \.lateFrames
        }
    }
}
