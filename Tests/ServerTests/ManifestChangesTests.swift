import Proxy
import Sys
import TLS
import Testing

@testable import Server

struct ManifestChangesTests {
    /// What changes from one manifest to the next, plugins left aside.
    private func lines(_ change: (inout ProxySettings) -> Void) throws -> [String] {
        var settings = ProxySettings()
        settings.listeners = ["127.0.0.1:1", "127.0.0.1:2"].map { ListenerSettings(address: $0) }
        var upstream = UpstreamSettings(name: "app")
        upstream.peers = ["127.0.0.1:80", "127.0.0.2:80"].map { PeerSettings(address: $0) }
        settings.upstreams = [upstream]
        settings.routes = ["first", "second"].map { RouteSettings(name: $0) }
        var next = settings
        change(&next)
        let tls = TLSContexts(settings)
        let address = try #require(SocketAddress(numericHost: "127.0.0.1", port: 1))
        let plan = try Plan(
            settings,
            instances: [],
            addresses: [address, address],
            peerAddresses: [[address, address]],
            tls: tls,
            tables: PlanTables(workerCount: 1),
            descriptorLimit: 1_024
        )
        let running = Running(
            settings: settings,
            plan: plan,
            plugins: [],
            tls: tls,
            sockets: []
        )
        let linked = Set(next.plugins.map(\.libraryPath))
        return ManifestChanges(from: running, to: next, PluginStage(next, linked: linked)).lines
    }

    @Test
    func `the same manifest changes nothing`() throws {
        #expect(try lines { _ in } == [])
    }

    @Test
    func `what only a new process reads says so`() throws {
        let changed = try lines {
            $0.service.user = "www"
            $0.service.errorLog = "/var/log/sluice.log"
            $0.lifecycle.shutdownGrace += 1
            $0.lifecycle.reloadGrace += 1
            $0.backgroundRequests += 1
            $0.hangTime += 1
        }
        #expect(
            changed == [
                "~ user: with a restart", "~ error_log: with a restart", "~ reload_grace",
                "~ background_requests",
                "~ shutdown_grace: with the next process", "~ watchdog.hang: with the next process",
            ]
        )
    }

    @Test
    func `listeners come, go and change`() throws {
        let changed = try lines {
            $0.listeners[0].limits.requests = 7
            $0.listeners[1].address = "127.0.0.1:3"
        }
        #expect(
            changed == [
                "- listeners: 127.0.0.1:2", "~ listeners: 127.0.0.1:1", "+ listeners: 127.0.0.1:3",
            ]
        )
    }

    @Test
    func `listeners of one address are told apart`() throws {
        let changed = try lines {
            $0.listeners[1].address = "127.0.0.1:1"
        }
        #expect(changed == ["- listeners: 127.0.0.1:2", "+ listeners: 127.0.0.1:1 (2)"])
    }

    @Test
    func `peers are named, other settings of an upstream are not`() throws {
        let peers = try lines {
            $0.upstreams[0].peers = [
                PeerSettings(address: "127.0.0.2:80"), PeerSettings(address: "127.0.0.3:80"),
            ]
        }
        #expect(peers == ["~ upstreams.app: peers +127.0.0.3:80 -127.0.0.1:80"])
        #expect(try lines { $0.upstreams[0].timeouts.connect = 7 } == ["~ upstreams.app"])
        #expect(
            try lines { $0.upstreams[0].name = "other" }
                == ["- upstreams.app", "+ upstreams.other"]
        )
    }

    @Test
    func `routes come, go, change, and change their order`() throws {
        #expect(try lines { $0.routes.swapAt(0, 1) } == ["~ routes: their order"])
        #expect(try lines { $0.routes.removeFirst() } == ["- route first"])
        #expect(try lines { $0.routes[1].upstream = "app" } == ["~ route second"])
        #expect(
            try lines { $0.routes.insert(RouteSettings(name: "new"), at: 0) } == ["+ route new"],
            "a place that others make way for is no change of theirs"
        )
    }

    @Test
    func `the chain, the log's level and new plugins`() throws {
        let changed = try lines {
            $0.logLevel = .debug
            $0.chain = ["one"]
            $0.plugins = [PluginSettings(name: "one", libraryPath: "/one.so")]
        }
        #expect(
            changed == ["~ log.level: info -> debug", "+ plugins.one", "~ chain: [] -> [one]"]
        )
    }
}
