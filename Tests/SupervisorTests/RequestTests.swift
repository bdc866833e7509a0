import Admin
import Sys
import Testing

@testable import Supervisor

struct RequestTests {
    private static let status = AdminRequest("GET", "/v1/status")

    @Test func `requests go to the process that serves, and its answers back`() throws {
        var scene = try Scene.serving()
        #expect(
            scene.happens(.request(5, AdminRequest("GET", "/v1/plugins")))
                == ["send 1 command 1 GET /v1/plugins"]
        )
        #expect(
            scene.happens(.message(1, .reply(id: 1, AdminResponse(200, ["a": 1]))))
                == ["answer 5 200"]
        )
        #expect(scene.answers[5]?.body == ["a": 1])
        #expect(scene.happens(.message(1, .reply(id: 1, AdminResponse(200, [:])))) == [])
    }

    @Test func `the status says more of the supervisor`() throws {
        var scene = try Scene.serving()
        scene.happens(.request(5, Self.status))
        scene.happens(.message(1, .reply(id: 1, AdminResponse(200, ["version": "1"]))))
        let supervisor = try #require(scene.answers[5]?.body["supervisor"])
        #expect(scene.answers[5]?.body["version"]?.string == "1")
        #expect(supervisor["state"]?.string == "serving")
        #expect(supervisor["serving_pid"]?.integer == 101)
        #expect(supervisor["restarts"]?.integer == 0)
        #expect(supervisor["last_crash"] == .null)
    }

    @Test func `while nothing serves the reason is the answer`() throws {
        var scene = try Scene.serving()
        scene.crashes(1)
        #expect(scene.happens(.request(5, Self.status)) == ["answer 5 503"])
        #expect(
            scene.answers[5]?.problems
                == ["a process is starting after a crash: process 101 ended by SIGSEGV"]
        )
        let supervisor = try #require(scene.answers[5]?.body["supervisor"])
        #expect(supervisor["state"]?.string == "restarting")
        #expect(supervisor["restarts"]?.integer == 1)
        #expect(supervisor["last_crash"]?.string == "process 101 ended by SIGSEGV")
    }

    @Test func `a process that ends or is silent leaves no request without an answer`() throws {
        var scene = try Scene.serving()
        scene.happens(.request(5, Self.status))
        #expect(scene.crashes(1) == ["answer 5 503", "start 2 /sluice"])
        try scene.serves(2)
        scene.happens(.request(6, Self.status))
        #expect(scene.pass(UInt64(Lifecycle.commandTimeout) - 1) == [])
        #expect(scene.pass(1) == ["answer 6 503"])
    }

    @Test func `requests under way are bounded`() throws {
        var scene = try Scene.serving()
        for id in 1...Lifecycle.commandsMax {
            #expect(scene.happens(.request(id, Self.status)) != ["answer \(id) 503"])
        }
        let next = Lifecycle.commandsMax + 1
        #expect(scene.happens(.request(next, Self.status)) == ["answer \(next) 503"])
    }

    @Test func `the interface moves once those that asked have their answers`() throws {
        var settings = SupervisorSettings()
        settings.admin = SupervisorSettings.AdminPlace(address: "unix:/a", tokenFile: nil)
        var scene = try Scene.serving(settings: settings)
        scene.happens(.request(5, AdminRequest("POST", "/v1/reload")))
        scene.happens(.request(6, Self.status))
        settings.admin?.address = "unix:/b"
        try scene.isReady(1, settings: settings)
        scene.happens(.message(1, .reply(id: 1, AdminResponse(200, [:]))))
        #expect(scene.adminPlaces == ["unix:/a"])
        #expect(
            scene.happens(.message(1, .reply(id: 2, AdminResponse(200, [:]))))
                == ["answer 6 200"]
        )
        #expect(scene.adminPlaces == ["unix:/a", "unix:/b"])
        // Nobody waits for what a signal asked for.
        scene.happens(.signal(.reload))
        settings.admin = nil
        try scene.isReady(1, settings: settings)
        #expect(scene.adminPlaces == ["unix:/a", "unix:/b", "none"])
    }

    @Test func `a process that drains can be looked at, and is not told to drain again`() throws {
        var scene = try Scene.serving()
        let stop = AdminRequest("POST", "/v1/stop")
        #expect(scene.happens(.request(4, stop)).contains("answer 4 200"))
        #expect(scene.happens(.request(5, Self.status)) == ["send 1 command 1 GET /v1/status"])
        #expect(scene.happens(.request(6, AdminRequest("POST", "/v1/reload"))) == ["answer 6 503"])
        #expect(scene.happens(.request(7, stop)) == ["answer 7 409"])
        let fast = AdminRequest("POST", "/v1/stop", ["fast": true])
        #expect(scene.happens(.request(8, fast)) == ["answer 8 200", "kill 1"])
    }

    @Test(arguments: [
        AdminRequest("POST", "/v1/stop", ["fats": true]), .init("POST", "/v1/stop", ["fast": 1]),
        .init("POST", "/v1/upgrade", ["binry": "/a"]), .init("POST", "/v1/upgrade", ["binary": 1]),
    ])
    func `a body that is not understood changes nothing`(request: AdminRequest) throws {
        var scene = try Scene.serving()
        #expect(scene.happens(.request(5, request)) == ["answer 5 422"])
    }

    @Test func `HUP is a request to reload`() throws {
        var scene = try Scene.serving()
        #expect(scene.happens(.signal(.reload)) == ["send 1 command 1 POST /v1/reload"])
        #expect(scene.happens(.message(1, .reply(id: 1, AdminResponse(200, [:])))) == [])
    }

    @Test func `USR1 and a request have the logs opened again`() throws {
        var scene = try Scene.serving()
        #expect(scene.happens(.signal(.reopenLogs)) == ["reopen_logs"])
        let request = AdminRequest("POST", "/v1/reopen_logs")
        #expect(scene.happens(.request(5, request)) == ["reopen_logs", "answer 5 200"])
    }

    @Test func `an unrelated process that serves lets this one drain`() throws {
        var scene = try Scene.serving()
        #expect(scene.happens(.handedOver) == ["close sockets", "send 1 drain 30000 hands over"])
        // The state that it ends with is for nobody.
        _ = scene.happens(.message(1, .state(id: 0, nil)))
        #expect(scene.happens(.ended(1, .exited(0), nil)) == ["exit 0"])
    }

    @Test func `what it does is known to a service manager`() throws {
        var scene = try Scene.serving()
        #expect(scene.lifecycle.activity == .serving)
        _ = scene.happens(.signal(.reload))
        #expect(scene.lifecycle.activity == .changing)
        _ = scene.happens(.message(1, .reply(id: 1, AdminResponse(422, [:]))))
        #expect(scene.lifecycle.activity == .serving)
        _ = scene.happens(.signal(.upgrade))
        #expect(scene.lifecycle.activity == .changing)
        _ = scene.happens(.signal(.terminate))
        #expect(scene.lifecycle.activity == .stopping)
    }
}
