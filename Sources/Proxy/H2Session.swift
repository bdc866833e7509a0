import HTTP

/// A client's or a peer's connection that speaks HTTP/2 (RFC 9113).
///
/// Each of its streams is a `Downstream` or an `Upstream` of its own, without a socket, so that an
/// exchange does not know what the other side speaks: what it reads was taken out of DATA frames,
/// and what it writes is put into frames when the turn of the loop ends.
struct H2Session: ~Copyable {
    var connection: H2Connection
    var decoder: HPACKDecoder
    var encoder: HPACKEncoder
    /// What owns the socket.
    let end: End
    /// Milliseconds of the worker's clock: when bytes last came or went.
    var lastActive: UInt64
    /// Since when the socket takes nothing; 0 while it does.
    var blockedSince: UInt64 = 0
    /// Since when the rest of a header block or of a frame is awaited; 0 while none is.
    var headSince: UInt64
    /// Since when the acknowledgement of our SETTINGS is awaited; 0 while it is not.
    var settingsSince: UInt64
    /// When the first GOAWAY of a drain went out; 0 before.
    var drainBegan: UInt64 = 0
    /// The client has said that it begins no more streams, or the peer that it takes no more.
    var otherLeaves = false
    /// The last GOAWAY has gone out.
    var isFinal = false
    /// `serve` runs: it sends what is queued when it ends.
    var isServed = false
    /// Bytes that a stream may still send in its turn, while others wait for theirs.
    var turnLeft = turnBytes
    /// The timer looks whether the connection rests, so that its memory can go back.
    var mayRest = false
    /// Streams of a client, linked by `nextOpen`.
    var firstStream: UnsafeMutablePointer<Downstream>?
    /// Streams to a peer, those included that wait for the connection, linked by `next`.
    var firstPeerStream: UnsafeMutablePointer<Upstream>?
    var peerStreamCount = 0
    /// When bytes last came from a peer, or its first stream began: since then it is silent.
    var lastReceived: UInt64
    /// A stream had its time without a byte from the peer: no new one goes there until some come.
    var isDoubted = false
    /// Counted among the peer's connections without streams.
    var isIdle = false

    /// The side that the connection leads to.
    enum End {
        case client(UnsafeMutablePointer<Downstream>)
        case peer(UnsafeMutablePointer<Upstream>, UnsafeMutablePointer<UpstreamPlan>)
    }

    /// The connection of a client.
    ///
    /// - Parameters:
    ///   - settings: what the client is told.
    ///   - now: milliseconds of the worker's clock.
    init(
        _ owner: UnsafeMutablePointer<Downstream>,
        _ settings: H2Settings,
        _ limits: H2Limits,
        _ memory: H2Memory,
        now: UInt64
    ) {
        connection = H2Connection(
            role: .server,
            settings: settings,
            limits: limits,
            memory: memory
        )
        decoder = HPACKDecoder(tableBytesMax: Int(settings.headerTableSize))
        encoder = HPACKEncoder(tableBytesMax: Int(settings.headerTableSize))
        end = .client(owner)
        lastActive = now
        lastReceived = now
        headSince = max(now, 1)
        settingsSince = max(now, 1)
    }

    /// A connection to a peer, which may still have to be made.
    init(
        _ owner: UnsafeMutablePointer<Upstream>,
        _ upstream: UnsafeMutablePointer<UpstreamPlan>,
        _ memory: H2Memory,
        now: UInt64
    ) {
        let plan = upstream.pointee.http2
        connection = H2Connection(
            role: .client,
            settings: plan.local,
            limits: plan.limits,
            memory: memory
        )
        decoder = HPACKDecoder()
        encoder = HPACKEncoder()
        end = .peer(owner, upstream)
        lastActive = now
        lastReceived = now
        headSince = 0
        settingsSince = 0
    }

    /// The client's connection; only of one with a client.
    var owner: UnsafeMutablePointer<Downstream> {
        guard case .client(let down) = end else { preconditionFailure("a peer's connection") }
        return down
    }

    var wire: Wire {
        switch end {
        case .client(let down): down.wire
        case .peer(let up, _): up.wire
        }
    }

    var isDead: Bool {
        switch end {
        case .client(let down): down.pointee.flags.contains(.dead)
        case .peer(let up, _): up.pointee.flags.contains(.dead)
        }
    }

    /// Bytes of one stream's turn: what a frame of the usual size holds, so that streams mix.
    static let turnBytes = 16_384
    /// Milliseconds without a byte and a stream after which a connection rests: more than clients
    /// let pass between the requests of a page.
    static let restMilliseconds: UInt64 = 500
    /// Milliseconds between the two GOAWAYs of a drain: longer than a round trip.
    static let drainMilliseconds: UInt64 = 1_000

    /// Gives back what only a connection in use needs; nothing while it is in use.
    mutating func rest() {
        guard firstStream == nil, firstPeerStream == nil, connection.streamCount == 0,
            connection.outputCount == 0
        else { return }
        connection.releaseIdleMemory()
        decoder.releaseIdleMemory()
        encoder.releaseIdleMemory()
    }
}
