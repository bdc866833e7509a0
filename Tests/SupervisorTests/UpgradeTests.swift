import Admin
import Sys
import Testing

@testable import Supervisor

struct UpgradeTests {
    private static let upgrade = AdminRequest("POST", "/v1/upgrade")

    /// An upgrade whose new process has said hello, and has the state of the old one.
    private static func begun(_ body: JSON = .null) throws -> Scene {
        var scene = try Scene.serving()
        scene.happens(.request(5, AdminRequest("POST", "/v1/upgrade", body)))
        scene.saysHello(2)
        scene.happens(.message(1, .state(id: 1, try MemoryFile.holding([9], name: "test"))))
        return scene
    }

    @Test func `the new process begins with the state of the old one`() throws {
        var scene = try Scene.serving()
        #expect(
            scene.happens(.request(5, Self.upgrade)) == ["start 2 /sluice", "send 1 export"]
        )
        scene.saysHello(2)
        #expect(scene.did == [])
        #expect(
            scene.happens(.message(1, .state(id: 1, try MemoryFile.holding([9], name: "test"))))
                == ["send 2 start"]
        )
        let state = try #require(scene.lastStart?.state)
        #expect(try MemoryFile.bytes(of: state, bytesMax: 9) == [9])
        // What the file says by now.
        #expect(scene.lastStart?.manifest == nil)
    }

    @Test func `once it serves and its workers turn, it takes over`() throws {
        var scene = try Self.begun()
        try scene.isReady(2)
        #expect(scene.did == ["send 2 ping"])
        #expect(
            scene.happens(.message(2, .alive(id: 1))) == ["answer 5 200", "become /sluice"]
        )
        // As the program that was put in its place goes on.
        #expect(
            scene.happens(.resumed) == ["send 1 drain 30000 hands over", "keep [2]"]
        )
        #expect(scene.happens(.ended(1, .exited(0), nil)) == [])
        #expect(scene.crashes(2) == ["start 3 /sluice"])
    }

    @Test func `another program takes the place of this one, too`() throws {
        var scene = try Scene.serving()
        #expect(
            scene.happens(.request(5, AdminRequest("POST", "/v1/upgrade", ["binary": "/new"])))
                == ["start 2 /new", "send 1 export"]
        )
        scene.saysHello(2)
        scene.happens(.message(1, .state(id: 1, nil)))
        try scene.isReady(2)
        #expect(scene.happens(.message(2, .alive(id: 1))) == ["answer 5 200", "become /new"])
    }

    @Test func `a replacement needs no other program`() throws {
        var scene = try Scene.serving()
        #expect(
            scene.happens(.message(1, .upgrade(reason: "images")))
                == ["start 2 /sluice", "send 1 export"]
        )
        scene.saysHello(2)
        scene.happens(.message(1, .state(id: 1, nil)))
        try scene.isReady(2)
        #expect(
            scene.happens(.message(2, .alive(id: 1)))
                == ["send 1 drain 30000 hands over", "keep [2]"]
        )
    }

    @Test func `a reload that can't be done in place is a replacement`() throws {
        var scene = try Scene.serving()
        #expect(
            scene.happens(.request(5, AdminRequest("POST", "/v1/reload")))
                == ["send 1 command 1 POST /v1/reload"]
        )
        #expect(
            scene.happens(.message(1, .reply(id: 1, AdminResponse(409, ["replace": true]))))
                == ["start 2 /sluice", "send 1 export"]
        )
        scene.saysHello(2)
        scene.happens(.message(1, .state(id: 1, nil)))
        try scene.isReady(2)
        #expect(scene.happens(.message(2, .alive(id: 1))).first == "answer 5 200")
    }

    @Test func `what the old process had to say last goes to the new one`() throws {
        var scene = try Self.begun()
        try scene.isReady(2)
        scene.happens(.message(2, .alive(id: 1)))
        scene.happens(.resumed)
        let file = try MemoryFile.holding([1], name: "test")
        #expect(scene.happens(.message(1, .state(id: 0, file))) == ["send 2 import"])
        #expect(scene.happens(.message(1, .state(id: 0, nil))) == [])
    }

    // MARK: Failures

    @Test func `a new process that fails leaves the old one alone`() throws {
        var scene = try Self.begun()
        scene.happens(.message(2, .failed(problems: ["m.json5: no"])))
        #expect(
            scene.happens(.ended(2, .exited(78), nil)) == ["keep [1]", "answer 5 422"]
        )
        #expect(scene.answers[5]?.problems == ["m.json5: no"])
        #expect(scene.lifecycle.deadline == nil)
    }

    @Test func `a program that is not there leaves the old one alone`() throws {
        var scene = try Scene.serving()
        scene.happens(.request(5, Self.upgrade))
        #expect(scene.happens(.notStarted(2, Errno(2))) == ["keep [1]", "answer 5 422"])
    }

    @Test func `a new process that does not come to serve is ended after upgrade_timeout`() throws {
        var scene = try Self.begun()
        #expect(scene.pass(29_999) == [])
        #expect(scene.pass(1) == ["kill 2", "keep [1]", "answer 5 422"])
        #expect(scene.happens(.ended(2, .signalled(9), nil)) == [])
        #expect(scene.happens(.request(6, Self.upgrade)).first == "start 3 /sluice")
    }

    @Test func `a new process whose workers hang is ended, too`() throws {
        var scene = try Self.begun()
        try scene.isReady(2)
        #expect(scene.pass(30_000) == ["kill 2", "keep [1]", "answer 5 422"])
        #expect(scene.happens(.message(2, .alive(id: 1))) == [])
    }

    @Test func `an old process that does not give its state is not waited for long`() throws {
        var scene = try Scene.serving()
        scene.happens(.request(5, Self.upgrade))
        scene.saysHello(2)
        #expect(scene.pass(4_999) == [])
        #expect(scene.pass(1) == ["send 2 start"])
        #expect(scene.lastStart?.state == nil)
    }

    @Test func `a supervisor of another form does not take over`() throws {
        var scene = try Scene.serving()
        scene.happens(.request(5, Self.upgrade))
        scene.saysHello(2, resume: ResumeState.version + 1)
        #expect(scene.did == ["kill 2", "keep [1]", "answer 5 422"])
    }

    @Test func `when this process can't become the other program, the old one serves on`() throws {
        var scene = try Self.begun()
        try scene.isReady(2)
        scene.happens(.message(2, .alive(id: 1)))
        #expect(scene.happens(.notReplaced(Errno(2))) == ["kill 2", "keep [1]"])
        #expect(scene.happens(.ended(2, .signalled(9), nil)) == [])
    }

    @Test func `one upgrade at a time`() throws {
        var scene = try Self.begun()
        #expect(scene.happens(.request(6, Self.upgrade)) == ["answer 6 409"])
    }

    @Test func `a path that is none is refused`() throws {
        var scene = try Scene.serving()
        for body: JSON in [["binary": 1], ["binary": "sluice"]] {
            #expect(
                scene.happens(.request(5, AdminRequest("POST", "/v1/upgrade", body)))
                    == ["answer 5 422"]
            )
        }
    }

    @Test func `TERM ends the new process and drains the old one`() throws {
        var scene = try Self.begun()
        #expect(
            scene.happens(.signal(.terminate))
                == ["kill 2", "keep [1]", "answer 5 409", "close sockets", "send 1 drain 30000"]
        )
        scene.happens(.ended(2, .signalled(9), nil))
        #expect(scene.did == [])
        #expect(scene.happens(.ended(1, .exited(0), nil)) == ["exit 0"])
    }

    @Test func `a crash of the old process does not stop the upgrade`() throws {
        var scene = try Self.begun()
        #expect(scene.crashes(1) == ["start 3 /sluice"])
        try scene.isReady(2)
        scene.happens(.message(2, .alive(id: 1)))
        #expect(
            scene.happens(.resumed) == ["send 3 drain 30000 hands over", "keep [2]"]
        )
    }

    @Test func `TERM hurries a process that handed over`() throws {
        var scene = try Self.begun()
        try scene.isReady(2)
        scene.happens(.message(2, .alive(id: 1)))
        scene.happens(.resumed)
        #expect(
            scene.happens(.signal(.terminate))
                == ["close sockets", "send 1 drain 30000", "send 2 drain 30000"]
        )
        #expect(scene.happens(.ended(2, .exited(0), nil)) == [])
        #expect(scene.happens(.ended(1, .exited(0), nil)) == ["exit 0"])
    }

    @Test func `with too many processes that drain there is no other, until grace is over`() throws
    {
        var scene = try Scene.serving()
        for id in 2...(Lifecycle.leavingMax + 1) {
            scene.happens(.message(id - 1, .upgrade(reason: "again")))
            scene.saysHello(id)
            scene.happens(.message(id - 1, .state(id: 1, nil)))
            try scene.isReady(id)
            scene.happens(.message(id, .alive(id: 1)))
        }
        _ = scene.pass(29_999)
        #expect(scene.happens(.request(5, Self.upgrade)) == ["answer 5 409"])
        _ = scene.pass(1)
        #expect(scene.happens(.request(6, Self.upgrade)).first == "kill 1")
        #expect(scene.did.contains { $0.hasPrefix("start ") })
    }
}
