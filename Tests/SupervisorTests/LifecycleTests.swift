import Admin
import Sys
import Testing

@testable import Supervisor

struct LifecycleTests {
    // MARK: Begin

    @Test func `the first process is started and told to begin`() throws {
        var scene = Scene()
        #expect(scene.happens(.begin) == ["start 1 /sluice"])
        scene.saysHello(1)
        #expect(scene.did == ["send 1 start"])
        #expect(scene.lastStart?.manifest == nil)
        try scene.isReady(1)
        #expect(scene.did == ["keep [1]"])
        #expect(scene.lifecycle.deadline == nil)
    }

    @Test(arguments: [(Int32(78), Int32(78)), (1, 1), (2, 2), (0, 1)])
    func `a first process that does not serve gives its code`(code: Int32, exit: Int32) {
        var scene = Scene()
        scene.happens(.begin)
        scene.saysHello(1)
        #expect(
            scene.happens(.ended(1, .exited(code), nil)) == ["close sockets", "exit \(exit)"]
        )
    }

    @Test func `a first process that crashes is not tried again`() {
        var scene = Scene()
        scene.happens(.begin)
        #expect(scene.crashes(1) == ["close sockets", "exit 1"])
    }

    @Test func `a program that can't be started is the end of a beginning`() {
        var scene = Scene()
        scene.happens(.begin)
        #expect(scene.happens(.notStarted(1, Errno(2))) == ["close sockets", "exit 1"])
    }

    @Test func `another version of the channel is not spoken with`() {
        var scene = Scene()
        scene.happens(.begin)
        #expect(
            scene.happens(.message(1, .hello(protocol: 2, resume: 1, process: 5))) == ["kill 1"]
        )
    }

    // MARK: Stop

    @Test func `TERM closes the sockets first and drains, and the end follows the process`() throws
    {
        var scene = try Scene.serving()
        #expect(scene.happens(.signal(.terminate)) == ["close sockets", "send 1 drain 30000"])
        #expect(scene.happens(.ended(1, .exited(0), nil)) == ["exit 0"])
    }

    @Test func `a second TERM ends at once`() throws {
        var scene = try Scene.serving()
        scene.happens(.signal(.terminate))
        #expect(scene.happens(.signal(.terminate)) == ["kill 1"])
        #expect(scene.happens(.ended(1, .signalled(9), nil)) == ["exit 0"])
    }

    @Test func `INT ends at once`() throws {
        var scene = try Scene.serving()
        #expect(scene.happens(.signal(.interrupt)) == ["close sockets", "kill 1"])
        #expect(scene.happens(.ended(1, .signalled(9), nil)) == ["exit 0"])
    }

    @Test func `TERM while the first process starts ends with 0`() {
        var scene = Scene()
        scene.happens(.begin)
        scene.saysHello(1)
        #expect(scene.happens(.signal(.terminate)) == ["close sockets", "send 1 drain 30000"])
        #expect(scene.happens(.ended(1, .exited(0), nil)) == ["exit 0"])
    }

    @Test func `TERM while no process is there ends at once`() throws {
        var settings = SupervisorSettings()
        settings.crashesMax = 1
        var scene = try Scene.serving(settings: settings)
        #expect(scene.crashes(1) == [])
        #expect(scene.happens(.signal(.terminate)) == ["close sockets", "exit 0"])
    }

    @Test func `a process that dies while it drains is not started again`() throws {
        var scene = try Scene.serving()
        scene.happens(.signal(.terminate))
        #expect(scene.crashes(1) == ["exit 0"])
    }

    @Test func `a request to stop is answered first`() throws {
        var scene = try Scene.serving()
        #expect(
            scene.happens(.request(5, AdminRequest("POST", "/v1/stop")))
                == ["answer 5 200", "close sockets", "send 1 drain 30000"]
        )
        var other = try Scene.serving()
        #expect(
            other.happens(.request(5, AdminRequest("POST", "/v1/stop", ["fast": true])))
                == ["answer 5 200", "close sockets", "kill 1"]
        )
        #expect(
            other.happens(.request(6, AdminRequest("POST", "/v1/stop", ["fast": 1])))
                == ["answer 6 422"]
        )
    }

    // MARK: Crashes

    @Test func `a crash is followed by a restart at once, with the manifest that was served`()
        throws
    {
        var scene = try Scene.serving(manifest: "m")
        #expect(scene.crashes(1) == ["start 2 /sluice"])
        scene.saysHello(2)
        let file = try #require(scene.lastStart?.manifest)
        #expect(try MemoryFile.bytes(of: file, bytesMax: 9) == Array("m".utf8))
        try scene.isReady(2)
        #expect(scene.did == ["keep [2]"])
    }

    @Test func `an end by itself is a crash, too`() throws {
        var scene = try Scene.serving()
        #expect(scene.happens(.ended(1, .exited(0), nil)) == ["start 2 /sluice"])
    }

    @Test func `many crashes make restarts wait, ever longer, up to a bound`() throws {
        var scene = try Scene.serving()
        for id in 1...4 {
            #expect(scene.crashes(id) == ["start \(id + 1) /sluice"])
            try scene.serves(id + 1)
        }
        for (id, wait) in zip(5..., [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]) {
            #expect(scene.crashes(id) == [])
            #expect(scene.pass(UInt64(wait) - 1) == [])
            #expect(scene.pass(1) == ["start \(id + 1) /sluice"])
            try scene.serves(id + 1)
        }
    }

    @Test func `crashes further apart than the window do not add up`() throws {
        var settings = SupervisorSettings()
        settings.soundAfter = 1_000_000
        var scene = try Scene.serving(settings: settings)
        for id in 1...10 {
            _ = scene.pass(7_501)
            #expect(scene.crashes(id) == ["start \(id + 1) /sluice"])
            scene.saysHello(id + 1)
            try scene.isReady(id + 1, settings: settings)
        }
    }

    @Test func `a process that was sound lets the crashes before it be forgotten`() throws {
        var scene = try Scene.serving()
        for id in 1...4 {
            scene.crashes(id)
            try scene.serves(id + 1)
        }
        _ = scene.pass(10_000)
        #expect(scene.crashes(5) == ["start 6 /sluice"])
    }

    @Test func `a process that does not come to serve counts as a crash`() throws {
        var scene = try Scene.serving()
        scene.crashes(1)
        for id in 2...4 {
            #expect(scene.happens(.ended(id, .exited(78), nil)) == ["start \(id + 1) /sluice"])
        }
        #expect(scene.happens(.ended(5, .exited(78), nil)) == [])
        #expect(scene.pass(1_000) == ["start 6 /sluice"])
    }

    @Test func `a process that hangs before it serves is ended, but for the first`() throws {
        var first = Scene()
        first.happens(.begin)
        #expect(first.lifecycle.deadline == nil)
        var scene = try Scene.serving()
        scene.crashes(1)
        scene.saysHello(2)
        #expect(scene.pass(29_999) == [])
        #expect(scene.pass(1) == ["kill 2"])
        #expect(scene.lifecycle.deadline == nil)
        #expect(scene.crashes(2) == ["start 3 /sluice"])
    }

    @Test func `nonsense on the channel is the end of the process`() throws {
        var scene = try Scene.serving()
        #expect(scene.happens(.misspoke(1, "what?")) == ["kill 1"])
        #expect(scene.happens(.misspoke(1, "what?")) == [])
        #expect(scene.happens(.ended(1, .signalled(9), nil)) == ["start 2 /sluice"])
    }

    // MARK: Manifests

    private static func text(_ scene: Scene) throws -> String? {
        try scene.lastStart?.manifest.map {
            String(decoding: try MemoryFile.bytes(of: $0, bytesMax: 99), as: UTF8.self)
        }
    }

    @Test func `a manifest that crashes three times gives way to the last sound one`() throws {
        var scene = try Scene.serving(manifest: "good")
        _ = scene.pass(10_000)
        try scene.isReady(1, manifest: "bad")
        for id in 1...3 {
            scene.crashes(id)
            scene.saysHello(id + 1)
            #expect(try Self.text(scene) == (id < 3 ? "bad" : "good"))
            try scene.isReady(id + 1, manifest: id < 3 ? "bad" : "good")
        }
    }

    @Test func `without a sound one before it, it stays`() throws {
        var scene = try Scene.serving(manifest: "good")
        _ = scene.pass(9_999)
        try scene.isReady(1, manifest: "bad")
        for id in 1...4 {
            scene.crashes(id)
            try scene.serves(id + 1, manifest: "bad")
            #expect(try Self.text(scene) == "bad")
        }
    }

    @Test func `a manifest that became sound stays`() throws {
        var scene = try Scene.serving(manifest: "good")
        _ = scene.pass(10_000)
        try scene.isReady(1, manifest: "other")
        _ = scene.pass(10_000)
        for id in 1...4 {
            scene.crashes(id)
            try scene.serves(id + 1, manifest: "other")
            #expect(try Self.text(scene) == "other")
        }
    }

    // MARK: on_crash

    private static func report(_ policy: CrashReport.Policy) -> CrashReport {
        let plugin = Quarantined(instance: "auth", sha256: "ab")
        return CrashReport(line: "in auth", plugin: plugin, policy: policy)
    }

    @Test func `a plugin goes to quarantine once, and out of it by a reset`() throws {
        var scene = try Scene.serving()
        scene.crashes(1, Self.report(.quarantine))
        try scene.serves(2)
        #expect(scene.lastStart?.quarantine == [Quarantined(instance: "auth", sha256: "ab")])
        scene.crashes(2, Self.report(.quarantine))
        try scene.serves(3)
        #expect(scene.lastStart?.quarantine.count == 1)
        scene.happens(.request(7, AdminRequest("POST", "/v1/plugins/auth/reset")))
        scene.happens(.message(3, .reply(id: 1, AdminResponse(200, [:]))))
        scene.crashes(3)
        try scene.serves(4)
        #expect(scene.lastStart?.quarantine == [])
    }

    @Test func `on_crash restart keeps the plugin, halt ends it all`() throws {
        var scene = try Scene.serving()
        #expect(scene.crashes(1, Self.report(.restart)) == ["start 2 /sluice"])
        try scene.serves(2)
        #expect(scene.lastStart?.quarantine == [])
        #expect(scene.crashes(2, Self.report(.halt)) == ["close sockets", "exit 1"])
    }
}
