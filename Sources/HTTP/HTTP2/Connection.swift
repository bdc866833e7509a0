/// An HTTP/2 connection without its socket (RFC 9113), for servers and clients.
///
/// Bytes that were read go into `next`, which returns one event a call until it says `.needsMore`.
/// What must be written gathers in `output`. Nothing reads a clock: `now` is milliseconds of the
/// caller's.
///
/// - Header blocks are bytes here. Every block that an event carries must be decoded, in order.
/// - Content is passed on in pieces as it comes, in the caller's memory. Each byte counts against
///   the windows until the caller says `consume`; that is the back-pressure.
/// - A stream that both sides ended, or one of them reset, is forgotten at once: what it held of
///   the connection's window is given back, and calls with its id do nothing.
/// - Once warm, frames and streams cost no allocation. An idle connection holds no block.
/// - Errors of the peer are strict: the kind and code that RFC 9113 gives for frame and state.
///   Where it leaves a choice, the comment at the place says which one was made.
public struct H2Connection: ~Copyable {
    public let role: H2Role
    public let limits: H2Limits
    public let localSettings: H2Settings
    /// The peer's settings as read so far.
    public internal(set) var peerSettings = H2Settings.initial
    /// The peer's settings were read once: before that, its limits are not known.
    public internal(set) var hasPeerSettings = false
    /// The peer has taken `localSettings`; how long to wait is the caller's choice.
    public internal(set) var isAcknowledged = false
    /// Why the connection is over.
    public internal(set) var failure: H2Failure?

    var streams: StreamTable
    var budgets = H2Budgets()
    var now: UInt64 = 0

    // Input.
    var reader = FrameReader()
    /// Part of a frame, or a header block in several frames.
    var gathered: H2Buffer
    /// The event that follows the one just returned.
    var following: H2Event?
    /// Found outside of `next`, or along with an event: the next call reports it.
    var pendingFailure: H2Failure?

    // Output.
    var pending: H2Buffer
    /// The frame that ends the output, when it is DATA that may be lengthened; stream 0 for none.
    var lastData: (stream: UInt32, count: Int) = (0, 0)
    var control = ControlAccount()

    // Windows of the connection.
    var sendWindow: Int32 = 65_535
    var receiveWindow: Int32
    var unannounced: Int32 = 0

    // Ends.
    /// The highest stream that the peer opened, or 0.
    public internal(set) var lastPeerStream: UInt32 = 0
    /// The id of the next stream that this side opens.
    var nextOwnStream: UInt32 = 1
    /// Peers' streams above it are refused: said by `finishShutdown`.
    var lastAccepted: UInt32?
    /// Own streams above it are unprocessed: said by the peer's GOAWAY.
    var lastProcessed: UInt32?
    /// Some of those may not have been reported yet.
    var hasUnprocessed = false
    var isShuttingDown = false
    /// Streams refused with REFUSED_STREAM that nobody has asked for yet.
    var refusedCount: UInt32 = 0

    /// The number in the last PING sent, and when; the answer must repeat it.
    var pingNumber: UInt64 = 0
    /// When the PING was sent that is not answered yet; nil when all are.
    public internal(set) var pingSentAt: UInt64?

    /// Starts a connection: `output` holds its first frames at once.
    ///
    /// A client's are the preface, SETTINGS and the connection's window; a server's the same
    /// without the preface. A server may read before they are written (RFC 9113 §3.4).
    ///
    /// - Parameter settings: must be within the ranges that `H2Settings` gives.
    public init(
        role: H2Role,
        settings: H2Settings,
        limits: H2Limits,
        memory: H2Memory = .heap
    ) {
        precondition((1...UInt32(Int32.max)).contains(settings.initialWindowSize), "bad window")
        precondition(
            (H2Settings.maxFrameSizeMin...H2Settings.maxFrameSizeMax)
                .contains(settings.maxFrameSize),
            "a local frame size of \(settings.maxFrameSize)"
        )
        precondition(
            (65_535...Int(Int32.max)).contains(limits.connectionWindowBytes),
            "a connection window of \(limits.connectionWindowBytes) bytes"
        )
        self.role = role
        self.limits = limits
        localSettings = settings
        let peerMax = min(settings.maxConcurrentStreams, 1 &<< 20)
        streams = StreamTable(countMax: role == .server ? Int(peerMax) : limits.ownStreamsMax)
        gathered = H2Buffer(memory: memory)
        pending = H2Buffer(memory: memory)
        receiveWindow = Int32(truncatingIfNeeded: limits.connectionWindowBytes)
        reader.phase = role == .server ? .preface : .header
        writeStart()
    }

    /// Whether the rest of a frame other than DATA, or of a header block, has yet to come.
    public var awaitsRest: Bool {
        reader.blockStream != 0 || reader.phase == .payload || reader.isInHeader
    }

    /// Streams that are open.
    public var streamCount: Int { streams.count }

    /// A drain is over: `finishShutdown` was called, no stream is open and all output is taken.
    public var isDrained: Bool {
        lastAccepted != nil && streams.count == 0 && pending.count == 0
    }

    /// Gives back what a connection without open streams keeps for the next ones.
    ///
    /// For connections that have been idle for a while: the table of streams is made anew when one
    /// is opened.
    public mutating func releaseIdleMemory() { streams.releaseMemory() }

    // MARK: Events

    /// Reads `bytes[0..<count]` up to the next event, and sets `consumed` to the bytes used.
    ///
    /// Call it with the rest of the input until it says `.needsMore`; then all of the input is
    /// used. Events that need no input are also returned when `count` is 0.
    ///
    /// - Parameter now: milliseconds of a clock that does not go back.
    public mutating func next(
        _ bytes: UnsafeMutablePointer<UInt8>,
        _ count: Int,
        consumed: inout Int,
        now: UInt64
    ) -> H2Event {
        consumed = 0
        self.now = now
        if let failure { return .connectionError(failure) }
        if let event = following {
            following = nil
            return event
        }
        if let pendingFailure { return fail(pendingFailure) }
        if let event = nextUnprocessed() { return event }
        while true {
            let event: H2Event?
            switch reader.phase {
            case .preface:
                guard readPreface(bytes, count, &consumed) else { return failureOrMore() }
                continue
            case .header:
                if reader.blockStream == 0 { gathered.release() }
                guard reader.readHeader(bytes, count, &consumed) else { return .needsMore }
                event = beginFrame()
            case .payload:
                guard let payload = readPayload(bytes, count, &consumed) else { return .needsMore }
                reader.phase = .header
                event = handle(payload)
            case .padLength:
                guard consumed < count else { return .needsMore }
                let padding = Int(bytes[consumed])
                consumed &+= 1
                event = startPadded(padding)
            case .data:
                guard consumed < count else { return .needsMore }
                event = passData(bytes, count, &consumed)
            case .skip:
                let skipped = min(reader.remaining, count &- consumed)
                consumed &+= skipped
                reader.remaining &-= skipped
                guard reader.remaining == 0 else { return .needsMore }
                reader.phase = .header
                continue
            }
            if let event { return event }
            if let pendingFailure { return fail(pendingFailure) }
        }
    }

    private mutating func failureOrMore() -> H2Event {
        if let pendingFailure { return fail(pendingFailure) }
        return .needsMore
    }

    /// Ends the connection: GOAWAY is queued, and nothing else from now on (RFC 9113 §5.4.1).
    mutating func fail(_ failure: H2Failure) -> H2Event {
        self.failure = failure
        following = nil
        writeGoAway(last: lastPeerStream, failure.code)
        return .connectionError(failure)
    }

    mutating func fail(_ code: H2ErrorCode, _ reason: StaticString) -> H2Event {
        fail(H2Failure(code, reason))
    }

    mutating func fail(over bound: H2Bound, _ reason: StaticString) -> H2Event {
        fail(H2Failure(over: bound, reason))
    }

    /// Ends the connection because the caller found an error, as in a header block
    /// (RFC 9113 §4.3: COMPRESSION_ERROR).
    public mutating func abort(_ code: H2ErrorCode, reason: StaticString) {
        guard failure == nil else { return }
        _ = fail(code, reason)
    }

    /// Calls `body` with every open stream, as when the connection is lost.
    public func forEachStream(_ body: (H2StreamReference) -> Void) {
        var slot = 0
        while let stream = streams.firstOpen(from: slot) {
            body(stream.pointee.reference)
            slot = Int(stream.pointee.slot) &+ 1
        }
    }

    // MARK: Streams

    /// The number of the peer's streams that were refused here with REFUSED_STREAM since the last
    /// call.
    public mutating func takeRefusedCount() -> UInt32 {
        defer { refusedCount = 0 }
        return refusedCount
    }

    /// Whether a stream with this id is open.
    ///
    /// Mutating, because callers in other modules copy the connection for what is not.
    public mutating func isOpen(_ id: UInt32) -> Bool { streams.find(id) != nil }

    /// What the caller has set for an open stream.
    public mutating func user(_ id: UInt32) -> UnsafeMutableRawPointer? {
        streams.find(id)?.pointee.user
    }

    /// Sets what events about a stream carry from now on.
    public mutating func setUser(_ id: UInt32, _ user: UnsafeMutableRawPointer?) {
        streams.find(id)?.pointee.user = user
    }

    /// Says how many bytes of content the stream will receive, by its Content-Length.
    ///
    /// More or fewer reset the stream with PROTOCOL_ERROR (RFC 9113 §8.1.1). Not for responses to
    /// HEAD and those with status 304, which have a length and no content.
    public mutating func setExpectedLength(_ id: UInt32, _ length: UInt64) {
        streams.find(id)?.pointee.expected = Int64(clamping: length)
    }

    /// Says that a client's stream has had its final response: only trailers may follow.
    ///
    /// Interim responses (1xx) come before it, and only who decoded the block knows them
    /// (RFC 9113 §8.1). Content before it is an error.
    public mutating func markFinalHeaders(_ id: UInt32) {
        streams.find(id)?.pointee.hasFinalHeaders = true
    }

    /// Sets the priority that a request's Priority field gives (RFC 9218 §5).
    public mutating func setPriority(_ id: UInt32, _ priority: H2Priority) {
        guard let stream = streams.find(id) else { return }
        streams.setPriority(stream, priority)
    }

    /// Says whether the stream has bytes to send; nobody does in the beginning.
    public mutating func setWantsToWrite(_ id: UInt32, _ wantsToWrite: Bool) {
        guard let stream = streams.find(id) else { return }
        stream.pointee.wantsToWrite = wantsToWrite && stream.pointee.canSend
        streams.refresh(stream)
    }

    /// The stream that should send next: one that wants to write and has window, while the
    /// connection has window and `output` has room.
    ///
    /// Who is asked again without a change in between is another one, where streams take turns.
    /// Give each a bounded piece, such as 16 KiB.
    public mutating func nextToSend() -> H2StreamReference? {
        guard sendWindow > 0, pending.count < limits.outputBytesMax, failure == nil else {
            return nil
        }
        return streams.nextReady()?.pointee.reference
    }

    /// Whether streams as urgent as this one, or more, wait for their turn to send.
    public func mustShare(_ id: UInt32) -> Bool {
        guard let stream = streams.find(id) else { return false }
        return streams.isAnyReady(upTo: stream.pointee.priority.urgency)
    }
}
