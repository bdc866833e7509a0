internal import PluginHost
internal import Proxy
internal import Reactor
internal import Sys

/// Peers that plugins discover: the sets that they give (`set_peers` of `sluice.peers/1`) become a
/// plan of the same plugins, as a reload would make it.
extension Generations {
    /// Milliseconds between two plans that differ in their peers: of sets that come faster, the
    /// last counts.
    static let peersPauseMilliseconds: UInt64 = 100
    /// With more generations that wait for their last request, sets wait too: the others are for
    /// operators.
    static let retiringForPeersMax = retiringMax / 2

    /// Settings with the peers that were discovered in place of the manifest's.
    func withDiscovered(
        _ settings: ProxySettings,
        _ discovered: [String: [NewPeer]]? = nil
    ) -> ProxySettings {
        settings.withPeers(discovered ?? self.discovered)
    }

    /// Shows plugins and operators the peers that are served now.
    func publishPeers() {
        var upstreams = running.plan.directory(running.settings)
        discovered = discovered.filter { name, _ in
            upstreams.contains { $0.name == name && $0.isDiscovered }
        }
        for place in upstreams.indices {
            // With a balancer they are in the plan.
            guard !upstreams[place].hasBalancer else { continue }
            let draining = discovered[upstreams[place].name]?.filter(\.isDraining) ?? []
            upstreams[place].peers += draining.map(\.entry)
        }
        PeerDirectory.shared.publish(upstreams)
    }

    /// Puts the sets that plugins gave in use, when it is time for it. [control]
    func usePeers() {
        let now = Clock.kernelNanoseconds()
        guard arePeersDue, now >= nextPeers, canary == nil else { return }
        nextPeers = now + Self.peersPauseMilliseconds * 1_000_000
        guard retiring.count < Self.retiringForPeersMax else {
            if !arePeersHeld {
                log.write(2) { line in
                    line.text("discovered peers are not used yet: too many generations wait for ")
                    line.text("their last request; `sluice status` names what holds them")
                }
            }
            arePeersHeld = true
            return
        }
        arePeersHeld = false
        arePeersDue = false
        var sets = discovered
        for (name, set) in PeerDirectory.shared.takeSets() { sets[name] = set }
        let settings = withDiscovered(running.settings, sets)
        guard settings.upstreams != running.settings.upstreams else {
            discovered = sets
            publishPeers()
            return
        }
        let lines = Self.changes(from: running.settings, to: settings)
        do throws(PluginError) {
            let plan = try plan(settings)
            discovered = sets
            var next = running
            next.settings = settings
            next.plan = plan
            _ = switchOver(to: next, keepsWatch: true)
            for text in lines { log.write(3) { $0.text(text) } }
        } catch {
            let reason = error.description
            log.write(1) { $0.text("discovered peers are not used: \(reason)") }
        }
    }

    /// A plan of what runs, but for its peers.
    private func plan(_ settings: ProxySettings) throws(PluginError) -> Plan {
        let before = running
        return try Plan(
            settings,
            instances: before.plan.instances,
            addresses: before.plan.listenerIndices.map { before.plan.address(ofListener: $0) },
            peerAddresses: settings.upstreams.map { upstream in
                var ordinals: [String: Int] = [:]
                return upstream.peers.map { peer in
                    let ordinal = ordinals[peer.address, default: 0]
                    ordinals[peer.address] = ordinal + 1
                    // Names were resolved when their plan was made; sets have none.
                    return before.plan.address(
                        ofPeer: peer.address,
                        ordinal: ordinal,
                        in: upstream.name
                    ) ?? SocketAddress(peer.address) ?? SocketAddress()
                }
            },
            tls: before.tls,
            tables: before.plan.tables,
            previous: before.plan,
            number: nextNumber(),
            descriptorLimit: Process.raiseDescriptorLimit()
        )
    }

    private static func changes(from now: ProxySettings, to next: ProxySettings) -> [String] {
        zip(now.upstreams, next.upstreams).compactMap { old, new in
            guard old.peers != new.peers else { return nil }
            let before = Set(old.peers.map(\.address))
            let after = Set(new.peers.map(\.address))
            let parts =
                after.subtracting(before).sorted().map { "+\($0)" }
                + before.subtracting(after).sorted().map { "-\($0)" }
                + draining(new).subtracting(draining(old)).sorted().map { "draining \($0)" }
            let shown = parts.prefix(shownMax).joined(separator: " ")
            let more = parts.count > shownMax ? " and \(parts.count - shownMax) more" : ""
            return "upstream \(new.name): peers: \(new.peers.count) \(shown)\(more)"
        }
    }

    private static func draining(_ upstream: UpstreamSettings) -> Set<String> {
        Set(upstream.peers.filter(\.isDraining).map(\.address))
    }

    /// Addresses in one line of the log.
    private static let shownMax = 16
}

extension ProxySettings {
    /// The same with sets of peers, by upstream, where peers are discovered.
    ///
    /// Those that drain stay for the sessions that a balancer keeps with them, until a set leaves
    /// them out; without a balancer nothing can be with them.
    func withPeers(_ sets: [String: [NewPeer]]) -> ProxySettings {
        var settings = self
        for place in settings.upstreams.indices where settings.upstreams[place].isDiscovered {
            guard let set = sets[settings.upstreams[place].name] else { continue }
            let keepsDraining = settings.upstreams[place].balancer != nil
            settings.upstreams[place].peers =
                set.filter { keepsDraining || !$0.isDraining }.map(\.settings)
        }
        return settings
    }
}

extension NewPeer {
    fileprivate var settings: PeerSettings {
        var settings = PeerSettings(address: address)
        settings.weight = weight
        settings.priority = priority
        settings.zone = zone.isEmpty ? nil : zone
        settings.isBackup = isBackup
        settings.isDraining = isDraining
        return settings
    }

    fileprivate var entry: PeerDirectory.Peer {
        var peer = PeerDirectory.Peer(address)
        peer.weight = weight
        peer.priority = priority
        peer.zone = zone
        peer.isBackup = isBackup
        peer.isDraining = true
        return peer
    }
}
