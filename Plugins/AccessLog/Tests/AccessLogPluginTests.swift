import CSluice
import Glibc
import SluiceSDK
import SluiceTestKit
import Testing

@testable import AccessLog

/// A folder for one test, and files in it.
final class Folder {
    let path: String

    init() {
        var template = Array("/tmp/access-log-XXXXXX".utf8CString)
        path = template.withUnsafeMutableBufferPointer { buffer -> String in
            guard let start = buffer.baseAddress, let made = mkdtemp(start) else {
                return "/nowhere"
            }
            return String(cString: made)
        }
    }

    deinit {
        for name in ["a.log", "b.log", "a.log.1"] { unlink(path + "/" + name) }
        rmdir(path)
    }

    func lines(_ name: String = "a.log") -> [String] {
        guard let file = fopen(path + "/" + name, "r") else { return [] }
        defer { fclose(file) }
        var (bytes, byte): ([UInt8], Int32) = ([], fgetc(file))
        while byte != EOF {
            bytes.append(UInt8(truncatingIfNeeded: byte))
            byte = fgetc(file)
        }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
    }
}

struct AccessLogPluginTests {
    private let folder = Folder()

    private func plugin(
        _ configuration: [String: TestValue],
        workers: Int = 1
    ) throws -> PluginFixture {
        var configuration = configuration
        let host = FakeHost()
        host.folder = folder.path
        if configuration["output"] == nil { configuration["output"] = ["file": "a.log"] }
        return try PluginFixture(
            AccessLogPlugin.self,
            .object(configuration),
            host: host,
            workers: workers
        )
    }

    private func template(_ text: String) -> [String: TestValue] {
        ["format": "template", "template": .string(text)]
    }

    /// The line of a request that is over.
    private func line(
        _ configuration: [String: TestValue],
        _ request: RequestFixture
    ) throws -> String? {
        let plugin = try plugin(configuration)
        plugin.requestHeaders(request)
        plugin.responseHeaders(request)
        plugin.requestEnd(request)
        plugin.advance(nanoseconds: 1_000_000_000)
        plugin.runJobs()
        #expect(plugin.host.misuses == [])
        return folder.lines().first
    }

    @Test func `combined is what nginx writes`() throws {
        let request = RequestFixture(
            "POST",
            "/a?b=\"c\"",
            fields: [("Referer", "http://x/"), ("User-Agent", "curl/8 \\")]
        )
        request.respond(status: 201)
        request.facts.bytes_out = 12
        let line = try #require(try line(["format": "combined"], request))
        let parts = line.split(separator: "[", maxSplits: 1)
        #expect(parts[0] == "192.0.2.1 - - ")
        let rest = parts[1].split(separator: "]", maxSplits: 1)[1]
        #expect(
            rest == " \"POST /a?b=\\x22c\\x22 HTTP/1.1\" 201 12 \"http://x/\" \"curl/8 \\x5C\""
        )
    }

    @Test(arguments: [
        ("$remote_addr:$remote_port", "192.0.2.1:50000"),
        ("$request_method $uri?$args", "GET /a/b?c=d"),
        ("$request_uri|$host|$scheme|$server_protocol", "/a/b?c=d|example.com|https|HTTP/2.0"),
        ("$status $body_bytes_sent $bytes_sent $request_length", "404 7 107 63"),
        ("$request_time", "0.250"), ("$connection $connection_requests", "77 3"),
        ("$http_x_one|$http_x_two|$http_host", "1|-|example.com"),
        ("$sent_http_x_made|$sent_http_none", "yes|-"),
        ("$ssl_protocol $ssl_cipher $ssl_server_name", "TLSv1.3 TLS_AES_128_GCM_SHA256 sni"),
        ("$ssl_client_s_dn $ssl_client_fingerprint $ssl_session_reused", "CN=a ab01 ."),
        ("$route $upstream $attempts $outcome", "r u 0 complete"),
        ("$upstream_addr $upstream_cache_status $remote_user", "- HIT -"),
        ("$trace_id", "0af7651916cd43dd8448eb211c80319c"), ("$request_id", "id-1"),
        ("${status}0$status.", "4040404."),
        ("no variable", "no variable"),
    ])
    func `variables`(text: String, wanted: String) throws {
        let request = RequestFixture(
            "GET",
            "/a/b?c=d",
            authority: "example.com:8443",
            fields: [
                ("X-One", "1"), ("X-Request-ID", "id-1"),
                ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            ]
        )
        request.setHTTPVersion(20)
        request.setTLS(serverName: "sni", clientSubject: "CN=a", clientFingerprint: "ab01")
        request.setFacts(route: "r", upstream: "u")
        request.respond(status: 404, fields: [("X-Made", "yes")])
        request.facts.bytes_out = 7
        request.facts.head_bytes_out = 100
        request.facts.bytes_in = 3
        request.facts.head_bytes_in = 60
        request.facts.time_start = 1_000_000_000
        request.facts.time_now = 1_250_000_000
        request.facts.connection_number = 77
        request.facts.connection_requests = 3
        request.facts.cache_status = 3
        #expect(try line(template(text), request) == wanted)
    }

    @Test func `lists have a value for each attempt, as in nginx`() throws {
        let plugin = try plugin(
            template(
                "$upstream_addr|$upstream_status|$upstream_connect_time|$upstream_header_time"
                    + "|$upstream_response_time"
            )
        )
        let request = RequestFixture()
        plugin.requestHeaders(request)
        let milliseconds: UInt64 = 1_000_000
        request.setFacts(peer: "10.0.0.1:80")
        request.facts.time_attempt = 1_000 * milliseconds
        request.facts.time_now = 1_007 * milliseconds
        plugin.upstreamResult(request, .timeout)
        request.setFacts(peer: "10.0.0.2:80")
        request.facts.time_attempt = 1_010 * milliseconds
        request.facts.time_connected = 1_012 * milliseconds
        request.facts.time_first_byte = 1_020 * milliseconds
        request.setStatus(200)
        plugin.upstreamResult(request, .response)
        request.respond(status: 200)
        request.facts.time_now = 1_030 * milliseconds
        plugin.requestEnd(request)
        plugin.advance(nanoseconds: 1_000_000_000)
        plugin.runJobs()
        #expect(
            folder.lines() == [
                "10.0.0.1:80, 10.0.0.2:80|504, 200|-, 0.002|-, 0.010|0.007, 0.020"
            ]
        )
    }

    @Test func `an attempt that was given up for another has no status`() throws {
        let plugin = try plugin(template("$upstream_addr|$upstream_status"))
        let request = RequestFixture()
        plugin.requestHeaders(request)
        request.setFacts(peer: "10.0.0.1:80")
        plugin.upstreamResult(request, .abandoned)
        request.setFacts(peer: "10.0.0.2:80")
        request.setStatus(200)
        plugin.upstreamResult(request, .response)
        plugin.requestEnd(request)
        plugin.advance(nanoseconds: 1_000_000_000)
        plugin.runJobs()
        #expect(folder.lines() == ["10.0.0.1:80, 10.0.0.2:80|-, 200"])
    }

    @Test func `attempts that are over the bound are not told`() throws {
        let plugin = try plugin(template("$upstream_status"))
        let request = RequestFixture()
        plugin.requestHeaders(request)
        for _ in 0..<Record.attemptsMax + 1 { plugin.upstreamResult(request, .connect) }
        plugin.requestEnd(request)
        plugin.advance(nanoseconds: 1_000_000_000)
        plugin.runJobs()
        #expect(folder.lines()[0].split(separator: ",").count == Record.attemptsMax)
    }

    @Test func `a JSON object has null for what is not there`() throws {
        let request = RequestFixture("GET", "/\u{7f}")
        request.respond(status: 200)
        let line = try line(
            ["fields": ["status", "uri", "http_none", "number_none", "who=remote_addr"]],
            request
        )
        #expect(
            line == #"{"status":200,"uri":"/\u007f","http_none":null,"number_none":null,"#
                + #""who":"192.0.2.1"}"#
        )
    }

    @Test func `credentials are shown by name only`() throws {
        let fields = [("Authorization", "Basic eA=="), ("Cookie", "a=1; sid=secret; b=2")]
        let request = RequestFixture(fields: fields)
        request.respond(status: 200, fields: [("Set-Cookie", "sid=1")])
        var configuration = template("$http_authorization $cookie_sid $sent_http_set_cookie")
        configuration["sensitive"] = ["http_authorization", "cookie_sid", "sent_http_set_cookie"]
        #expect(try line(configuration, request) == "Basic eA== secret sid=1")
        for name in ["http_authorization", "http_cookie", "cookie_x", "sent_http_set_cookie"] {
            let refused = PluginFixture.refusal(
                AccessLogPlugin.self,
                ["output": "stdout", "format": "template", "template": .string("$" + name)]
            )
            #expect(
                refused == "template: $\(name) holds credentials; to log it, name it in "
                    + "\"sensitive\""
            )
        }
    }

    @Test(arguments: [
        ("/?token=x", "/?token=***"), ("/?a=1&token=x&b=2", "/?a=1&token=***&b=2"),
        ("/?TOKEN=x;b", "/?TOKEN=***;b"), ("/?%74oken=x", "/?%74oken=***"),
        ("/?tokens=x", "/?tokens=x"), ("/?token", "/?token"), ("/token=x", "/token=x"),
        ("/?", "/?"), ("/?token=", "/?token=***"), ("/?a?token=x", "/?a?token=***"),
    ])
    func `queries keep secrets`(target: String, wanted: String) throws {
        var configuration = template("$request_uri")
        configuration["redact_query"] = ["token"]
        #expect(try line(configuration, RequestFixture("GET", target)) == wanted)
    }

    @Test func `a full buffer drops lines, and counts each`() throws {
        var configuration = template("$http_x")
        configuration["buffer"] = .measured("64KiB", 65_536)
        let plugin = try plugin(configuration)
        let request = RequestFixture(fields: [("X", String(repeating: "x", count: 1_023))])
        // 64 lines of 1 KiB fill it.
        for _ in 0..<70 { plugin.requestEnd(request) }
        #expect(plugin.host.metric("access_log_lines_total", "dropped") == 6)
        plugin.advance(nanoseconds: 1_000_000_000)
        plugin.runJobs()
        #expect(plugin.host.metric("access_log_lines_total", "written") == 64)
        #expect(folder.lines().count == 64)
        #expect(plugin.host.log.filter { $0.line.contains("dropped") }.count == 1)
        for _ in 0..<70 { plugin.requestEnd(request) }
        plugin.advance(nanoseconds: 1_000_000_000)
        #expect(plugin.host.log.filter { $0.line.contains("dropped") }.count == 1)
        plugin.advance(nanoseconds: Spool.noticeNanoseconds)
        #expect(plugin.host.log.filter { $0.line.contains("dropped") }.count == 2)
    }

    @Test func `what is left is written at the end`() throws {
        do {
            let plugin = try plugin(template("$uri"), workers: 2)
            plugin.requestHeaders(RequestFixture("GET", "/a"))
            for worker in [0, 1] { plugin.requestEnd(RequestFixture(), worker: worker) }
        }
        #expect(folder.lines().count == 2)
    }

    @Test func `a moved file is left when it is told to, and when it is noticed`() throws {
        let plugin = try plugin(template("$status"))
        let path = folder.path + "/a.log"
        rename(path, path + ".1")
        plugin.reopenLogs()
        plugin.runJobs()
        #expect(access(path, F_OK) == 0)
        unlink(path)
        let request = RequestFixture()
        request.respond(status: 200)
        plugin.requestEnd(request)
        plugin.advance(nanoseconds: 1_000_000_000)
        plugin.runJobs()
        #expect(folder.lines() == ["200"])
    }
}
