import PluginHost
import Sys
import Testing

@testable import Proxy

/// What the next plan has in common with the one before it.
struct PlanBuilderTests {
    private let tables = PlanTables(workerCount: 2)

    /// A manifest with one upstream of these peers.
    private func settings(
        _ peers: [String],
        listeners: [String] = ["127.0.0.1:1"]
    ) -> ProxySettings {
        var settings = ProxySettings()
        settings.listeners = listeners.map { ListenerSettings(address: $0) }
        var upstream = UpstreamSettings(name: "app")
        upstream.peers = peers.map { PeerSettings(address: $0) }
        settings.upstreams = [upstream]
        return settings
    }

    private func plan(
        _ settings: ProxySettings,
        after previous: Plan? = nil
    ) throws -> Plan {
        func address(_ text: String) throws -> SocketAddress {
            let port = try #require(text.split(separator: ":").last.flatMap { UInt16($0) })
            return try #require(SocketAddress(numericHost: "127.0.0.1", port: port))
        }
        return try Plan(
            settings,
            instances: [],
            addresses: try settings.listeners.map { try address($0.address) },
            peerAddresses: try settings.upstreams.map {
                try $0.peers.map { try address($0.address) }
            },
            tls: TLSContexts(settings),
            tables: tables,
            previous: previous,
            number: (previous?.number ?? 0) + 1,
            descriptorLimit: 1_024
        )
    }

    @Test
    func `what is the same keeps its place`() throws {
        let first = try plan(settings(["a:1", "b:2"], listeners: ["c:1", "d:2"]))
        #expect(first.peerIndices == [0, 1])
        #expect(first.listenerIndices == [0, 1])
        let second = try plan(settings(["b:2", "a:1"], listeners: ["d:2", "c:1"]), after: first)
        #expect(second.peerIndices == [1, 0])
        #expect(second.listenerIndices == [1, 0])
        #expect(second.listenerMoves.isEmpty)
    }

    @Test
    func `peers of the same address are told apart by their order`() throws {
        let first = try plan(settings(["a:1", "a:1", "b:2"]))
        let second = try plan(settings(["b:2", "a:1", "a:1", "a:1"]), after: first)
        #expect(second.peerIndices == [2, 0, 1, 3])
    }

    @Test
    func `a peer that is connected to in another way is another one, and goes on counting`() throws
    {
        var changed = settings(["a:1"])
        let first = try plan(changed)
        changed.upstreams[0].proxyProtocol = .v1
        let second = try plan(changed, after: first)
        #expect(second.peerIndices == [1])
        #expect(tables.peers[1].load == tables.peers[0].load)
    }

    @Test
    func `the same peer of another upstream is another one`() throws {
        var changed = settings(["a:1"])
        let first = try plan(changed)
        changed.upstreams[0].name = "other"
        let second = try plan(changed, after: first)
        #expect(second.peerIndices == [1])
        #expect(tables.peers[1].load != tables.peers[0].load)
    }

    @Test
    func `connections of a changed listener go on with the new one, and still count`() throws {
        var changed = settings([], listeners: ["c:1"])
        changed.listeners[0].limits.connectionsPerAddress = 2
        let first = try plan(changed)
        changed.listeners[0].limits.connectionsPerAddress = 3
        let second = try plan(changed, after: first)
        #expect(second.listenerIndices == [1])
        #expect(second.listenerMoves.map { [$0.from, $0.to] } == [[0, 1]])
        let (old, new) = (tables.listeners[0], tables.listeners[1])
        #expect(old.connections == new.connections)
        #expect(old.addresses === new.addresses)
    }

    @Test
    func `connections do not go on where they begin in another way`() throws {
        var changed = settings([], listeners: ["c:1"])
        let first = try plan(changed)
        changed.listeners[0].proxyProtocol = ProxyProtocolSettings()
        let second = try plan(changed, after: first)
        #expect(second.listenerMoves.isEmpty)
        #expect(tables.listeners[0].connections != tables.listeners[1].connections)
    }

    @Test
    func `places are free again once no live plan has them`() throws {
        let first = try plan(settings(["a:1", "b:2"], listeners: ["c:1", "d:2"]))
        let second = try plan(settings(["b:2"], listeners: ["d:2"]), after: first)
        #expect(first.peers(notIn: [second]) == [0])
        first.release(keeping: [second])
        let third = try plan(settings(["b:2", "e:3"], listeners: ["d:2", "f:3"]), after: second)
        #expect(third.peerIndices == [1, 0])
        #expect(third.listenerIndices == [1, 0])
    }

    @Test
    func `a plan that can't be built gives all places back`() throws {
        let first = try plan(settings(["a:1"]))
        while tables.freePeers.take() != nil {}
        tables.freePeers.give(500)
        let wanted = settings(["a:1", "b:2", "c:3"], listeners: ["127.0.0.1:1", "d:2"])
        let refused = #expect(throws: PluginError.self) { try plan(wanted, after: first) }
        #expect(refused?.description == "more than \(PlanTables.peersMax) peers are in use")
        #expect(tables.freePeers.take() == 500)
        #expect(tables.freePeers.take() == nil)
        #expect(tables.freeListeners.take() == 1)
        #expect(first.peerIndices == [0])
    }

    @Test
    func `listeners of all live plans are bounded`() throws {
        while tables.freeListeners.take() != nil {}
        let refused = #expect(throws: PluginError.self) { try plan(settings([])) }
        #expect(refused?.description == "more than \(PlanTables.listenersMax) listeners are in use")
        tables.freeListeners.give(9)
        #expect(try plan(settings([])).listenerIndices == [9])
    }

    @Test
    func `instances of all live plans are bounded`() throws {
        for index in 0..<PlanTables.instancesMax { #expect(try tables.takeInstance() == index) }
        #expect(throws: PluginError.self) { try tables.takeInstance() }
        tables.giveInstance(17)
        #expect(try tables.takeInstance() == 17)
    }
}
