import HTTP
import PluginHost
import Synchronization
import Sys
import Testing

@testable import Proxy

struct PlanTests {
    // MARK: AddressCounts

    private func ip(_ text: String) throws -> IPAddress {
        try #require(SocketAddress(numericHost: text, port: 0)).ip
    }

    @Test(arguments: [1, 2, 3])
    func `an address has as many connections as it may`(most: Int) throws {
        let counts = AddressCounts(most: most)
        let one = try ip("192.0.2.1")
        for _ in 0..<most { #expect(counts.add(one)) }
        #expect(!counts.add(one))
        #expect(!counts.add(one))
        let other = try ip("2001:db8::1")
        #expect(counts.add(other), "each address has its own count")
        counts.remove(one)
        #expect(counts.add(one))
        #expect(!counts.add(one))
    }

    @Test
    func `an address that nobody counted is not removed`() throws {
        let counts = AddressCounts(most: 1)
        let one = try ip("192.0.2.1")
        counts.remove(one)
        counts.remove(one)
        #expect(counts.add(one))
        #expect(!counts.add(one))
        counts.remove(one)
        counts.remove(one)
        #expect(counts.add(one))
        #expect(!counts.add(one))
    }

    @Test
    func `an IPv4 address is the same inside IPv6`() throws {
        let counts = AddressCounts(most: 1)
        let plain = try ip("192.0.2.1")
        let mapped = try ip("::ffff:192.0.2.1")
        #expect(counts.add(plain))
        #expect(!counts.add(mapped))
    }

    @Test
    func `workers count together`() throws {
        let counts = AddressCounts(most: 4_000)
        let one = try ip("192.0.2.1")
        let threads = (0..<4).map { index in
            PinnedThread.start(name: "worker-\(index)") {
                for _ in 0..<2_000 {
                    _ = counts.add(one)
                    counts.remove(one)
                    _ = counts.add(one)
                }
            }
        }
        for thread in threads { thread.join() }
        counts.remove(one)
        #expect(counts.add(one))
        #expect(!counts.add(one))
    }

    // MARK: ListenerPlan

    private func plan(
        descriptorLimit: Int = 1_024,
        _ change: (inout ListenerSettings) -> Void = { _ in }
    ) throws -> ListenerPlan {
        var settings = ListenerSettings(address: "127.0.0.1:0")
        change(&settings)
        let address = try #require(SocketAddress(numericHost: "127.0.0.1", port: 0))
        return ListenerPlan(
            settings,
            address: address,
            descriptorLimit: descriptorLimit,
            meter: Meter(workers: 1, words: ListenerWords.count)
        )
    }

    @Test
    func `a listener without settings has the defaults`() throws {
        let plan = try plan()
        #expect(plan.head.headBytesMax == 32_768)
        #expect(plan.head.fieldCountMax == 100)
        #expect(plan.head.targetBytesMax == 8_192)
        #expect(plan.bodyBytesMax == 1_073_741_824)
        #expect(plan.connectionsMax == 768)
        #expect(plan.connections.pointee.load(ordering: .relaxed) == 0)
        #expect(plan.addresses == nil)
        #expect(plan.text.count == 11)
        #expect(plan.settings == ListenerSettings(address: "127.0.0.1:0"))
    }

    @Test
    func `settings take the place of defaults`() throws {
        let plan = try plan {
            $0.limits.headBytes = 256
            $0.limits.fields = 1
            $0.limits.targetBytes = 100
            $0.limits.bodyBytes = nil
            $0.limits.connections = 7
            $0.limits.connectionsPerAddress = 2
        }
        #expect(plan.head.headBytesMax == 256)
        #expect(plan.head.fieldCountMax == 1)
        #expect(plan.head.targetBytesMax == 100)
        #expect(plan.bodyBytesMax == .max)
        #expect(plan.connectionsMax == 7)
        let addresses = try #require(plan.addresses)
        let one = try ip("192.0.2.1")
        #expect(
            [addresses.add(one), addresses.add(one), addresses.add(one)] == [true, true, false]
        )
    }

    @Test(arguments: [(0, 1), (1, 1), (3, 1), (4, 3), (7, 3), (8, 6), (1_048_576, 786_432)])
    func `connections are bounded by the process's descriptors`(limit: Int, most: Int) throws {
        #expect(try plan(descriptorLimit: limit).connectionsMax == most)
    }

    @Test
    func `clients never share a bound with another listener`() throws {
        let first = try plan()
        let second = try plan()
        #expect(first.connections != second.connections)
    }
}
