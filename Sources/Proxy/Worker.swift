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
    ///
    /// With `handsOver` another process takes the connections that follow, and idle ones stay: a
    /// client that goes on using its connection is told that it was the last request, and does not
    /// find it closed. A second message without it ends them.
    case drain(handsOver: Bool)
    /// End the tunnels that stand.
    case endTunnels
    /// Cuts what still goes on with a generation.
    case cut(generation: UInt32)
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
    /// Requests that begin from now on do so with another plan.
    case adopt(Adoption)
    /// A share of them does so; nil ends that.
    case attempt(Trial?)
    /// Name what holds generations.
    case census(Census)
    /// Stop what no plan has any more.
    case retire(Retirement)
    /// Requests that wait for a limit of an upstream may find room.
    case room(UpstreamRoom)
}

/// Names the upstream at which another worker has made room.
package struct UpstreamRoom: Sendable {
    let load: UpstreamLoad
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
    let tables: PlanTables
    let listeners: UnsafeMutablePointer<ListenerPlan>
    let peers: UnsafeMutablePointer<PeerPlan>
    /// What requests begin with, unless their listener says otherwise.
    var current: UnsafeMutablePointer<Generation>
    /// What a share of them begins with, of 65,536; nil without a trial.
    var trial: UnsafeMutablePointer<Generation>?
    var trialShare: UInt32 = 0
    /// By listener.
    let places: UnsafeMutablePointer<ListenerPlace>
    /// Where the control thread hears of generations; nil when nobody asks.
    let reports: GenerationReports?
    /// Peers below it have a pool.
    var knownPeers = 0
    /// Instances that have a slot here.
    var running: [PluginInstance] = []
    let mailbox: Mailbox<WorkerMessage>
    /// Of all workers, by their index; empty when there is no other.
    let mailboxes: [Mailbox<WorkerMessage>]
    let port: WorkerPort
    let taskTimer: UnsafeMutablePointer<TimerNode>
    /// The least time that a plugin's hooks may take, in nanoseconds; 0 when none is bounded.
    var hookBudget: UInt64 = 0
    /// When hooks are no more timed; 0 when they are not.
    var timedUntil: UInt64 = 0

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
    /// Counts what probes do, which nobody asks for.
    let probeLoad: UpstreamLoad
    /// Of plugins' probes; those below `probeCount` are made.
    let probes = UnsafeMutablePointer<ProbeSlot>.allocate(capacity: ProbeSlot.countMax)
    var probeCount = 0
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
    /// Bit per peer of an upstream: what a balancer is asked to leave out.
    let leftOut: UnsafeMutablePointer<UInt64>
    /// The limit for which the last choice or connect of an attempt came to nothing.
    var limitHit = UpstreamLimit.none
    /// Queues of requests that wait for a limit and may find room now.
    var dueQueues: UnsafeMutablePointer<PendingQueue>?
    /// The worker that is woken next when there is room, in turn.
    var nextWoken = 0
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

    /// An element keeps its place for as long as its socket is watched.
    var listening: [ListeningSocket]
    var areListenersPaused = false
    let listenerTimer: UnsafeMutablePointer<TimerNode>
    var isDraining = false
    /// It drains, and connections that are idle may be used once more.
    var keepsIdle = false
    var connectionCount = 0
    /// What stands for clients where there are none, and how many those are.
    var firstAbsent: UnsafeMutablePointer<Downstream>?
    var absentCount = 0
    /// Of HTTP/2 to clients.
    var http2: H2Counters
    /// CLOCK_MONOTONIC at the begin of the batch.
    var nowNanoseconds: UInt64
    /// The same in milliseconds: what deadlines count in.
    var now: UInt64
    var requestNumber: UInt64
    /// Clients' connections that were accepted.
    var acceptedCount: UInt64 = 0
    /// Where the worker counts what is of no route, upstream or listener, and requests before they
    /// have a route.
    let ownRow: MeterRow
    /// Requests until the next one whose hooks are timed.
    var unsampled = HookSampling.period
    let unroutedRow: MeterRow
    let times: Buckets
    let sizes: Buckets

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
    /// Bits for each of the peers that an upstream may have, 65,535.
    static let leftOutWords = 1_024
    /// Of a head: what a manifest may allow at most, and what a response may have.
    static let fieldsMax = max(DownstreamLimits.fieldsMax, ResponseLimits.fieldsMax)
    /// Times that a session's streams are asked for more before others get their turn.
    static let sendTurnsMax = 4
    /// Reads of one connection before others get their turn.
    static let turnsMax = 4

    /// - Parameters:
    ///   - listening: sockets of the plan's listeners; the worker closes them.
    ///   - mailbox: where the messages of other threads come from.
    ///   - mailboxes: of all workers, by their index, this one's included, to ask for idle
    ///     connections; empty when it is alone.
    ///   - reports: where it says how far it is with other plans.
    package init(
        index: Int,
        plan: Plan,
        listening: [ListeningSocket],
        mailbox: Mailbox<WorkerMessage>,
        mailboxes: [Mailbox<WorkerMessage>] = [],
        reports: GenerationReports? = nil,
        poller: consuming Epoll
    ) {
        self.poller = poller
        self.index = index
        self.listening = listening
        self.mailbox = mailbox
        self.mailboxes = mailboxes
        self.reports = reports
        tables = plan.tables
        current = Generation.make(plan)
        places = .allocate(capacity: PlanTables.listenersMax)
        idleCounts = tables.idleCounts.row(index)
        port = WorkerPort.of(worker: index)
        taskTimer = Self.timer(TimerKind.tasks)
        listeners = tables.listeners
        peers = tables.peers
        nowNanoseconds = Clock.monotonicNanoseconds()
        now = nowNanoseconds / 1_000_000
        timers = TimerWheel(now: now)
        log = ErrorLog(level: plan.logLevel, source: "worker", index: index)
        downstreams = Slab(chunkCount: 512, countMax: .max / 2)
        upstreams = Slab(chunkCount: 128, countMax: .max / 2)
        precondition(MemoryLayout<Exchange>.stride <= Exchange.blockBytes / 2)
        exchanges = Slab(chunkCount: 64, countMax: .max / 2, stride: Exchange.blockBytes)
        scratch = .allocate(capacity: Self.scratchBytes)
        ciphertext = Self.makeOutput()
        sessions = .allocate(capacity: tables.peerRoom)
        rest = scratch
        sessionInput = .allocate(capacity: Self.sessionInputBytes)
        headText = .allocate(capacity: Self.headTextBytes)
        fieldBlock = .allocate(capacity: Self.fieldBlockBytes)
        fieldScratch = .allocate(capacity: Self.fieldScratchBytes)
        out = .allocate(capacity: Self.headOutBytes + 1_024)
        chunkLine = .allocate(capacity: 32)
        chunkTail = .allocate(capacity: ChunkLimits.trailerBytesMax + 64)
        requestFields = .allocate(capacity: Self.fieldsMax)
        responseFields = .allocate(capacity: Self.fieldsMax)
        slots = .allocate(capacity: PlanTables.instancesMax)
        probeLoad = UpstreamLoad(workers: plan.tables.workerCount)
        slots.initialize(repeating: nil, count: PlanTables.instancesMax)
        suspensions = Slab(chunkCount: 128, countMax: WaitTable.waitsMax)
        waits = WaitTable(worker: index) { mailbox.post(.resume($0)) }
        calls = HookCall(
            worker: WorkerLinks(slots: slots, waits: .passUnretained(waits), workerIndex: index)
        )
        Suspensions.register(waits, worker: index)
        calloutPort = CalloutPort.of(worker: index)
        pools = .allocate(capacity: tables.peerRoom)
        pickCall = .allocate(capacity: 1)
        pickCall.initialize(to: sluice_pick())
        leftOut = .allocate(capacity: Self.leftOutWords)
        dateText = .allocate(capacity: 32)
        lastIPText = Self.zeroes(IPAddress.textBytesMax)
        responseLimits = ResponseLimits.head
        listenerTimer = Self.timer(TimerKind.listeners)
        requestNumber = UInt64(index) << 48
        ownRow = tables.meters.workers.row(index)
        unroutedRow = tables.meters.unrouted.row(index)
        times = .times
        sizes = .sizes
        http2 = H2Counters(ownRow + WorkerWords.http2)
        enter(plan)
    }

    private static func makeOutput() -> UnsafeMutablePointer<TLSOutput> {
        guard let output = TLSOutput() else { preconditionFailure("no memory") }
        let memory = UnsafeMutablePointer<TLSOutput>.allocate(capacity: 1)
        memory.initialize(to: output)
        return memory
    }

    private static func timer(_ kind: UInt8) -> UnsafeMutablePointer<TimerNode> {
        let node = UnsafeMutablePointer<TimerNode>.allocate(capacity: 1)
        node.initialize(to: TimerNode(kind: kind))
        return node
    }

    private static func zeroes(_ count: Int) -> UnsafeMutablePointer<UInt8> {
        let bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: count)
        bytes.initialize(repeating: 0, count: count)
        return bytes
    }

    /// Begins to watch the listeners and the mailbox; once, before `run`.
    package mutating func start() throws(Errno) {
        for at in listening.indices { try watch(listening: at) }
        try poller.add(input: mailbox.descriptor, token: Token.mailbox, shared: false)
    }

    deinit {
        scratch.deallocate()
        for peer in 0..<knownPeers { sessions[peer].clear() }
        for place in 0..<probeCount { sessions[probes[place].peer].clear() }
        sessions.deallocate()
        probes.deallocate()
        places.deallocate()
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
        leftOut.deallocate()
        dateText.deallocate()
        lastIPText.deallocate()
        listenerTimer.deallocate()
        taskTimer.deallocate()
    }

    /// Serves until it is told to drain and the last request has ended.
    package mutating func run() {
        Watchdog.add(WorkerLinks.crumb(calls.worker))
        begin()
        while !isDraining || openConnections > 0 {
            let count = poller.wait(milliseconds: millisecondsToNext())
            turn(events: count, now: Clock.monotonicNanoseconds())
        }
        drainInstances()
        end()
        Watchdog.remove(WorkerLinks.crumb(calls.worker))
    }

    // The steps of `run`, for an engine that turns the loop itself.

    /// Starts the instances on this worker; once, before the first turn.
    package mutating func begin() {
        ThreadRole.enter(.worker(index))
        Breadcrumb.use(WorkerLinks.crumb(calls.worker))
        ownRow[WorkerWords.thread].store(UInt64(clamping: Usage.thread), ordering: .relaxed)
        startInstances(of: current)
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
        calls.worker.pointee.crumb.turns &+= 1
        if hookBudget != 0 { watchHooks(time) }
        nowNanoseconds = time
        now = nowNanoseconds / 1_000_000
        for event in 0..<count { dispatch(poller.event(event)) }
        runQueued()
        while let node = timers.popExpired(now: now) { expire(node) }
        if calloutPort.hasRequests { beginCallouts() }
        if dueQueues != nil { serveWaiting() }
        reap()
    }

    /// Lets go of everything; once, after the last turn.
    package mutating func end() {
        logHTTP2()
        while let callout = firstCallout { end(callout) }
        for peer in 0..<knownPeers { closePool(of: peer) }
        closeProbes()
        closeMailbox()
        reap()
        port.close()
        stopInstances()
    }

    /// Whether nothing is left to do before the next event, timer or message.
    @inline(__always)
    package var isIdle: Bool {
        queued == nil && queuedPeers == nil && !calloutPort.hasRequests
    }

    /// Connections of clients that are open, and requests that go on without one.
    package var openConnections: Int { connectionCount &+ absentCount }

    /// Waits of requests that nobody has ended.
    package var waitCount: Int { waits.count }
}
