import Admin
import Sys
import Testing

@testable import Supervisor

/// Commands that come while another process is made: what they would change in the old one, the new
/// one would not know.
struct HeldRequestTests {
    private static let swap = AdminRequest("POST", "/v1/plugins/a/swap")

    private static func upgrading() throws -> Scene {
        var scene = try Scene.serving()
        scene.happens(.request(5, AdminRequest("POST", "/v1/upgrade")))
        scene.saysHello(2)
        scene.happens(.message(1, .state(id: 1, nil)))
        return scene
    }

    @Test func `they wait, while one that only looks does not`() throws {
        var scene = try Self.upgrading()
        #expect(scene.happens(.request(6, Self.swap)) == [])
        #expect(
            scene.happens(.request(7, AdminRequest("GET", "/v1/status")))
                == ["send 1 command 1 GET /v1/status"]
        )
    }

    @Test func `when it fails the old process gets them`() throws {
        var scene = try Self.upgrading()
        scene.happens(.request(6, Self.swap))
        scene.happens(.signal(.reload))
        #expect(
            scene.happens(.ended(2, .exited(78), nil)) == [
                "keep [1]", "answer 5 422", "send 1 command 1 POST /v1/plugins/a/swap",
                "send 1 command 2 POST /v1/reload",
            ]
        )
    }

    @Test func `the process that replaces it gets them`() throws {
        var scene = try Scene.serving()
        scene.happens(.message(1, .upgrade(reason: "images")))
        scene.happens(.request(6, Self.swap))
        scene.saysHello(2)
        scene.happens(.message(1, .state(id: 1, nil)))
        try scene.isReady(2)
        #expect(
            scene.happens(.message(2, .alive(id: 1))) == [
                "send 1 drain 30000 hands over", "send 2 command 1 POST /v1/plugins/a/swap",
                "keep [2]",
            ]
        )
    }

    @Test func `another program gets the signal, and who asked is to ask again`() throws {
        var scene = try Self.upgrading()
        scene.happens(.request(6, Self.swap))
        scene.happens(.signal(.reload))
        try scene.isReady(2)
        #expect(
            scene.happens(.message(2, .alive(id: 1)))
                == ["answer 5 200", "answer 6 503", "raise HUP", "become /sluice"]
        )
        #expect(scene.answers[6]?.problems.first?.contains("ask again") == true)
    }

    @Test func `they are answered when the process stops`() throws {
        var scene = try Self.upgrading()
        scene.happens(.request(6, Self.swap))
        #expect(scene.happens(.signal(.terminate)).contains("answer 6 503"))
    }

    @Test func `none waits longer than a command may`() throws {
        var settings = SupervisorSettings()
        settings.upgradeTimeout = 2 * Lifecycle.commandTimeout
        var scene = try Scene.serving(settings: settings)
        scene.happens(.request(5, AdminRequest("POST", "/v1/upgrade")))
        scene.happens(.request(6, Self.swap))
        #expect(!scene.pass(UInt64(Lifecycle.commandTimeout) - 1).contains("answer 6 503"))
        #expect(scene.pass(1) == ["answer 6 503"])
    }

    @Test func `those that wait count as under way`() throws {
        var scene = try Self.upgrading()
        for id in 1...Lifecycle.commandsMax {
            #expect(scene.happens(.request(100 + id, Self.swap)) == [])
        }
        #expect(scene.happens(.request(7, Self.swap)) == ["answer 7 503"])
    }
}
