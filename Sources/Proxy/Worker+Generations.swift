import CSluice
import HTTP
import PluginHost
import Reactor
import Sys
import TLS

/// Going over from one plan to another between two events, and letting go of the one before when
/// nothing of it is left.
///
/// A request ends with the plan that it began with: it holds its generation. Connections go on with
/// whatever their listener's plan is when their next request begins.
extension Worker {
    // MARK: What requests hold

    /// The generation that a request of this connection begins with, which it holds until
    /// `leave`.
    @inline(__always)
    mutating func enterGeneration(
        _ down: UnsafeMutablePointer<Downstream>
    ) -> UnsafeMutablePointer<Generation> {
        var generation = places[Int(down.pointee.listener)].generation
        if let trial, generation == current, isInTrial { generation = trial }
        generation.pointee.holders &+= 1
        return generation
    }

    @inline(never)
    private var isInTrial: Bool {
        UInt32(truncatingIfNeeded: Sys.Process.randomWord() & 0xffff) < trialShare
    }

    /// A request has ended.
    @inline(__always)
    mutating func leave(_ exchange: UnsafeMutablePointer<Exchange>) {
        let generation = exchange.pointee.generation
        if generation.pointee.counts != nil { count(exchange) }
        release(generation)
    }

    @inline(never)
    private func count(_ exchange: UnsafeMutablePointer<Exchange>) {
        let begin = exchange.pointee.context.facts.time_start
        exchange.pointee.generation.pointee.counts?.note(
            failed: exchange.pointee.context.facts.status >= 500
                || exchange.pointee.outcome == UInt32(SLUICE_OUTCOME_UPSTREAM_CUT)
                || exchange.pointee.outcome == UInt32(SLUICE_OUTCOME_RESET),
            nanoseconds: begin == 0 || begin > nowNanoseconds ? 0 : nowNanoseconds &- begin
        )
    }

    /// One holder less.
    @inline(__always)
    mutating func release(_ generation: UnsafeMutablePointer<Generation>) {
        generation.pointee.holders &-= 1
        if generation.pointee.isRetired, generation.pointee.holders == 0 {
            reports?.send(index, .drained(generation.pointee.number))
        }
    }

    /// Nothing new begins with a generation.
    private func end(_ generation: UnsafeMutablePointer<Generation>) {
        generation.pointee.isRetired = true
        if generation.pointee.holders == 0 {
            reports?.send(index, .drained(generation.pointee.number))
        }
    }

    // MARK: Going over

    /// Makes a plan's peers and listeners known here; when the worker is made.
    mutating func enter(_ plan: Plan) {
        calls.worker.pointee.isCounting = Metrics.haveReader
        for index in plan.peerIndices { makePool(of: index) }
        for (order, index) in plan.listenerIndices.enumerated() {
            places.advanced(by: index).initialize(
                to: ListenerPlace(generation: current, order: Int32(order))
            )
        }
    }

    /// Requests that begin from now on do so with this plan.
    mutating func adopt(_ adoption: Adoption) {
        let plan = adoption.plan
        guard !isDraining else {
            // What it has left ends with what it began with.
            for socket in adoption.listening
            where !listening.contains(where: { $0.fd == socket.fd }) {
                Syscall.close(socket.fd)
            }
            reports?.send(index, .adopted(plan.number))
            return
        }
        let old = current
        if let trial, trial.pointee.number == plan.number {
            current = trial
        } else {
            current = Generation.make(plan)
            startInstances(of: current)
        }
        begin(nil)
        moveConnections(plan)
        enter(plan)
        replaceListening(adoption.listening)
        log.setLevel(plan.logLevel)
        end(old)
        reports?.send(index, .adopted(plan.number))
    }

    /// Gives connections to the listeners that take the place of theirs, and ends those whose
    /// listener is gone.
    private mutating func moveConnections(_ plan: Plan) {
        var moves: [Int: Int] = [:]
        for move in plan.listenerMoves { moves[move.from] = move.to }
        let kept = Set(plan.listenerIndices)
        var next = firstOpen
        while let down = next {
            next = down.pointee.nextOpen
            let listener = Int(down.pointee.listener)
            guard !kept.contains(listener), !down.pointee.flags.contains(.leaves) else { continue }
            if let to = moves[listener] {
                down.pointee.listener = UInt16(to)
                moveStreams(down, to)
                continue
            }
            down.pointee.flags.insert(.leaves)
            places[listener].generation.pointee.holders &+= 1
            drain(down)
        }
    }

    private func moveStreams(_ down: UnsafeMutablePointer<Downstream>, _ listener: Int) {
        guard down.pointee.state == .multiplexed else { return }
        var next = down.pointee.session?.pointee.firstStream
        while let stream = next {
            next = stream.pointee.nextOpen
            stream.pointee.listener = UInt16(listener)
        }
    }

    private mutating func replaceListening(_ sockets: [ListeningSocket]) {
        for place in listening.indices where listening[place].fd >= 0 {
            let fd = listening[place].fd
            if let socket = sockets.first(where: { $0.fd == fd }) {
                listening[place].listener = socket.listener
            } else {
                closeListening(place)
            }
        }
        for socket in sockets where !listening.contains(where: { $0.fd == socket.fd }) {
            let place = listening.firstIndex { $0.fd < 0 } ?? listening.endIndex
            if place == listening.endIndex {
                listening.append(socket)
            } else {
                listening[place] = socket
            }
            guard !areListenersPaused else { continue }
            do throws(Errno) {
                try watch(listening: place)
            } catch {
                log.write(1) { line in
                    line.text("listener not watched: ")
                    line.text(error.description)
                }
            }
        }
    }

    /// A share of the requests begins with another plan from now on; nil ends that.
    mutating func begin(_ order: Trial?) {
        if let old = trial, old != current, old.pointee.number != order?.plan.number {
            trial = nil
            old.pointee.counts = nil
            end(old)
        }
        current.pointee.counts = nil
        guard let order, !isDraining else {
            trial = nil
            return
        }
        trialShare = order.share
        if trial == nil {
            let generation = Generation.make(order.plan)
            for index in order.plan.peerIndices { makePool(of: index) }
            startInstances(of: generation)
            trial = generation
        }
        trial?.pointee.counts = order.plan.counts(ofWorker: index)
        current.pointee.counts = order.baseline.counts(ofWorker: index)
        reports?.send(index, .adopted(order.plan.number))
    }

    // MARK: Instances

    /// Starts those of a generation that do not run here yet.
    mutating func startInstances(of generation: UnsafeMutablePointer<Generation>) {
        let instances = generation.pointee.plan._withUnsafeGuaranteedRef { $0.instances }
        for instance in instances
        where !running.contains(where: { $0 === instance }) {
            slots[instance.index] = instance.startWorker(index)
            running.append(instance)
        }
        boundHooks()
    }

    /// Looks at the time of hooks when any of those that run here is bounded.
    private mutating func boundHooks() {
        hookBudget = running.map(\.hookNanoseconds).filter { $0 > 0 }.min() ?? 0
    }

    /// Nanoseconds that instances have to send what they keep, when the process ends.
    private static var drainNanoseconds: UInt64 { 5_000_000_000 }

    /// Lets instances send what they keep, and turns the loop until their callouts have ended.
    ///
    /// No request is left. Callouts of the others, as of one that asks a service again and again,
    /// are not waited for.
    mutating func drainInstances() {
        let draining = running.filter(\.drains)
        guard !draining.isEmpty else { return }
        for instance in draining { instance.drainWorker(slots[instance.index]) }
        let deadline = Clock.monotonicNanoseconds() &+ Self.drainNanoseconds
        while calloutPort.hasRequests || hasCallouts(of: draining) {
            let time = Clock.monotonicNanoseconds()
            guard time < deadline else { return }
            let left = Int32((deadline - time) / 1_000_000 + 1)
            let next = millisecondsToNext()
            let count = poller.wait(milliseconds: next < 0 ? left : min(next, left))
            turn(events: count, now: Clock.monotonicNanoseconds())
        }
    }

    private func hasCallouts(of instances: [PluginInstance]) -> Bool {
        var next = firstCallout
        while let callout = next {
            next = callout.pointee.next
            guard callout.pointee.probe < 0 else { continue }
            let isTheirs = callout.pointee.request._withUnsafeGuaranteedRef { request in
                instances.contains { request.isOf($0) }
            }
            if isTheirs { return true }
        }
        return false
    }

    /// Stops all.
    mutating func stopInstances() {
        for instance in running { instance.stopWorker(index, slots[instance.index]) }
        running = []
    }

    // MARK: Peers

    private mutating func makePool(of peer: Int) {
        guard peer >= knownPeers else {
            pools[peer].isRetired = false
            return
        }
        let count = peer &+ 1 &- knownPeers
        pools.advanced(by: knownPeers).initialize(repeating: PeerPool(), count: count)
        sessions.advanced(by: knownPeers).initialize(repeating: TLSSessionSlot(), count: count)
        knownPeers = peer &+ 1
    }

    /// Closes the connections to a peer that lie idle.
    mutating func closePool(of peer: Int) {
        while let connection = pools[peer].first { closeUpstream(connection) }
        while let session = pools[peer].firstSession?.pointee.session {
            session.pointee.connection.finishShutdown()
            losePeerSession(session)
        }
    }

    // MARK: Letting go

    /// Stops what no live plan has: no request of its generation is left on any worker.
    mutating func retire(_ retirement: Retirement) {
        for instance in retirement.instances {
            endCallouts(of: instance)
            guard let place = running.firstIndex(where: { $0 === instance }) else { continue }
            running.remove(at: place)
            instance.stopWorker(index, slots[instance.index])
            slots[instance.index] = nil
            calls.forget(instance)
        }
        boundHooks()
        closeKept(to: Set(retirement.peers))
        for peer in retirement.peers where peer < knownPeers {
            closePool(of: peer)
            sessions[peer].clear()
            // An answer of another worker may still be on its way.
            let asked = pools[peer].asked
            pools[peer] = PeerPool()
            pools[peer].asked = asked
            pools[peer].isRetired = true
        }
        reports?.send(index, .retired(retirement.number))
    }

    /// Closes the connections to peers that stand for a client and lie idle.
    private mutating func closeKept(to peers: Set<Int>) {
        guard !peers.isEmpty else { return }
        var next = firstOpen
        while let down = next {
            next = down.pointee.nextOpen
            if let up = down.pointee.keptUpstream, peers.contains(Int(up.pointee.peer)) {
                closeUpstream(up)
            }
        }
    }
}
