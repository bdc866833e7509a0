import Respond
import SluiceSDK
import SluiceTestKit
import Testing

struct RespondFilterTests {
    private func answer(
        _ configuration: TestValue,
        _ request: RequestFixture = RequestFixture()
    ) throws -> RequestFixture {
        let plugin = try PluginFixture(RespondFilter.self, configuration)
        #expect(plugin.hookedPhases == [0])
        #expect(plugin.requestHeaders(request) == .respond)
        return request
    }

    @Test
    func `answers with a text, from the configuration's memory`() throws {
        let request = RequestFixture()
        request.memoryBudget = 0
        _ = try answer(["body": "hello {{}\n"], request)
        #expect(request.response[":status"] == "200")
        #expect(request.response["content-type"] == "text/plain; charset=utf-8")
        #expect(request.replyBody == "hello {}\n")
    }

    @Test
    func `an empty configuration answers 200 with nothing`() throws {
        let request = try answer([:])
        #expect(request.response.fields.map(\.name) == [":status"])
        #expect(request.replyBody == "")
    }

    @Test
    func `sets fields from a list and from an object`() throws {
        let list = try answer([
            "status": 204,
            "headers": [
                ["name": "Set-Cookie", "value": "a"], ["name": "Set-Cookie", "value": "b"],
                ["name": "X", "value": "{client_ip} {path}"],
            ],
        ])
        #expect(list.response.values("set-cookie") == ["a", "b"])
        #expect(list.response["x"] == "192.0.2.1 /")
        #expect(list.response["content-type"] == nil)
        let object = try answer(["headers": ["Content-Type": "text/html", "A": "1"], "body": "x"])
        #expect(object.response.values("content-type") == ["text/html"])
        #expect(object.response["a"] == "1")
        #expect(try answer(["content_type": "a/b", "body": "x"]).response["content-type"] == "a/b")
    }

    @Test(arguments: [
        ("/a/b?c=d", "https://www.example.com/a/b?c=d"), ("/", "https://www.example.com/"),
        ("/?", "https://www.example.com/?"), ("//x", "https://www.example.com//x"),
    ])
    func `redirects`(target: String, location: String) throws {
        let request = try answer(
            ["status": 301, "location": "https://{host}{path}{query}"],
            RequestFixture("GET", target, authority: "www.example.com:8080")
        )
        #expect(request.response[":status"] == "301")
        #expect(request.response.values("location") == [location])
    }

    @Test(arguments: [
        ("/a", "/a?new"), ("//evil.example/a", "/evil.example/a?new"), ("////", "/?new"),
        ("/a//b", "/a//b?new"),
    ])
    func `a path in front never names a host`(target: String, location: String) throws {
        let request = try answer(
            ["status": 302, "location": "{path}?new"],
            RequestFixture("GET", target)
        )
        #expect(request.response["location"] == location)
    }

    @Test(arguments: ["/\\evil.example", "//\\evil.example", "*", "@evil.example"])
    func `a path that could lead elsewhere is refused`(target: String) throws {
        let request = try answer(
            ["status": 302, "location": "{path}"],
            RequestFixture("GET", target)
        )
        #expect(request.response[":status"] == "400")
        #expect(request.response["location"] == nil)
    }

    @Test
    func `builds a body in the request's memory`() throws {
        let request = RequestFixture("GET", "/a?b", client: "2001:db8::1")
        #expect(
            try answer(["body": "{client_ip} asks {host} for {path}"], request).replyBody
                == "2001:db8::1 asks example.com for /a"
        )
        #expect(try answer(["body": "{client_ip}"], request).replyBody == "2001:db8::1")
        request.setTLS(clientSubject: "CN=client")
        let who: TestValue = ["body": "{tls_version} {client_subject}"]
        #expect(try answer(who, request).replyBody == "TLSv1.3 CN=client")
        #expect(try answer(["body": "{query}"], RequestFixture()).replyBody == "")
        request.memoryBudget = 3
        let plugin = try PluginFixture(RespondFilter.self, ["body": "{client_ip}"])
        #expect(plugin.requestHeaders(request) == .error)
    }

    @Test
    func `answers only the methods that are named`() throws {
        let configuration: TestValue = ["methods": ["GET", "PURGE"], "body": "x"]
        for method in ["GET", "HEAD", "PURGE"] {
            #expect(try answer(configuration, RequestFixture(method)).response[":status"] == "200")
        }
        for method in ["POST", "get", "GETX"] {
            let request = try answer(configuration, RequestFixture(method))
            #expect(request.response[":status"] == "405")
            #expect(request.response["allow"] == "GET, PURGE, HEAD")
            #expect(request.replyBody == "")
        }
    }

    @Test(
        arguments: [
            (["status": 199], "status: 199 is not within 200 to 599"),
            (["status": 600], "status: 600 is not within 200 to 599"),
            (["status": "200"], "status: a whole number is wanted, not a string"),
            (["status": 204, "body": "x"], "body: an answer with status 204 has no body"),
            (["location": "/"], "location: needs a status of 201 or 300 to 399, not 200"),
            (["status": 301, "location": ""], "location: no value of a field"),
            (["status": 301, "location": "/\r\nx: y"], "location: no value of a field"),
            (
                ["headers": ["Content-Length": "1"]],
                "headers.Content-Length: Content-Length governs the connection "
                    + "and is the proxy's own"
            ),
            (["headers": ["a": 1]], "headers.a: a string is wanted, not a number"),
            (
                ["headers": [["name": "a b", "value": ""]]],
                "headers[0].name: no name of a field: \"a b\""
            ),
            (
                ["headers": ["Content-Type": "a/b"], "content_type": "c/d"],
                "content_type: Content-Type is among \"headers\" already"
            ),
            (["methods": []], "methods: 0 methods are not within 1 to 16"),
            (["methods": ["A B"]], "methods[0]: no method: \"A B\""),
            (["body_file": "/nonexistent"], "body_file: /nonexistent: No such file or directory"),
            (["body_file": "/dev/zero"], "body_file: /dev/zero: not a regular file"),
            (["body_file": "/etc/passwd", "body": "x"], "body_file: \"body\" is given already"),
            (
                ["body": "{request_id}"],
                "body: unknown placeholder {request_id}; there are {client_ip}, {host}, "
                    + "{authority}, {scheme}, {path}, {query}, {route}, {tls_version}, "
                    + "{tls_cipher}, {tls_server_name}, {client_subject}, {client_fingerprint}"
            ),
        ] as [(TestValue, String)]
    )
    func `refuses what cannot be answered`(configuration: TestValue, line: String) {
        #expect(PluginFixture.refusal(RespondFilter.self, configuration) == line)
    }

    @Test
    func `bounds a body with placeholders`() {
        func refusal(_ length: Int, _ text: String) -> String? {
            let body = String(repeating: "a", count: length - text.utf8.count) + text
            return PluginFixture.refusal(RespondFilter.self, ["body": .string(body)])
        }
        #expect(refusal(16_384, "{path}") == nil)
        #expect(refusal(16_385, "{path}") == "body: longer than 16384 bytes, with placeholders")
        #expect(refusal(100_000, "") == nil)
    }
}
