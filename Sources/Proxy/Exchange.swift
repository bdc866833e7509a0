import CSluice
import HTTP
import PluginHost
import Reactor
import Sys

/// How far the response of an exchange is.
enum ResponsePhase: UInt8 {
    /// No upstream chosen or connected yet, or a hook of the request's head waits.
    case none
    /// The request's body is being read for a plugin that wants all of it before a peer is chosen.
    case collect
    /// Waiting for the head.
    case head
    /// The head has come; one of its hooks waits.
    case waiting
    /// The head is out, or a plugin holds it; the body follows.
    case body
    /// After 101: bytes both ways.
    case tunnel
    /// All is written; only the rest of the request's body is being thrown away.
    case drain
}

/// Why a client's connection can't take another request.
struct ExchangeFlags: OptionSet {
    var rawValue: UInt16
    init(rawValue: UInt16) { self.rawValue = rawValue }

    /// The client's connection ends with this exchange.
    static let closeDownstream = ExchangeFlags(rawValue: 1 << 0)
    /// Over; nothing may touch it any more.
    static let ended = ExchangeFlags(rawValue: 1 << 1)
    /// Response head, or part of a response, has gone to the client.
    static let responseStarted = ExchangeFlags(rawValue: 1 << 2)
    /// `request_end` has run.
    static let endReported = ExchangeFlags(rawValue: 1 << 3)
    /// The response was made by the host or a plugin.
    static let localReply = ExchangeFlags(rawValue: 1 << 4)
    /// Bytes of this request have gone to a peer on the current attempt.
    static let sentToPeer = ExchangeFlags(rawValue: 1 << 5)
    /// The peer takes no more of the request; its answer may still come.
    static let peerStoppedReading = ExchangeFlags(rawValue: 1 << 6)
    /// The client waits for 100 before it sends the body, and none was sent.
    static let awaitsContinue = ExchangeFlags(rawValue: 1 << 7)
    /// More of the body has been read than the replay buffer holds.
    static let replayOverflow = ExchangeFlags(rawValue: 1 << 8)
    /// The origin's connection can't be used again.
    static let closeUpstream = ExchangeFlags(rawValue: 1 << 9)
    /// The request is counted as in flight with a peer.
    static let inFlight = ExchangeFlags(rawValue: 1 << 10)
    /// The client's sending side ended while the answer was being made.
    static let halfClosed = ExchangeFlags(rawValue: 1 << 11)
    /// The tunnel's end was passed on to the peer, or to the client.
    static let tunnelUpEnded = ExchangeFlags(rawValue: 1 << 12)
    static let tunnelDownEnded = ExchangeFlags(rawValue: 1 << 13)
    /// The next attempt makes a new connection: one from the pool has failed.
    static let freshConnection = ExchangeFlags(rawValue: 1 << 14)
    /// The route has been looked for.
    static let routed = ExchangeFlags(rawValue: 1 << 15)
}

/// One request and its response: plain memory in a block of `blockBytes`, whose rest is the
/// request's arena.
struct Exchange {
    /// First, so that `sluice_req` is the exchange's address.
    var context: RequestContext
    var down: UnsafeMutablePointer<Downstream>
    var listener: UnsafePointer<ListenerPlan>
    /// What it began with, and ends with.
    var generation: UnsafeMutablePointer<Generation>
    var up: UnsafeMutablePointer<Upstream>?
    var chain: PhaseChain
    var upstream: UnsafeMutablePointer<UpstreamPlan>?
    var head: RequestHead
    var response = ResponsePhase.none
    var flags: ExchangeFlags = []
    var outcome = UInt32(SLUICE_OUTCOME_COMPLETE)
    /// Attempts begun.
    var attempts = 0
    var interimCount = 0
    /// Bytes of the request's body that were thrown away after an early answer.
    var drained = 0
    /// Bit per peer of the upstream: failed for this request.
    var tried: UnsafeMutablePointer<UInt64>?
    /// Kept where the upstream has a `FailoverPlan`.
    var failover: UnsafeMutablePointer<FailoverState>?
    var requestBody = BodyPipe()
    var responseBody = BodyPipe()
    /// What hooks wait for, by direction.
    var requestWait: UnsafeMutablePointer<Suspension>?
    var responseWait: UnsafeMutablePointer<Suspension>?
    /// Bounds the time for which a plugin holds the response's head.
    var holdWait: UnsafeMutablePointer<Suspension>?
    /// The response's head while its hooks have not all run; of a local reply all zeroes.
    var responseHead = ResponseHead()
    /// Kept from the lookup on where the route has a cache.
    var cache: UnsafeMutablePointer<CacheState>?
    /// The body of a local reply.
    var localBody = Slice("")
    /// Body bytes read so far, kept for another attempt.
    var replay: Block?
    var replayCount = 0
    /// The request as it was before the first attempt's hooks.
    var savedRequest: Message?
    var savedFields: UnsafeMutablePointer<FieldSpan>?
    /// Milliseconds of the worker's clock.
    var lastRead: UInt64
    var lastWrite: UInt64
    /// Begin of the window in which the rate of the body is measured, and the bytes at its begin.
    var rateStart: UInt64
    var rateBytes: UInt64 = 0
    /// Nanoseconds of the worker's clock when the head was there.
    var begunAt: UInt64
    /// Where the request is counted.
    var row: MeterRow
    var nextDead: UnsafeMutablePointer<Exchange>?

    /// Bytes of an exchange's block.
    static let blockBytes = 8_192

    /// Makes an exchange where it stands: built elsewhere, it would be copied twice on its way
    /// here, which was a tenth of what a small request costs.
    static func prepare(
        _ exchange: UnsafeMutablePointer<Exchange>,
        down: UnsafeMutablePointer<Downstream>,
        listener: UnsafePointer<ListenerPlan>,
        generation: UnsafeMutablePointer<Generation>,
        head: RequestHead,
        now: UInt64,
        row: MeterRow
    ) {
        // Safe: every member is trivial, and all that zeroes do not mean is set below and by
        // `RequestContext.prepare`, which the caller calls.
        UnsafeMutableRawPointer(exchange).initializeMemory(
            as: UInt8.self,
            repeating: 0,
            count: MemoryLayout<Exchange>.size
        )
        exchange.pointee.down = down
        exchange.pointee.listener = listener
        exchange.pointee.generation = generation
        exchange.pointee.up = nil
        exchange.pointee.chain = generation.pointee.globalChain
        exchange.pointee.upstream = nil
        exchange.pointee.head = head
        exchange.pointee.tried = nil
        exchange.pointee.failover = nil
        exchange.pointee.requestBody = BodyPipe()
        exchange.pointee.responseBody = BodyPipe()
        exchange.pointee.requestWait = nil
        exchange.pointee.responseWait = nil
        exchange.pointee.holdWait = nil
        exchange.pointee.replay = nil
        exchange.pointee.savedRequest = nil
        exchange.pointee.savedFields = nil
        exchange.pointee.lastRead = now
        exchange.pointee.lastWrite = now
        exchange.pointee.rateStart = now
        exchange.pointee.row = row
        exchange.pointee.nextDead = nil
    }

    var isEnded: Bool { flags.contains(.ended) }

    /// Whether what was sent of the request may be sent again, and can be (RFC 9110 §9.2.2).
    var isReplayable: Bool {
        !flags.contains(.replayOverflow)
            && (!flags.contains(.sentToPeer) || head.method.isIdempotent)
    }

    var hasWaits: Bool { requestWait != nil || responseWait != nil || holdWait != nil }
}
