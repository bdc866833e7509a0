import CSluice
import HTTP
import PluginHost
import Reactor
import Synchronization
import Sys
import TLS

/// What a probe of a worker is made with: a peer and an upstream of its own, so that nothing of it
/// is ever pooled or counted.
struct ProbeSlot {
    /// At a fixed address, and filled anew for each probe.
    let upstream: UnsafeMutablePointer<UpstreamPlan>
    /// Its only peer's index in the tables.
    let peer: Int
    let peerIndices: UnsafeMutablePointer<Int32>
    let load: UnsafeMutablePointer<sluice_peer_load>
    let connections: UnsafeMutablePointer<Atomic<Int>>
    var isBusy = false
    /// The turn of the loop in which its last probe ended: until that turn is over, connections
    /// that were closed still point here.
    var freedTurn: UInt64 = 0
    /// Where it failed, and why; `SLUICE_PROBE_DONE` while it has not.
    var step = UInt32(SLUICE_PROBE_DONE)
    var reason = ""

    /// Of one worker: some more than probes may run, since a connection of HTTP/2 may take a moment
    /// to say good-bye.
    static let countMax = 2 * ProbeOrder.probesMax
}

/// Probes of peers (`sluice.peers/1`): callouts with a connection of their own.
extension Worker {
    /// The slot of a probe's peer; nil of any other peer.
    @inline(__always)
    func probeSlot(of peer: Int) -> UnsafeMutablePointer<ProbeSlot>? {
        peer < PlanTables.peersMax ? nil : probes + (peer &- firstProbePeer)
    }

    private var firstProbePeer: Int { PlanTables.peersMax &+ index &* ProbeSlot.countMax }

    /// A place for a probe, made ready for it; nil when there is none.
    mutating func takeProbe(
        _ order: ProbeOrder,
        _ upstream: UnsafeMutablePointer<UpstreamPlan>,
        milliseconds: Int
    ) -> Int32? {
        guard let place = freeProbe() else { return nil }
        let slot = probes + place
        let peer = slot.pointee.peer
        let original = peers[order.index]
        let tls: TLSClientContext? =
            switch Int(order.tls) {
            case Int(SLUICE_PROBE_TLS_OFF): nil
            case Int(SLUICE_PROBE_TLS_OWN): order.tlsContext.map { ProbeContexts.context($0) }
            default: upstream.pointee.tls
            }
        let address =
            order.port == 0
            ? original.address : original.address.replacing(port: order.port)
        slot.pointee.load.pointee = sluice_peer_load()
        // Safe: the entry is this worker's alone, and nothing of its last probe is left.
        let entry = tables.peers + peer
        entry.initialize(
            to: PeerPlan(
                probing: original,
                address,
                load: slot.pointee.load,
                connections: slot.pointee.connections,
                probeLoad
            )
        )
        slot.pointee.upstream.initialize(
            to: UpstreamPlan(
                probing: upstream.pointee,
                order,
                tls: tls,
                peerIndices: slot.pointee.peerIndices,
                milliseconds: milliseconds,
                meter: tables.meters.probes
            )
        )
        slot.pointee.isBusy = true
        slot.pointee.step = UInt32(SLUICE_PROBE_DONE)
        slot.pointee.reason = ""
        return Int32(place)
    }

    private mutating func freeProbe() -> Int? {
        let turn = calls.worker.pointee.crumb.turns
        for place in 0..<probeCount {
            let slot = probes + place
            let peer = slot.pointee.peer
            if !slot.pointee.isBusy, slot.pointee.freedTurn != turn,
                pools[peer].firstSession == nil
            {
                (tables.peers + peer).deinitialize(count: 1)
                slot.pointee.upstream.deinitialize(count: 1)
                pools[peer] = PeerPool()
                return place
            }
        }
        guard probeCount < ProbeSlot.countMax else { return nil }
        let place = probeCount
        probeCount &+= 1
        let peer = firstProbePeer &+ place
        let indices = UnsafeMutablePointer<Int32>.allocate(capacity: 1)
        indices.initialize(to: Int32(peer))
        let load = UnsafeMutablePointer<sluice_peer_load>.allocate(capacity: 1)
        load.initialize(to: sluice_peer_load())
        let connections = UnsafeMutablePointer<Atomic<Int>>.allocate(capacity: 1)
        connections.initialize(to: Atomic(0))
        (probes + place).initialize(
            to: ProbeSlot(
                upstream: .allocate(capacity: 1),
                peer: peer,
                peerIndices: indices,
                load: load,
                connections: connections
            )
        )
        (pools + peer).initialize(to: PeerPool())
        (sessions + peer).initialize(to: TLSSessionSlot())
        return place
    }

    /// The probe is over.
    mutating func giveProbe(_ place: Int32) {
        let slot = probes + Int(place)
        slot.pointee.isBusy = false
        slot.pointee.freedTurn = calls.worker.pointee.crumb.turns
        sessions[slot.pointee.peer].clear()
    }

    /// Closes all that probes have left; when the worker ends.
    mutating func closeProbes() {
        for place in 0..<probeCount { closePool(of: probes[place].peer) }
    }

    // MARK: Steps

    /// Makes the connection: once, for a probe tries nothing again.
    mutating func attemptProbe(_ callout: UnsafeMutablePointer<Callout>) {
        let upstream = callout.pointee.upstream
        let peer = probes[Int(callout.pointee.probe)].peer
        guard callout.pointee.attempts == 0 else {
            completeProbe(callout, SLUICE_CALL_FAILED)
            return
        }
        callout.pointee.attempts = 1
        if upstream.pointee.speaks == .h1 {
            if connect(callout, peer) { return }
        } else if openStream(peer, upstream, for: .callout(callout)) {
            return
        }
        completeProbe(callout, SLUICE_CALL_FAILED)
    }

    /// Whether a connection is all that a probe wants.
    func wantsConnectionAlone(_ callout: UnsafeMutablePointer<Callout>?) -> Bool {
        guard let callout, callout.pointee.probe >= 0 else { return false }
        return callout.pointee.request._withUnsafeGuaranteedRef {
            $0.probe?.speaks == UInt32(SLUICE_PROBE_TCP)
        }
    }

    /// Notes where a probe failed, for its result; false for any other peer.
    mutating func noteProbe(_ peer: Int, _ step: Int, _ reason: String) -> Bool {
        guard let slot = probeSlot(of: peer) else { return false }
        if slot.pointee.step == UInt32(SLUICE_PROBE_DONE) {
            slot.pointee.step = UInt32(step)
            slot.pointee.reason = reason
        }
        return true
    }

    /// The step that a probe is in.
    private func step(of callout: UnsafeMutablePointer<Callout>) -> Int {
        if callout.pointee.hasHead { return SLUICE_PROBE_BODY }
        guard let up = callout.pointee.up else { return SLUICE_PROBE_CONNECT }
        var state = up.pointee.state
        if up.pointee.isStream, let session = up.pointee.session,
            case .peer(let owner, _) = session.pointee.end
        {
            state = owner.pointee.state
        }
        return switch state {
        case .connecting: SLUICE_PROBE_CONNECT
        case .handshake: SLUICE_PROBE_HANDSHAKE
        default: SLUICE_PROBE_REQUEST
        }
    }

    // MARK: The result

    /// Tells the plugin what came of its probe, and frees it.
    mutating func completeProbe(_ callout: UnsafeMutablePointer<Callout>, _ outcome: Int) {
        let slot = probes + Int(callout.pointee.probe)
        let reached = step(of: callout)
        var result = sluice_probe_result()
        result.size = UInt32(MemoryLayout<sluice_probe_result>.size)
        result.duration_ns = Clock.monotonicNanoseconds() &- callout.pointee.began
        var arena = Arena(block: UnsafeMutableRawPointer(scratch), count: 65_536)
        switch outcome {
        case SLUICE_CALL_OK: break
        case SLUICE_CALL_TIMEOUT:
            result.is_timeout = 1
            _ = noteProbe(slot.pointee.peer, reached, "timed out")
        case SLUICE_CALL_TOO_LARGE:
            _ = noteProbe(slot.pointee.peer, SLUICE_PROBE_BODY, "the body is too long")
        default:
            let reason =
                reached == SLUICE_PROBE_REQUEST
                ? "no whole response came" : "the connection ended"
            _ = noteProbe(slot.pointee.peer, reached, reason)
        }
        unbindProbe(callout, isWhole: outcome == SLUICE_CALL_OK)
        if outcome == SLUICE_CALL_OK, callout.pointee.hasHead { fill(&result, callout, &arena) }
        result.step = slot.pointee.step
        var reason = slot.pointee.reason
        let request = callout.pointee.request.takeUnretainedValue()
        let isWanted = !calloutPort.isCancelled(request)
        calloutPort.ended(request)
        if isWanted {
            let worker = index
            reason.withUTF8 { text in
                result.reason = sluice_slice(ptr: text.baseAddress, len: UInt64(text.count))
                request.finish(worker: worker, &result)
            }
        }
        arena.release()
        free(callout)
    }

    private mutating func fill(
        _ result: inout sluice_probe_result,
        _ callout: UnsafeMutablePointer<Callout>,
        _ arena: inout Arena
    ) {
        guard let view = calloutView(callout, &arena) else {
            _ = noteProbe(
                probes[Int(callout.pointee.probe)].peer,
                SLUICE_PROBE_REQUEST,
                "its head is too large"
            )
            return
        }
        result.status = UInt32(callout.pointee.response.status)
        result.headers = view
        result.body = sluice_slice(
            ptr: callout.pointee.body.bytes.map { UnsafePointer($0) },
            len: UInt64(callout.pointee.body.count)
        )
        guard let trailer = callout.pointee.pipe.trailer else { return }
        var (count, consumed) = (0, 0)
        let outcome = HeadParser.parseTrailers(
            trailer.bytes,
            count: callout.pointee.pipe.trailerCount,
            fields: responseFields,
            fieldCount: &count,
            consumed: &consumed
        )
        guard outcome == .complete else { return }
        var message = Message(
            isRequest: false,
            head: UnsafePointer(trailer.bytes),
            fields: responseFields
        )
        message.fieldCount = count
        result.trailers = calls.makeView(of: &message, &arena)
    }

    /// A request for a probe that could not even begin.
    func failProbe(_ request: CalloutRequest) {
        var result = sluice_probe_result()
        result.size = UInt32(MemoryLayout<sluice_probe_result>.size)
        result.step = UInt32(SLUICE_PROBE_CONNECT)
        result.reason = sluice_slice("there was no room for it")
        calloutPort.ended(request)
        request.finish(worker: index, &result)
    }

    private mutating func unbindProbe(
        _ callout: UnsafeMutablePointer<Callout>,
        isWhole: Bool
    ) {
        let peer = probes[Int(callout.pointee.probe)].peer
        unbind(callout, reuse: false)
        // After a whole response the connection says good-bye by itself, as it serves no more.
        if !isWhole { closePool(of: peer) }
    }
}

/// Contexts of TLS that plugins' probes have; kept for ever.
package enum ProbeContexts {
    /// Has plugins get contexts; before the first of them is made.
    package static func install() { PeerDirectory.shared.setOpening { open($0) } }

    static func context(_ pointer: OpaquePointer) -> TLSClientContext {
        // Safe: made by `open`, which never lets go.
        Unmanaged<TLSClientContext>.fromOpaque(UnsafeRawPointer(pointer)).takeUnretainedValue()
    }

    static func open(_ settings: ProbeTLS) -> (context: OpaquePointer?, problem: String) {
        var tls = TLSClientSettings()
        tls.verify = settings.verifies
        tls.serverName = settings.serverName.isEmpty ? nil : settings.serverName
        tls.ca = settings.authorities.isEmpty ? nil : settings.authorities
        tls.resumes = false
        do throws(TLSFailure) {
            let context = try TLSClientContext(tls, protocols: [.h2, .h1])
            return (OpaquePointer(Unmanaged.passRetained(context).toOpaque()), "")
        } catch {
            return (nil, error.lines.joined(separator: "; "))
        }
    }
}
