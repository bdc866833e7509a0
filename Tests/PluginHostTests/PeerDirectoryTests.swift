import CSluice
import Synchronization
import Testing

@testable import PluginHost

/// A directory of the test's own, beside that of the process.
struct PeerDirectoryTests {
    private let directory = PeerDirectory()

    private func peer(_ address: String, id: UInt64) -> PeerDirectory.Peer {
        var peer = PeerDirectory.Peer(address)
        peer.id = id
        peer.load = .allocate(capacity: 1)
        peer.load?.initialize(to: sluice_peer_load())
        return peer
    }

    private func upstream(
        _ peers: [PeerDirectory.Peer],
        discovered: Bool = true,
        balanced: Bool = true
    ) -> PeerDirectory.Upstream {
        var upstream = PeerDirectory.Upstream(
            name: "app",
            isDiscovered: discovered,
            hasBalancer: balanced
        )
        upstream.peers = peers
        return upstream
    }

    private static func handle() -> InstanceHandle {
        InstanceHandle(name: "h", levelMax: 4, workerCount: 1, memoryBytesMax: 0)
    }

    private func version() -> UInt64? { directory.upstreams().first?.upstream.version }

    private func set(_ peers: [sluice_new_peer]) -> PeerDirectory.Refusal? {
        peers.withUnsafeBufferPointer { peers in
            do throws(PeerDirectory.Refusal) {
                try directory.set("app", to: peers)
                return nil
            } catch {
                return error
            }
        }
    }

    private func new(_ address: String, weight: UInt32 = 1) -> sluice_new_peer {
        var peer = sluice_new_peer()
        peer.address = sluice_slice(permanent: address)
        peer.weight = weight
        return peer
    }

    // MARK: What is served

    @Test func `a set that changes has a greater version, the same one has the same`() {
        let (a, b) = (peer("192.0.2.1:80", id: 1), peer("192.0.2.2:80", id: 2))
        directory.publish([upstream([a])])
        let first = version()
        directory.publish([upstream([a])])
        #expect(version() == first)
        directory.publish([upstream([a, b])])
        #expect(version() == first.map { $0 + 1 })
    }

    @Test func `what is announced and not served yet has no peers, and goes with another`() {
        directory.announce([upstream([], discovered: true)])
        #expect(set([new("192.0.2.1:80")]) == nil)
        #expect(directory.upstreams().isEmpty)
        directory.announce([])
        #expect(set([new("192.0.2.1:80")])?.code == Int32(SLUICE_ESTALE))
    }

    // MARK: Health

    private func word(_ peer: PeerDirectory.Peer) -> UInt64? { peer.load?.pointee.health }

    @Test func `balancers see what was said, unless the peer is used all the same`() {
        let a = peer("192.0.2.1:80", id: 1)
        directory.publish([upstream([a])])
        let handle = Self.handle()
        #expect(directory.setHealth(1, 1, 0, "status 503", by: handle) == SLUICE_OK)
        #expect(word(a) == 1)
        #expect(directory.setHealth(1, 2, 1, "panic", by: handle) == SLUICE_OK)
        #expect(word(a) == 0)
        let health = directory.upstreams().first?.health.first
        #expect(health?.state == 2 && health?.isUsed == true && health?.reason == "panic")
        #expect(directory.setHealth(1, 0, 0, "", by: handle) == SLUICE_OK)
        #expect(word(a) == 0)
    }

    @Test func `health stays over sets, and goes with the peer`() {
        let a = peer("192.0.2.1:80", id: 1)
        directory.publish([upstream([a])])
        let handle = Self.handle()
        _ = directory.setHealth(1, 1, 0, "x", by: handle)
        directory.publish([upstream([peer("192.0.2.2:80", id: 2), a])])
        #expect(directory.upstreams().first?.health.map(\.state) == [0, 1])
        directory.publish([upstream([])])
        #expect(directory.setHealth(1, 0, 0, "", by: handle) == SLUICE_ESTALE)
    }

    @Test func `what an instance said ends with it, unless another one has said more`() {
        let (a, b) = (peer("192.0.2.1:80", id: 1), peer("192.0.2.2:80", id: 2))
        directory.publish([upstream([a, b])])
        let (old, new) = (Self.handle(), Self.handle())
        for id in 1...2 { _ = directory.setHealth(UInt64(id), 1, 0, "old", by: old) }
        _ = directory.setHealth(2, 1, 0, "new", by: new)
        directory.forget(old)
        #expect(word(a) == 0)
        #expect(word(b) == 1)
    }

    @Test(arguments: [(3, 0), (0, 2), (.max, 0)] as [(UInt32, UInt32)])
    func `a state or a flag that is not known is refused`(state: UInt32, flags: UInt32) {
        directory.publish([upstream([peer("192.0.2.1:80", id: 1)])])
        let result = directory.setHealth(1, state, flags, "", by: Self.handle())
        #expect(result == SLUICE_EINVAL)
    }

    // MARK: Sets

    @Test func `the last of several sets is taken, and the wake comes once`() {
        directory.publish([upstream([])])
        let wakes = Mutex(0)
        directory.setWake { wakes.withLock { $0 += 1 } }
        #expect(set([new("192.0.2.1:80")]) == nil)
        #expect(set([new("[2001:db8::1]:80", weight: 0), new("unix:/run/a")]) == nil)
        #expect(wakes.withLock { $0 } == 1)
        let taken = directory.takeSets()["app"]
        #expect(taken?.map(\.address) == ["[2001:db8::1]:80", "unix:/run/a"])
        #expect(taken?.map(\.weight) == [1, 1])
        #expect(directory.takeSets().isEmpty)
        directory.setWake(nil)
    }

    @Test(arguments: [
        "", "192.0.2.1", "192.0.2.1:0", "192.0.2.1:65536", "name:80", "2001:db8::1", "unix:",
        "192.0.2.1:80\n",
    ])
    func `an address that is none is refused`(address: String) {
        directory.publish([upstream([])])
        #expect(set([new("192.0.2.9:80"), new(address)])?.code == Int32(SLUICE_EINVAL))
        #expect(directory.takeSets().isEmpty)
    }

    @Test func `bounds of a peer`() {
        directory.publish([upstream([])])
        #expect(set([new("192.0.2.1:80", weight: 65_535)]) == nil)
        #expect(set([new("192.0.2.1:80", weight: 65_536)])?.text.contains("weight") == true)
        var peer = new("192.0.2.1:80")
        peer.priority = 65_536
        #expect(set([peer])?.text.contains("priority") == true)
        peer.priority = 65_535
        peer.zone = sluice_slice(permanent: String(repeating: "z", count: 64))
        #expect(set([peer]) == nil)
        peer.zone = sluice_slice(permanent: String(repeating: "z", count: 65))
        #expect(set([peer])?.text.contains("zone") == true)
        peer.zone = sluice_slice()
        peer.flags = 4
        #expect(set([peer])?.text.contains("flags") == true)
    }

    @Test func `no address twice, and as many as there may be`() {
        directory.publish([upstream([])])
        let twice = set([new("192.0.2.1:80"), new("192.0.2.1:80")])
        #expect(twice?.text == "upstream app: peers[1]: 192.0.2.1:80 is peers[0], too")
        let many = (0..<65_535).map { new("10.0.\($0 / 250).\($0 % 250):80") }
        #expect(set(many) == nil)
        #expect(set(many + [new("192.0.2.1:80")])?.code == Int32(SLUICE_EINVAL))
    }

    @Test func `the manifest decides who takes a set`() {
        directory.publish([upstream([], discovered: false)])
        #expect(set([new("192.0.2.1:80")])?.code == Int32(SLUICE_ENOTSUP))
        directory.publish([upstream([], balanced: false)])
        #expect(set([new("192.0.2.1:80")]) == nil)
        #expect(set([new("192.0.2.1:80"), new("192.0.2.2:80")])?.code == Int32(SLUICE_EINVAL))
        var draining = new("192.0.2.2:80")
        draining.flags = UInt32(SLUICE_PEER_DRAINING)
        #expect(set([new("192.0.2.1:80"), draining]) == nil)
    }

    // MARK: Watching

    @Test func `an instance watches up to 64 times`() {
        let handle = Self.handle()
        let watch = PeerDirectory.Watch(
            handle: .passUnretained(handle),
            upstream: "",
            changed: { _, _, _, _ in },
            context: nil
        )
        for _ in 0..<64 { #expect(directory.watch(watch) == SLUICE_OK) }
        #expect(directory.watch(watch) == SLUICE_ENOMEM)
        directory.forget(handle)
        #expect(directory.watch(watch) == SLUICE_OK)
        withExtendedLifetime(handle) {}
    }
}
