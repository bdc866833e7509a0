import CSluice
import HTTP
package import PluginHost
package import Reactor
import Synchronization
package import Sys
import TLS

/// What the control thread tells a worker.
package enum WorkerMessage: Sendable {
    /// Take no more connections, let requests finish, then end.
    case drain
    /// End the tunnels that stand.
    case endTunnels
    /// Say that the loop turns.
    case ping(WorkerRound)
    /// A request that waits goes on.
    case resume(WaitEnd)
    /// Plugins posted tasks.
    case tasks
    /// Another worker asks for an idle connection.
    case ask(IdleRequest)
    /// Its answer to this one.
    case gift(IdleGift)
}

/// One core's share of the proxy: its listeners, connections, buffers and timers, and the loop that
/// serves them.
///
/// Nothing of it is ever touched by another thread but the mailbox.
///
/// All state is plain memory at fixed addresses: connections and exchanges are pointers into slabs.
/// A closed one is only marked; its memory is taken back when the batch of events is over, so that
/// a pointer seen anywhere in the batch is still good to look at.
package struct Worker: ~Copyable {
    let index: Int
    let plan: Plan
    let listeners: UnsafeMutablePointer<ListenerPlan>
    let peers: UnsafeMutablePointer<PeerPlan>
    let routes: RouteTable
    let globalChain: PhaseChain
    let mailbox: Mailbox<WorkerMessage>
    /// Of all workers, by their index; empty when there is no other.
    let mailboxes: [Mailbox<WorkerMessage>]
    let port: WorkerPort
    let taskTimer: UnsafeMutablePointer<TimerNode>

    var poller: Epoll
    var timers: TimerWheel
    var log: ErrorLog
    var downstreams: Slab<Downstream>
    var upstreams: Slab<Upstream>
    var exchanges: Slab<Exchange>
    /// Where clients connected to, by their PROXY headers.
    var proxiedEnds = Slab<ProxyEndpoint>(chunkCount: 128, countMax: .max / 2)
    var buffers = BufferPool()
    let framePool = FramePool()
    var pipes = PipePool()
    var calls: HookCall
    /// Waits of requests, and what the host knows of each.
    let waits: WaitTable
    var suspensions: Slab<Suspension>
    /// Requests of plugins' own: those that were asked for, and those that run.
    let calloutPort: CalloutPort
    var callouts = Slab<Callout>(chunkCount: 32, countMax: CalloutPort.calloutsMax)
    var firstCallout: UnsafeMutablePointer<Callout>?
    /// Where the bodies stand in an exchange: looked up once, because a key path is not folded.
    let requestBodyOffset = MemoryLayout<Exchange>.offset(of: \.requestBody) ?? 0
    let responseBodyOffset = MemoryLayout<Exchange>.offset(of: \.responseBody) ?? 0

    /// Where reads go: one buffer, always warm in the cache.
    let scratch: UnsafeMutablePointer<UInt8>
    /// Where reads of HTTP/2 go: `scratch` is used while their frames are looked at.
    let sessionInput: UnsafeMutablePointer<UInt8>
    /// Where heads of HTTP/2 are written as those of HTTP/1, and a block of fields is made.
    let headText: UnsafeMutablePointer<UInt8>
    let fieldBlock: UnsafeMutablePointer<UInt8>
    /// Where names and values of a block are decoded.
    let fieldScratch: UnsafeMutablePointer<UInt8>
    /// Where heads are written.
    let out: UnsafeMutablePointer<UInt8>
    /// Framing around a chunk: its size line, and what follows its data.
    let chunkLine: UnsafeMutablePointer<UInt8>
    let chunkTail: UnsafeMutablePointer<UInt8>
    /// By peer: the session of its last TLS connection.
    let sessions: UnsafeMutablePointer<TLSSessionSlot>
    /// What is to be sent by TLS.
    let ciphertext: UnsafeMutablePointer<TLSOutput>
    let requestFields: UnsafeMutablePointer<FieldSpan>
    let responseFields: UnsafeMutablePointer<FieldSpan>
    let slots: UnsafeMutablePointer<UnsafeMutableRawPointer?>
    let pools: UnsafeMutablePointer<PeerPool>
    /// By peer: how many are in the pool, for other workers.
    let idleCounts: UnsafeMutablePointer<Atomic<UInt32>>
    /// The worker that is asked first, in turn.
    var nextAsked = 0
    let pickCall: UnsafeMutablePointer<sluice_pick>
    let responseLimits: HeadLimits
    let dateText: UnsafeMutablePointer<UInt8>
    /// What came behind the head that is being handled: still in the scratch buffer.
    var rest: UnsafeMutablePointer<UInt8>
    var restCount = 0
    var restOwner: UnsafeMutablePointer<Downstream>?
    /// What came behind a response's head whose hooks are running.
    var arrived = Arrived()
    /// What came on a stream to a peer and was not looked at yet: still where it was read.
    var arrivedContent = Arrived()
    var arrivedStream: UnsafeMutablePointer<Upstream>?
    var dateSecond: Int64 = -1
    /// The client address that was written last: requests of one client come together, and writing
    /// it costs more than comparing it.
    var lastIP = IPAddress()
    var lastIPCount = 0
    let lastIPText: UnsafeMutablePointer<UInt8>

    /// Bytes that lie where the next read would go.
    struct Arrived {
        var bytes: UnsafeMutablePointer<UInt8>?
        var count = 0
    }

    /// Where connections come from; events name them by their place.
    var listening: [ListeningSocket]
    var areListenersPaused = false
    let listenerTimer: UnsafeMutablePointer<TimerNode>
    var isDraining = false
    var connectionCount = 0
    /// Of HTTP/2 to clients.
    var http2 = H2Counters()
    /// CLOCK_MONOTONIC at the begin of the batch.
    var nowNanoseconds: UInt64
    /// The same in milliseconds: what deadlines count in.
    var now: UInt64
    var requestNumber: UInt64

    /// All connections of clients.
    var firstOpen: UnsafeMutablePointer<Downstream>?
    var queued: UnsafeMutablePointer<Downstream>?
    var queuedPeers: UnsafeMutablePointer<Upstream>?
    var deadDownstreams: UnsafeMutablePointer<Downstream>?
    var deadUpstreams: UnsafeMutablePointer<Upstream>?
    var deadExchanges: UnsafeMutablePointer<Exchange>?

    /// Bytes of one read.
    static let scratchBytes = 262_144
    /// Bytes of a read that may bring a head, so that a new head and all that came with it fit one
    /// block.
    static let headReadBytes = 131_072
    /// Bytes of a head that the host writes.
    static let headOutBytes = 130_048
    /// Bytes of one read of HTTP/2, the first of which may have been a read of a head.
    static let sessionInputBytes = headReadBytes
    static let headTextBytes = 131_072
    /// Bytes of a block of fields: each of those that `out` may hold takes a few bytes more.
    static let fieldBlockBytes = 262_144
    /// Of the longest block that a connection takes, and the largest table.
    static let fieldScratchBytes = HPACKDecoder.scratchBytes(
        blockBytes: H2Limits().headerBlockBytesMax,
        tableBytesMax: HPACKDecoder.tableBytesMax
    )
    /// Times that a session's streams are asked for more before others get their turn.
    static let sendTurnsMax = 4
    /// Reads of one connection before others get their turn.
    static let turnsMax = 4

    /// - Parameters:
    ///   - listening: sockets of the plan's listeners; the worker closes them.
    ///   - mailbox: where the messages of other threads come from.
    ///   - mailboxes: of all workers, by their index, this one's included, to ask for idle
    ///     connections; empty when it is alone.
    package init(
        index: Int,
        plan: Plan,
        listening: [ListeningSocket],
        mailbox: Mailbox<WorkerMessage>,
        mailboxes: [Mailbox<WorkerMessage>] = [],
        poller: consuming Epoll
    ) {
        self.poller = poller
        self.index = index
        self.plan = plan
        self.listening = listening
        self.mailbox = mailbox
        self.mailboxes = mailboxes
        idleCounts = plan.idleCounts.row(index)
        port = WorkerPort.of(worker: index)
        taskTimer = .allocate(capacity: 1)
        taskTimer.initialize(to: TimerNode(kind: TimerKind.tasks))
        listeners = plan.listeners
        peers = plan.peers
        routes = plan.routes
        globalChain = plan.globalChain
        nowNanoseconds = Clock.monotonicNanoseconds()
        now = nowNanoseconds / 1_000_000
        timers = TimerWheel(now: now)
        log = ErrorLog(level: plan.logLevel, source: "worker", index: index)
        downstreams = Slab(chunkCount: 512, countMax: .max / 2)
        upstreams = Slab(chunkCount: 128, countMax: .max / 2)
        precondition(MemoryLayout<Exchange>.stride <= Exchange.blockBytes / 2)
        exchanges = Slab(chunkCount: 64, countMax: .max / 2, stride: Exchange.blockBytes)
        scratch = .allocate(capacity: Self.scratchBytes)
        guard let output = TLSOutput() else { preconditionFailure("no memory") }
        ciphertext = .allocate(capacity: 1)
        ciphertext.initialize(to: output)
        sessions = .allocate(capacity: max(plan.peerCount, 1))
        sessions.initialize(repeating: TLSSessionSlot(), count: max(plan.peerCount, 1))
        rest = scratch
        sessionInput = .allocate(capacity: Self.sessionInputBytes)
        headText = .allocate(capacity: Self.headTextBytes)
        fieldBlock = .allocate(capacity: Self.fieldBlockBytes)
        fieldScratch = .allocate(capacity: Self.fieldScratchBytes)
        out = .allocate(capacity: Self.headOutBytes + 1_024)
        chunkLine = .allocate(capacity: 32)
        chunkTail = .allocate(capacity: ChunkLimits.trailerBytesMax + 64)
        requestFields = .allocate(capacity: plan.fieldsMax)
        responseFields = .allocate(capacity: plan.fieldsMax)
        slots = .allocate(capacity: max(plan.instances.count, 1))
        slots.initialize(repeating: nil, count: max(plan.instances.count, 1))
        suspensions = Slab(chunkCount: 128, countMax: WaitTable.waitsMax)
        waits = WaitTable(worker: index) { mailbox.post(.resume($0)) }
        calls = HookCall(
            worker: WorkerLinks(slots: slots, waits: .passUnretained(waits), workerIndex: index)
        )
        Suspensions.register(waits, worker: index)
        calloutPort = CalloutPort.of(worker: index)
        pools = .allocate(capacity: max(plan.peerCount, 1))
        pools.initialize(repeating: PeerPool(), count: max(plan.peerCount, 1))
        pickCall = .allocate(capacity: 1)
        pickCall.initialize(to: sluice_pick())
        dateText = .allocate(capacity: 32)
        lastIPText = .allocate(capacity: IPAddress.textBytesMax)
        lastIPText.initialize(repeating: 0, count: IPAddress.textBytesMax)
        var limits = HeadLimits()
        limits.headBytesMax = ResponseLimits.headBytesMax
        limits.fieldCountMax = ResponseLimits.fieldsMax
        responseLimits = limits
        listenerTimer = .allocate(capacity: 1)
        listenerTimer.initialize(to: TimerNode(kind: TimerKind.listeners))
        requestNumber = UInt64(index) << 48
    }

    /// Begins to watch the listeners and the mailbox; once, before `run`.
    package mutating func start() throws(Errno) {
        for place in listening.indices { try watchListener(place) }
        try poller.add(input: mailbox.descriptor, token: Token.mailbox, shared: false)
    }

    deinit {
        scratch.deallocate()
        for peer in 0..<plan.peerCount { sessions[peer].clear() }
        sessions.deallocate()
        ciphertext.deinitialize(count: 1)
        ciphertext.deallocate()
        sessionInput.deallocate()
        headText.deallocate()
        fieldBlock.deallocate()
        fieldScratch.deallocate()
        out.deallocate()
        chunkLine.deallocate()
        chunkTail.deallocate()
        requestFields.deallocate()
        responseFields.deallocate()
        slots.deallocate()
        pools.deallocate()
        pickCall.deallocate()
        dateText.deallocate()
        lastIPText.deallocate()
        listenerTimer.deallocate()
        taskTimer.deallocate()
    }

    /// Serves until it is told to drain and the last request has ended.
    package mutating func run() {
        begin()
        while !isDraining || connectionCount > 0 {
            let count = poller.wait(milliseconds: millisecondsToNext())
            turn(events: count, now: Clock.monotonicNanoseconds())
        }
        end()
    }

    // The steps of `run`, for an engine that turns the loop itself.

    /// Starts the instances on this worker; once, before the first turn.
    package mutating func begin() {
        ThreadRole.enter(.worker(index))
        for instance in plan.instances { slots[instance.index] = instance.startWorker(index) }
        openPort()
    }

    /// The longest that the next wait may take: milliseconds, -1 for ever.
    @inline(__always)
    package mutating func millisecondsToNext() -> Int32 {
        armTasks()
        return isIdle ? timers.millisecondsToNext(now: now) : 0
    }

    /// Waits for events and returns their number, for `turn`.
    package mutating func wait(milliseconds: Int32) -> Int {
        poller.wait(milliseconds: milliseconds)
    }

    /// A turn of the loop.
    ///
    /// - Parameters:
    ///   - count: events of the last wait.
    ///   - time: nanoseconds of the monotonic clock; never less than in the turn before.
    @inline(__always)
    package mutating func turn(events count: Int, now time: UInt64) {
        nowNanoseconds = time
        now = nowNanoseconds / 1_000_000
        for event in 0..<count { dispatch(poller.event(event)) }
        runQueued()
        while let node = timers.popExpired(now: now) { expire(node) }
        if calloutPort.hasRequests { beginCallouts() }
        reap()
    }

    /// Lets go of everything; once, after the last turn.
    package mutating func end() {
        logHTTP2()
        while let callout = firstCallout { end(callout) }
        for peer in 0..<plan.peerCount {
            while let connection = pools[peer].first { closeUpstream(connection) }
            while let session = pools[peer].firstSession?.pointee.session {
                session.pointee.connection.finishShutdown()
                losePeerSession(session)
            }
        }
        closeMailbox()
        reap()
        port.close()
        for instance in plan.instances { instance.stopWorker(index, slots[instance.index]) }
    }

    /// Whether nothing is left to do before the next event, timer or message.
    @inline(__always)
    package var isIdle: Bool {
        queued == nil && queuedPeers == nil && !calloutPort.hasRequests
    }

    /// Connections of clients that are open.
    package var openConnections: Int { connectionCount }

    /// Waits of requests that nobody has ended.
    package var waitCount: Int { waits.count }

    // MARK: Events

    /// What an event belongs to: an address with a kind in its unused upper bits.
    enum Token {
        static let kindShift: UInt64 = 56
        static let downstream: UInt64 = 1
        static let upstream: UInt64 = 2
        static let listenerKind: UInt64 = 3
        static let mailbox: UInt64 = 4 << kindShift

        static func listener(_ index: Int) -> UInt64 {
            listenerKind << kindShift | UInt64(index)
        }

        static func make(_ kind: UInt64, _ address: UnsafeMutableRawPointer) -> UInt64 {
            kind << kindShift | UInt64(UInt(bitPattern: address))
        }

        static func address(_ token: UInt64) -> UnsafeMutableRawPointer? {
            UnsafeMutableRawPointer(bitPattern: UInt(token & (1 << kindShift &- 1)))
        }
    }

    @inline(__always)
    private mutating func dispatch(_ event: (token: UInt64, readiness: Readiness)) {
        switch event.token >> Token.kindShift {
        case Token.downstream:
            // Safe: tokens are made from elements of the slab, whose memory stays.
            guard let address = Token.address(event.token) else { return }
            downstreamEvent(address.assumingMemoryBound(to: Downstream.self), event.readiness)
        case Token.upstream:
            guard let address = Token.address(event.token) else { return }
            upstreamEvent(address.assumingMemoryBound(to: Upstream.self), event.readiness)
        case Token.listenerKind:
            accept(Int(event.token & 0xffff))
        default:
            for message in mailbox.take() {
                switch message {
                case .drain: drain()
                case .endTunnels: endTunnels()
                case .ping(let round): round.answer()
                case .tasks: port.runTasks()
                case .resume(let end): resume(end)
                case .ask(let request): give(request)
                case .gift(let gift): receive(gift)
                }
            }
        }
    }

    /// Notes what an event says about a connection.
    @inline(__always)
    static func note(_ readiness: Readiness, in flags: inout ConnectionFlags) {
        if readiness.rawValue
            & (Readiness.readable.rawValue | Readiness.readClosed.rawValue
                | Readiness.closed.rawValue | Readiness.failed.rawValue) != 0
        {
            flags.insert(.readable)
        }
        if readiness.rawValue
            & (Readiness.readClosed.rawValue | Readiness.closed.rawValue
                | Readiness.failed.rawValue) != 0
        {
            flags.insert(.readClosed)
            if readiness.rawValue & (Readiness.failed.rawValue | Readiness.closed.rawValue) != 0 {
                flags.insert(.failed)
            }
        }
    }

    private mutating func downstreamEvent(
        _ down: UnsafeMutablePointer<Downstream>,
        _ readiness: Readiness
    ) {
        guard !down.pointee.flags.contains(.dead) else { return }
        Self.note(readiness, in: &down.pointee.flags)
        advance(down)
    }

    /// Goes on with a client's connection as far as it can go now.
    mutating func advance(_ down: UnsafeMutablePointer<Downstream>) {
        if down.wire.hasPending, !down.wire.flushPending(&down.pointee.flags) {
            lose(down)
            return
        }
        switch down.pointee.state {
        case .proxyHeader: readProxyHeader(down)
        case .handshake: handshake(down)
        case .idle, .head: readRequests(down)
        case .exchange:
            guard let exchange = down.pointee.exchange else { return }
            advance(exchange)
        case .multiplexed: serve(down)
        case .lingering: linger(down)
        }
    }

    private mutating func upstreamEvent(
        _ up: UnsafeMutablePointer<Upstream>,
        _ readiness: Readiness
    ) {
        guard !up.pointee.flags.contains(.dead) else { return }
        Self.note(readiness, in: &up.pointee.flags)
        if up.wire.hasPending { _ = up.wire.flushPending(&up.pointee.flags) }
        switch up.pointee.state {
        case .connecting, .handshake: connectEvent(up)
        case .idle: idleEvent(up)
        case .asked: return
        case .active:
            guard let exchange = up.pointee.exchange else {
                if let callout = up.pointee.callout { advance(callout) }
                return
            }
            advance(exchange)
        case .multiplexed: servePeer(up)
        }
    }

    /// Goes on with an exchange in both directions as far as they can go now.
    mutating func advance(_ exchange: UnsafeMutablePointer<Exchange>) {
        guard !exchange.pointee.isEnded else { return }
        if exchange.pointee.down.pointee.flags.contains(.readClosed), clientWentAway(exchange) {
            return
        }
        switch exchange.pointee.response {
        case .none: return
        case .collect:
            collectRequest(exchange)
            return
        case .tunnel:
            pumpTunnel(exchange)
            return
        case .drain:
            drainRequestBody(exchange)
            return
        case .head, .waiting, .body: break
        }
        if !exchange.pointee.requestBody.isFinished {
            pumpRequest(exchange)
            if exchange.pointee.isEnded { return }
        }
        switch exchange.pointee.response {
        case .head: readResponseHead(exchange)
        case .body: pumpResponse(exchange)
        case .tunnel: pumpTunnel(exchange)
        case .drain, .none, .collect, .waiting: break
        }
    }
}
