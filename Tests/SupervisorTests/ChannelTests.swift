import Admin
import Sys
import Testing

@testable import Supervisor

struct ChannelTests {
    private let here: ControlChannel
    private let there: ControlChannel

    init() throws {
        let (one, other) = try DescriptorPassing.pair()
        here = ControlChannel(one)
        there = ControlChannel(other)
    }

    private func receive() throws -> ControlChannel.Packet? {
        guard case .packet(let packet) = try there.receive(waits: false) else { return nil }
        return packet
    }

    private static func file(_ bytes: [UInt8]) throws -> SharedDescriptor {
        try MemoryFile.holding(bytes, name: "test")
    }

    // MARK: Messages there and back

    private static let methodRefused: AdminResponse = {
        var response = AdminResponse.refusal(405, ["no"])
        response.allow = ["GET", "POST"]
        return response
    }()

    static let fromServing: [ServingMessage] = [
        .hello(protocol: 1, resume: 7, process: 99),
        .listen(
            id: 3,
            ListenOrder(
                key: SocketKey(address: "[::1]:80", occurrence: 2),
                keepaliveSeconds: 60,
                mode: 0o660,
                count: 4
            )
        ),
        .keep([SocketKey(address: "unix:/a b", occurrence: 0)]),
        .failed(problems: ["one", "t\"wo"]),
        .reply(id: 4, AdminResponse(200, ["a": [1, true, .null]])),
        .reply(id: 5, methodRefused),
        .upgrade(reason: "workers"),
        .state(id: 5, nil),
        .alive(id: 6),
    ]

    @Test(arguments: fromServing)
    func `what a serving process says arrives`(message: ServingMessage) throws {
        try here.send(message.packet, waits: false)
        let packet = try #require(try receive())
        #expect(try ServingMessage(packet).packet.json == message.packet.json)
    }

    static let toServing: [SupervisorMessage] = [
        .start(SupervisorMessage.Start()),
        .sockets(id: 1, address: "127.0.0.1:80", [], isLast: true),
        .failed(id: 2, problem: "in use"),
        .command(id: 3, AdminRequest("POST", "/v1/reload", ["dry_run": true])),
        .export(id: 4), .ping(id: 5), .drain(grace: 30_000, handsOver: true), .stop,
        .reopenLogs(nil),
    ]

    @Test(arguments: toServing)
    func `what the supervisor says arrives`(message: SupervisorMessage) throws {
        try here.send(message.packet, waits: false)
        let packet = try #require(try receive())
        #expect(try SupervisorMessage(packet).packet.json == message.packet.json)
    }

    @Test func `a start carries the quarantine, a manifest and a state`() throws {
        var start = SupervisorMessage.Start()
        start.quarantine = [Quarantined(instance: "auth", sha256: "ab")]
        start.manifest = try Self.file([1])
        start.state = try Self.file([2])
        try here.send(SupervisorMessage.start(start).packet, waits: false)
        let packet = try #require(try receive())
        guard case .start(let taken) = try SupervisorMessage(packet) else {
            Issue.record("no start")
            return
        }
        #expect(taken.quarantine == start.quarantine)
        #expect(try MemoryFile.bytes(of: try #require(taken.manifest), bytesMax: 9) == [1])
        #expect(try MemoryFile.bytes(of: try #require(taken.state), bytesMax: 9) == [2])
    }

    @Test func `a ready carries the manifest and what it says to the supervisor`() throws {
        var settings = SupervisorSettings()
        settings.crashesMax = 9
        settings.grace = 0
        settings.admin = SupervisorSettings.AdminPlace(
            address: "unix:/a",
            tokenFile: "t",
            page: false
        )
        let ready = Ready(workers: 2, manifest: try Self.file([7]), settings: settings)
        try here.send(ServingMessage.ready(ready).packet, waits: false)
        let packet = try #require(try receive())
        guard case .ready(let taken) = try ServingMessage(packet) else {
            Issue.record("not ready")
            return
        }
        #expect(taken.workers == 2)
        #expect(taken.settings == settings)
        #expect(try MemoryFile.bytes(of: taken.manifest, bytesMax: 9) == [7])
    }

    @Test func `descriptors of sockets arrive in their order`() throws {
        let files = try (0..<UInt8(3)).map { try Self.file([$0]) }
        let message = SupervisorMessage.sockets(id: 1, address: "a", files, isLast: false)
        try here.send(message.packet, waits: false)
        let packet = try #require(try receive())
        guard case .sockets(1, "a", let taken, false) = try SupervisorMessage(packet) else {
            Issue.record("no sockets")
            return
        }
        #expect(try taken.map { try MemoryFile.bytes(of: $0, bytesMax: 9) } == [[0], [1], [2]])
    }

    // MARK: Long texts

    @Test(arguments: [
        ControlChannel.packetBytesMax, ControlChannel.packetBytesMax + 1,
        ControlChannel.textBytesMax,
    ])
    func `a text of any length arrives, with its descriptors`(count: Int) throws {
        let frame = JSON.object([JSON.Member("a", "")]).text.utf8.count
        let json: JSON = ["a": .string(String(repeating: "x", count: count - frame))]
        try here.send(ControlChannel.Packet(json, [try Self.file([7])]), waits: false)
        let packet = try #require(try receive())
        #expect(packet.json == json)
        let file = try #require(packet.descriptors.first)
        #expect(packet.descriptors.count == 1)
        #expect(try MemoryFile.bytes(of: file, bytesMax: 9) == [7])
    }

    @Test func `a text over the bound is not sent`() throws {
        let text = String(repeating: "x", count: ControlChannel.textBytesMax)
        #expect(throws: ChannelError.self) {
            try here.send(ControlChannel.Packet(["a": .string(text)]), waits: false)
        }
        #expect(try receive() == nil)
    }

    @Test func `the end of the other process is told, after its last words`() throws {
        func left() throws -> ControlChannel {
            let (one, other) = try DescriptorPassing.pair()
            try ControlChannel(other).send(ServingMessage.alive(id: 1).packet, waits: false)
            return ControlChannel(one)
        }
        let channel = try left()
        guard case .packet = try channel.receive(waits: true),
            case .end = try channel.receive(waits: true)
        else {
            Issue.record("no end")
            return
        }
    }

    // MARK: What is refused

    static let wrong: [JSON] = [
        .null, [], "hello", [:], ["type": 1], ["type": "nonsense"],
        ["type": "alive"], ["type": "alive", "id": "1"], ["type": "alive", "id": -1],
        ["type": "alive", "id": 1, "more": 1],
        ["type": "hello", "protocol": 0, "resume": 1, "pid": 1],
        ["type": "state", "id": 1, "has_state": true],
        ["type": "failed", "problems": ["a", 1]],
        ["type": "keep", "sockets": [["address": "a"]]],
        ["type": "keep", "sockets": [["address": "a", "occurrence": 0, "x": 1]]],
        ["type": "reply", "id": 1, "status": 99, "body": [:], "allow": []],
        ["type": "reply", "id": 1, "status": 200, "body": [:], "allow": [1]],
        ["type": "reply", "id": 1, "status": 200, "body": [:]],
        ["type": "reply", "id": 1, "status": 200],
        [
            "type": "listen", "id": 1, "address": "a", "occurrence": 0, "keepalive": 0, "mode": 0,
            "count": 0,
        ],
        [
            "type": "listen", "id": 1, "address": "a", "occurrence": 0, "keepalive": 0, "mode": 0,
            "count": 1_025,
        ],
    ]

    @Test(arguments: wrong)
    func `a message of a serving process that is not understood is refused`(json: JSON) {
        #expect(throws: ChannelError.self) {
            _ = try ServingMessage(ControlChannel.Packet(json))
        }
    }

    @Test(
        arguments: [
            .null, ["type": "hello"], ["type": "stop", "id": 1], ["type": "drain", "grace": 1],
            ["type": "drain", "grace": 86_400_001, "hands_over": true],
            ["type": "command", "id": 1, "method": "GET", "path": "/"], ["type": "import"],
            ["type": "start", "protocol": 1, "quarantine": [], "has_manifest": false],
        ] as [JSON]
    )
    func `a message of the supervisor that is not understood is refused`(json: JSON) {
        #expect(throws: ChannelError.self) {
            _ = try SupervisorMessage(ControlChannel.Packet(json))
        }
    }

    @Test func `a descriptor that nobody asked for is refused`() throws {
        let packet = ControlChannel.Packet(["type": "alive", "id": 1], [try Self.file([])])
        #expect(throws: ChannelError.self) { _ = try ServingMessage(packet) }
    }

    @Test func `what is no JSON is not understood`() throws {
        let (one, other) = try DescriptorPassing.pair()
        let channel = ControlChannel(other)
        try DescriptorPassing.send(one.number, Array("{type".utf8), [], waits: false)
        guard case .packet(let packet) = try channel.receive(waits: false) else {
            Issue.record("no packet")
            return
        }
        #expect(throws: ChannelError.self) { _ = try ServingMessage(packet) }
    }
}
