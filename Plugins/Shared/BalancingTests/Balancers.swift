import Ketama
import LeastConnections
import Maglev
import Random
import RoundRobin
import SluiceTestKit
import Testing

/// The five balancers, for tests of what they do alike.
enum Balancers: String, CaseIterable, Sendable {
    case roundRobin
    case ketama
    case maglev
    case random
    case leastConnections
    case leastOfAll

    /// An instance, with the keys of the configuration that all have.
    func plugin(
        _ configuration: [String: TestValue] = [:],
        host: FakeHost = FakeHost(),
        workers: Int = 1
    ) throws -> PluginFixture {
        var configuration = configuration
        if self == .leastOfAll { configuration["choices"] = "all" }
        let value = TestValue.object(configuration)
        switch self {
        case .roundRobin:
            return try PluginFixture(RoundRobinBalancer.self, value, host: host, workers: workers)
        case .ketama:
            return try PluginFixture(KetamaBalancer.self, value, host: host, workers: workers)
        case .maglev:
            return try PluginFixture(MaglevBalancer.self, value, host: host, workers: workers)
        case .random:
            return try PluginFixture(RandomBalancer.self, value, host: host, workers: workers)
        case .leastConnections, .leastOfAll:
            return try PluginFixture(
                LeastConnectionsBalancer.self,
                value,
                host: host,
                workers: workers
            )
        }
    }

    /// A table of an instance of its own.
    func table(
        _ peers: [BalancerFixture.TestPeer],
        _ configuration: [String: TestValue] = [:],
        workers: Int = 1
    ) throws -> BalancerFixture {
        let plugin = try plugin(configuration, workers: workers)
        return try #require(BalancerFixture(plugin, peers, workers: workers))
    }

    /// The line with which an instance is refused; nil when it is made.
    func refusal(_ configuration: [String: TestValue], host: FakeHost = FakeHost()) -> String? {
        do {
            _ = try plugin(configuration, host: host)
            return nil
        } catch let refused as PluginFixture.Refused {
            return refused.line
        } catch {
            return "\(error)"
        }
    }
}

extension BalancerFixture {
    /// How often each peer comes first.
    func firsts(_ peers: Int, picks: Int, keyed: Bool = true) -> [Int] {
        var counts = [Int](repeating: 0, count: peers)
        for number in 0..<picks {
            if let first = pick(hashKey: keyed ? "key-\(number)" : nil)?.first {
                counts[first] += 1
            }
        }
        return counts
    }
}
