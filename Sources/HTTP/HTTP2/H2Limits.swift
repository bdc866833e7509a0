/// How often a peer may do something that costs this side more than it costs the peer.
///
/// A token bucket: it starts full with `burst` tokens, and `perSecond` come back each second. Some
/// are also given back for useful work; each limit says so.
public struct H2Allowance: Equatable, Sendable {
    /// Events at once: 1 to 1,000,000.
    public var burst: UInt32
    /// Events each second from then on: 0 to 1,000,000.
    public var perSecond: UInt32

    public init(burst: UInt32, perSecond: UInt32) {
        self.burst = burst
        self.perSecond = perSecond
    }
}

/// Bounds of one HTTP/2 connection.
///
/// What a peer does beyond an allowance or a bound ends the connection with ENHANCE_YOUR_CALM and
/// a reason. The defaults leave room for clients that behave: browsers that drop a page full of
/// images, gRPC clients that ping for each message to measure bandwidth.
public struct H2Limits: Equatable, Sendable {
    // MARK: Memory

    /// Bytes of output from which no more DATA is taken; headers go beyond it once: 16,384 to 2^20.
    ///
    /// With the control frames of a usual turn it fits into a block of 64 KiB.
    public var outputBytesMax = 61_440
    /// Bytes of control frames that wait for the peer to read: 256 to 2^20.
    ///
    /// For floods whose sender does not read the answers (CVE-2019-9512 pings, CVE-2019-9515
    /// settings, CVE-2019-9514 resets). 16 KiB are 963 answers to pings.
    public var controlBytesMax = 16_384
    /// Bytes that a peer may send on all streams together before credit: 65,535 to 2^31 - 1.
    ///
    /// 1 MiB are 16 full stream windows: streams whose receivers are slow leave the others room,
    /// and the bytes that a connection makes this side hold stay bounded.
    public var connectionWindowBytes = 1_048_576
    /// Streams that a client opens at a time, whatever the server allows: 1 to 65,536.
    public var ownStreamsMax = 128

    // MARK: Header blocks

    /// Bytes of a header block, compressed, over all its frames: 1 to 2^20.
    ///
    /// For the CONTINUATION flood (CVE-2024-27316 and others): a block without an end.
    public var headerBlockBytesMax = 65_536
    /// CONTINUATION frames of a block: 0 to 1,024.
    ///
    /// For the same flood in small frames. A block of 64 KiB needs 4 frames of the size that every
    /// peer may use.
    public var continuationFramesMax = 16
    /// Frames of a block that are empty and do not end it: 0 to 1,024.
    ///
    /// For empty-fragment floods (CVE-2019-9518): they cost 9 bytes and never reach a bound of
    /// bytes.
    public var emptyFragmentsMax = 1

    // MARK: Floods

    /// Entries of one SETTINGS frame: 8 to 2,730.
    ///
    /// For large SETTINGS frames (CVE-2020-11080): each window size in it is applied to every
    /// stream.
    public var settingsEntriesMax = 32
    /// Streams of ours that a client resets before the response ended.
    ///
    /// For Rapid Reset (CVE-2023-44487): a request is begun, then cancelled, and no bound of
    /// concurrent streams is ever reached. A stream that ends as it should gives one back, so a
    /// client that resets less than half of its streams is never cut.
    public var peerResets = H2Allowance(burst: 200, perSecond: 20)
    /// Streams that this side had to reset because of what the peer sent.
    ///
    /// For MadeYouReset (CVE-2025-8671): faulty frames make the server do the resetting. Streams
    /// refused because too many are open count too.
    public var ownResets = H2Allowance(burst: 200, perSecond: 20)
    /// Streams that a client opens and that do not end as they should.
    ///
    /// For opening faster than anything can be served. One that ends as it should gives one back,
    /// so a busy client that reads its responses has no bound.
    public var streams = H2Allowance(burst: 1_000, perSecond: 100)
    /// SETTINGS frames, with and without ACK.
    ///
    /// For settings floods (CVE-2019-9515).
    public var settings = H2Allowance(burst: 32, perSecond: 1)
    /// PING frames, with and without ACK.
    ///
    /// For ping floods (CVE-2019-9512). Each HEADERS or DATA frame that is sent gives one back, and
    /// each DATA frame with content that is received: gRPC clients ping along with data.
    public var pings = H2Allowance(burst: 100, perSecond: 10)
    /// PRIORITY and PRIORITY_UPDATE frames.
    ///
    /// For resource loops (CVE-2019-9513). Each stream that is opened gives four back.
    public var priorities = H2Allowance(burst: 500, perSecond: 50)
    /// WINDOW_UPDATE frames.
    ///
    /// For data dribble (CVE-2019-9511): windows opened byte by byte make this side send frames of
    /// one byte. Each 250 bytes of DATA sent give one back, content that no window cut short gives
    /// two, and so does each stream that ends as it should. Peers of gRPC open both windows for
    /// each message, however small.
    public var windowUpdates = H2Allowance(burst: 1_000, perSecond: 100)
    /// Frames of unknown types (RFC 9113 §5.5).
    ///
    /// For floods of frames that are read and dropped. Each stream that is opened gives one back.
    public var unknownFrames = H2Allowance(burst: 100, perSecond: 10)
    /// DATA frames without a byte of content that do not end the stream.
    ///
    /// For empty-frame floods (CVE-2019-9518).
    public var emptyData = H2Allowance(burst: 100, perSecond: 10)
    /// Frames on streams that are closed, where they may still be under way.
    ///
    /// For peers that go on as if nothing had been reset. A full stream window in frames of 1 KiB
    /// is 64 of them.
    public var lateFrames = H2Allowance(burst: 2_000, perSecond: 200)

    public init() {}
}

/// What is left of an allowance.
struct H2Budget {
    /// Thousandths of tokens used and not come back yet.
    private var spent: UInt64 = 0
    /// Milliseconds of the caller's clock, up to which tokens have come back.
    private var refilledAt: UInt64 = 0

    /// Takes one token; false when there is none.
    mutating func take(_ allowance: H2Allowance, now: UInt64) -> Bool {
        if now > refilledAt {
            // A second brings 1,000 thousandths of each token, so a millisecond brings `perSecond`.
            let (gained, isOver) = (now &- refilledAt)
                .multipliedReportingOverflow(by: UInt64(allowance.perSecond))
            give(thousandths: isOver ? .max : gained)
            refilledAt = now
        }
        guard spent &+ 1_000 <= UInt64(allowance.burst) &* 1_000 else { return false }
        spent &+= 1_000
        return true
    }

    /// Gives tokens back, in thousandths; never more than were taken.
    mutating func give(thousandths: UInt64) {
        spent = spent > thousandths ? spent &- thousandths : 0
    }

    mutating func give() { give(thousandths: 1_000) }
}

/// The budgets of a connection, one for each allowance of `H2Limits`.
struct H2Budgets {
    var peerResets = H2Budget()
    var ownResets = H2Budget()
    var streams = H2Budget()
    var settings = H2Budget()
    var pings = H2Budget()
    var priorities = H2Budget()
    var windowUpdates = H2Budget()
    var unknownFrames = H2Budget()
    var emptyData = H2Budget()
    var lateFrames = H2Budget()
}
