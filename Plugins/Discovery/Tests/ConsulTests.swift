import Testing

@testable import Discovery

/// Questions to a catalog, and its answers.
struct ConsulTests {
    static let source = ConsulSource(
        upstream: Array("consul".utf8),
        service: Array("api/ä".utf8),
        tag: Array("v 1".utf8),
        datacenter: Array("dc1".utf8),
        zoneKey: Array("zone".utf8),
        waitNanoseconds: 50_000_000_000
    )

    static func refresh(_ text: String) throws -> Refresh {
        try ConsulAnswer.refresh(Array(text.utf8), source)
    }

    static func entry(
        _ address: String,
        port: Int = 80,
        node: String = "10.9.9.9",
        more: String = "",
        checks: String = ""
    ) -> String {
        "{\"Node\":{\"Address\":\"\(node)\",\"Meta\":{\"zone\":\"n\"}},\"Service\":{\"ID\":\"x\","
            + "\"Address\":\"\(address)\",\"Port\":\(port)\(more)},\"Checks\":[\(checks)]}"
    }

    @Test func `a question names its index only when there is one`() {
        let first = String(decoding: Self.source.path(index: 0), as: UTF8.self)
        #expect(first == "/v1/health/service/api%2F%C3%A4?passing=1&tag=v%201&dc=dc1")
        let next = String(decoding: Self.source.path(index: 7), as: UTF8.self)
        #expect(next == first + "&index=7&wait=50000ms")
    }

    @Test func `the time for an answer is a little longer than the wait`() {
        #expect(Self.source.timeoutNanoseconds(index: 0) == 10_000_000_000)
        #expect(Self.source.timeoutNanoseconds(index: 1) == 54_625_000_000)
    }

    @Test func `an index that goes backwards, is 0 or missing begins anew`() {
        var index = ConsulIndex()
        #expect(index.value == 0)
        index.take(100)
        #expect(index.value == 100)
        index.take(100)
        #expect(index.value == 100)
        index.take(101)
        #expect(index.value == 101)
        index.take(99)
        #expect(index.value == 0)
        index.take(99)
        #expect(index.value == 99)
        index.take(0)
        #expect(index.value == 0)
        index.take(nil)
        #expect(index.value == 1)
        index.take(0)
        #expect(index.value == 1)
        index.reset()
        #expect(index.value == 0)
    }

    @Test func `instances become peers`() throws {
        let text =
            "["
            + [
                Self.entry("10.0.0.1", more: ",\"Weights\":{\"Passing\":7,\"Warning\":2}"),
                Self.entry("", port: 81),
                Self.entry("2001:db8::1", more: ",\"Meta\":{\"zone\":\"z\"}"),
                Self.entry(
                    "10.0.0.2",
                    more: ",\"Weights\":{\"Passing\":7,\"Warning\":2}",
                    checks: "{\"Status\":\"passing\"},{\"Status\":\"warning\"}"
                ),
                Self.entry("10.0.0.3", more: ",\"Weights\":{\"Passing\":99999}"),
            ].joined(separator: ",") + "]"
        let refresh = try Self.refresh(text)
        let lines = refresh.peers.map { peer in
            let address = String(decoding: peer.address, as: UTF8.self)
            return "\(address) \(peer.weight) \(String(decoding: peer.zone, as: UTF8.self))"
        }
        #expect(
            lines == [
                "10.0.0.1:80 7 n", "10.9.9.9:81 1 n", "[2001:db8::1]:80 1 z", "10.0.0.2:80 2 n",
                "10.0.0.3:80 65535 n",
            ]
        )
        #expect(refresh.note == "")
    }

    @Test func `no instance is an answer`() throws {
        #expect(try Self.refresh("[]").peers == [])
    }

    @Test(arguments: [
        entry("web.example"), entry("10.0.0.1", port: 0), entry("10.0.0.1", port: 65_536),
        entry("", node: ""), entry("10.0.0.1", more: ",\"Weights\":{\"Passing\":0}"),
    ])
    func `an instance without an address, port or weight is left out`(entry: String) throws {
        let refresh = try Self.refresh("[\(entry),\(Self.entry("10.0.0.1"))]")
        #expect(refresh.peers.count == 1)
        #expect(refresh.note.hasPrefix("left out: instance \"x\""))
        #expect(throws: RefreshFailure.self) { try Self.refresh("[\(entry)]") }
    }

    @Test(arguments: [
        "", "{}", "null", "[1]", "[{}]", "[{\"Service\":1}]", "[{\"Service\":{}",
        "rpc error: No cluster leader",
    ])
    func `what is no answer is refused`(text: String) {
        #expect(throws: RefreshFailure.self) { try Self.refresh(text) }
    }
}
