import SluiceSDK
import SluiceTestKit
import Testing

@testable import Headers

struct HeadersFilterTests {
    private let quiet: TestValue = ["mode": "off"]

    @Test
    func `edits requests and responses in the order of the rules`() throws {
        let plugin = try PluginFixture(
            HeadersFilter.self,
            [
                "request": [
                    "remove": ["Cookie", "x-a"], "set": [["name": "X-A", "value": "1"]],
                    "add": [["name": "x-a", "value": "2"], ["name": "accept", "value": "b"]],
                    "add_if_absent": [
                        ["name": "x-a", "value": "3"], ["name": "x-b", "value": "4"],
                    ],
                ],
                "response": [
                    "remove": ["Server"],
                    "set": [["name": "x-peer", "value": "{peer}/{upstream}"]],
                ],
                "forwarded": quiet, "request_id": false,
            ]
        )
        #expect(plugin.hookedPhases == [0, 8])
        let request = RequestFixture(fields: [
            ("Cookie", "c"), ("X-A", "0"), ("X-A", "00"), ("Accept", "a"),
        ])
        #expect(plugin.requestHeaders(request) == .next)
        #expect(request.request.values("x-a") == ["1", "2"])
        #expect(request.request.values("accept") == ["a", "b"])
        #expect(request.request["x-b"] == "4")
        #expect(request.request["cookie"] == nil)
        request.setFacts(upstream: "app", peer: "192.0.2.9:80")
        request.respond(status: 200, fields: [("Server", "origin")])
        #expect(plugin.responseHeaders(request) == .next)
        #expect(request.response["x-peer"] == "192.0.2.9:80/app")
        #expect(request.response["server"] == nil)
    }

    @Test
    func `tells who the client is, in place of what it says itself`() throws {
        let plugin = try PluginFixture(
            HeadersFilter.self,
            [
                "request": [
                    "set": [
                        ["name": "X-Subject", "value": "{client_subject}"],
                        ["name": "X-Print", "value": "{client_fingerprint}"],
                        ["name": "X-TLS", "value": "{tls_version} {tls_cipher}"],
                        ["name": "X-Name", "value": "{tls_server_name}"],
                    ]
                ],
                "forwarded": quiet, "request_id": false,
            ]
        )
        func fields(_ set: (RequestFixture) -> Void) -> [[String]] {
            let names = ["X-Subject", "X-Print", "X-TLS", "X-Name"]
            let request = RequestFixture(fields: names.map { ($0, "forged") }, secure: true)
            set(request)
            #expect(plugin.requestHeaders(request) == .next)
            return names.map { request.request.values($0.lowercased()) }
        }
        let known = fields {
            $0.setTLS(serverName: "a.example", clientSubject: "CN=c", clientFingerprint: "0a")
        }
        #expect(known == [["CN=c"], ["0a"], ["TLSv1.3 TLS_AES_128_GCM_SHA256"], ["a.example"]])
        let hostile = fields { $0.setTLS(cipher: "C", serverName: "a\r\nx: y") }
        #expect(hostile == [[""], [""], ["TLSv1.3 C"], [""]])
        #expect(fields { _ in } == [[""], [""], [" "], [""]])
    }

    @Test
    func `setting Host changes the authority`() throws {
        let plugin = try PluginFixture(
            HeadersFilter.self,
            ["request": ["set": [["name": "Host", "value": "{host}.internal"]]]]
        )
        let request = RequestFixture(authority: "example.com:80")
        #expect(plugin.requestHeaders(request) == .next)
        #expect(request.request[":authority"] == "example.com.internal")
        #expect(request.request["host"] == nil)
        #expect(request.request["x-forwarded-host"] == "example.com:80")
    }

    @Test
    func `numbers requests, and tells origin and client the same`() throws {
        let plugin = try PluginFixture(
            HeadersFilter.self,
            [
                "request": ["set": [["name": "x", "value": "<{request_id}>"]]],
                "request_id": ["echo": true],
            ]
        )
        var seen: Set<String> = []
        for _ in 0..<100 {
            let request = RequestFixture(fields: [("X-Request-Id", "client's")])
            #expect(plugin.requestHeaders(request) == .next)
            let ids = request.request.values("x-request-id")
            let id = try #require(ids.first)
            #expect(ids.count == 1 && id.utf8.count == 32)
            #expect(id.utf8.allSatisfy { Array("0123456789abcdef".utf8).contains($0) })
            #expect(request.request["x"] == "<\(id)>")
            request.respond(status: 200, fields: [("X-Request-Id", "origin's")])
            plugin.responseHeaders(request)
            #expect(request.response.values("x-request-id") == [id])
            seen.insert(id)
        }
        #expect(seen.count == 100)
    }

    @Test
    func `keeps a trusted proxy's id only when told so, and only a sound one`() throws {
        func id(_ trust: Bool, _ client: String, _ value: String) throws -> (String?, String?) {
            let plugin = try PluginFixture(
                HeadersFilter.self,
                [
                    "request_id": ["header": "X-Trace", "trust": .bool(trust), "echo": true],
                    "forwarded": ["trusted_proxies": ["10.0.0.0/8"]],
                ]
            )
            let request = RequestFixture(fields: [("X-Trace", value)], client: client)
            plugin.requestHeaders(request)
            request.respond(status: 200)
            plugin.responseHeaders(request)
            return (request.request["x-trace"], request.response["x-trace"])
        }
        #expect(try id(true, "10.0.0.1", "abc-1") == ("abc-1", "abc-1"))
        #expect(try id(true, "11.0.0.1", "abc-1").0 != "abc-1")
        #expect(try id(false, "10.0.0.1", "abc-1").0 != "abc-1")
        let longest = String(repeating: "a", count: 128)
        #expect(try id(true, "10.0.0.1", longest) == (longest, longest))
        #expect(try id(true, "10.0.0.1", longest + "a").0?.utf8.count == 32)
        #expect(try id(true, "10.0.0.1", "a b").0?.utf8.count == 32)
        #expect(try id(true, "10.0.0.1", "").0?.utf8.count == 32)
    }

    @Test
    func `does not echo unless told so`() throws {
        let plugin = try PluginFixture(HeadersFilter.self)
        let request = RequestFixture()
        plugin.requestHeaders(request)
        request.respond(status: 200)
        plugin.responseHeaders(request)
        #expect(request.response["x-request-id"] == nil)
    }

    @Test
    func `a response whose request hook did not run gets no id`() throws {
        let plugin = try PluginFixture(HeadersFilter.self)
        let request = RequestFixture()
        request.respond(status: 200)
        #expect(plugin.responseHeaders(request) == .next)
        #expect(request.edits.isEmpty)
    }

    @Test(arguments: [(10, "1.0 edge"), (11, "1.1 edge"), (20, "2.0 edge")] as [(UInt32, String)])
    func `Via names the version of each side`(version: UInt32, value: String) throws {
        let plugin = try PluginFixture(
            HeadersFilter.self,
            ["via": "edge", "forwarded": quiet, "request_id": false]
        )
        let request = RequestFixture(fields: [("Via", "1.1 other")])
        request.setHTTPVersion(version)
        plugin.requestHeaders(request)
        #expect(request.request.values("via") == ["1.1 other", value])
        request.respond(status: 200)
        plugin.responseHeaders(request)
        #expect(request.response.values("via") == ["1.1 edge"])
        request.respond(status: 404, isLocal: true)
        plugin.responseHeaders(request)
        #expect(request.response["via"] == nil)
    }

    @Test(
        arguments: [
            (0, "00000000"), (0x1234_5678, "12345678"), (0x9ABC_DEF0, "9abcdef0"),
            (.max, "ffffffff"),
        ] as [(UInt32, String)]
    )
    func `spells hexadecimal digits`(word: UInt32, digits: String) {
        let bytes = withUnsafeBytes(of: hexadecimal(word)) { Array($0) }
        #expect(String(decoding: bytes, as: UTF8.self) == digits)
    }

    @Test
    func `takes an empty configuration and no memory for a plain request`() throws {
        let plugin = try PluginFixture(HeadersFilter.self)
        let request = RequestFixture()
        request.memoryBudget = 0
        #expect(plugin.requestHeaders(request) == .next)
        #expect(
            request.edits.map(\.name) == [
                "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-request-id",
            ]
        )
    }
}
