import SluiceSDK
import Testing

@testable import Discovery

/// Sets of peers: their order, what changes, and what of them outlives an instance.
struct PeerListTests {
    static func peer(
        _ address: String,
        weight: Int = 1,
        priority: Int = 0,
        isDraining: Bool = false
    ) -> DiscoveredPeer {
        DiscoveredPeer(
            address: Array(address.utf8),
            weight: weight,
            priority: priority,
            isDraining: isDraining
        )
    }

    static func list(_ addresses: String...) -> PeerList {
        PeerList(addresses.map { peer($0) })
    }

    @Test func `the order does not depend on the source's`() {
        let list = Self.list("10.0.0.2:80", "[::1]:80", "10.0.0.1:80")
        #expect(list == Self.list("[::1]:80", "10.0.0.1:80", "10.0.0.2:80"))
        #expect(list.peers.count == 3)
    }

    @Test func `of one address the most important one stays`() {
        let list = PeerList([
            Self.peer("10.0.0.1:80", weight: 9, priority: 1), Self.peer("10.0.0.1:80", weight: 2),
            Self.peer("10.0.0.1:80", weight: 5),
        ])
        #expect(list.peers == [Self.peer("10.0.0.1:80", weight: 5)])
    }

    @Test func `changes are named`() {
        let old = Self.list("10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80")
        let new = PeerList([
            Self.peer("10.0.0.2:80", weight: 2), Self.peer("10.0.0.3:80"),
            Self.peer("10.0.0.4:80"),
        ])
        let change = new.change(from: old)
        #expect(
            change.text
                == "1 added (10.0.0.4:80), 1 removed (10.0.0.1:80), 1 changed (10.0.0.2:80)"
        )
        #expect(old.change(from: old).isEmpty)
        #expect(new.change(from: PeerList([])).added.count == 3)
        #expect(PeerList([]).change(from: new).removed.count == 3)
    }

    @Test func `a long list is cut`() {
        let many = PeerList((1...20).map { Self.peer("10.0.0.\($0):80") })
        let text = many.change(from: PeerList([])).text
        #expect(text.hasPrefix("20 added (10.0.0.10:80, "))
        #expect(text.hasSuffix(", and more)"))
    }

    // MARK: State

    static let entries = [
        SavedPeers.Entry(upstream: [0x61], source: [0x62], peers: PeerList([])),
        SavedPeers.Entry(
            upstream: [0x63],
            source: [],
            peers: PeerList([
                Self.peer("10.0.0.1:80", weight: 3, priority: 4),
                Self.peer("10.0.0.2:80", weight: 1, priority: 0, isDraining: true),
                DiscoveredPeer(address: Array("[::1]:1".utf8), isBackup: true, zone: [0x7A]),
            ])
        ),
    ]

    static func decode(_ bytes: [UInt8]) throws -> [SavedPeers.Entry] {
        let copy = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: max(bytes.count, 1))
        defer { copy.deallocate() }
        _ = copy.initialize(from: bytes)
        return try SavedPeers.decode(
            Bytes(UnsafePointer(try #require(copy.baseAddress)), count: bytes.count)
        )
    }

    @Test func `a state is read as it was written`() throws {
        #expect(try Self.decode(SavedPeers.encode(Self.entries)) == Self.entries)
        #expect(try Self.decode(SavedPeers.encode([])) == [])
    }

    @Test func `no part of a state is a state, nor is one with more behind it`() {
        let state = SavedPeers.encode(Self.entries)
        for count in 0..<state.count {
            #expect(throws: PluginError.self) { try Self.decode(Array(state.prefix(count))) }
        }
        #expect(throws: PluginError.self) { try Self.decode(state + [0]) }
        #expect(throws: PluginError.self) { try Self.decode([2] + state.dropFirst()) }
    }

    @Test func `a changed state is a good one or none`() throws {
        let state = SavedPeers.encode(Self.entries)
        for place in state.indices {
            for bit in 0..<8 {
                var changed = state
                changed[place] ^= 1 << UInt8(bit)
                guard let entries = try? Self.decode(changed) else { continue }
                for peer in entries.flatMap(\.peers.peers) {
                    #expect(peer.address.withBytes { DiscoveredPeer.address($0) } == peer.address)
                    #expect((1...65_535).contains(peer.weight))
                }
            }
        }
    }
}
