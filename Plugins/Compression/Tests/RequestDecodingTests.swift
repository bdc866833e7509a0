import SluiceSDK
import SluiceTestKit
import Testing

@testable import Compression

struct RequestDecodingTests {
    private let codec = Codec()

    private func fixture(_ limits: TestValue = true, streams: Int = 100) throws -> PluginFixture {
        try PluginFixture(
            CompressionFilter.self,
            ["decode_requests": limits, "max_streams": .integer(streams)]
        )
    }

    private func post(_ codings: String, _ others: [(String, String)] = []) -> RequestFixture {
        RequestFixture("POST", fields: [("Content-Encoding", codings)] + others)
    }

    @Test(arguments: Coding.allCases)
    func `an origin gets the plain body`(coding: Coding) throws {
        let plugin = try fixture()
        #expect(plugin.hookedPhases == [0, 2, 8, 9, 11])
        var random = Seeded(seed: 12)
        let body = random.body(count: 150_000)
        let encoded = codec.encode(coding, body, &random)
        for size in [1_000, encoded.count] {
            let request = post(
                String(coding.name),
                [("Content-Digest", "x"), ("Digest", "x"), ("Content-Length", "\(encoded.count)")]
            )
            #expect(plugin.requestHeaders(request) == .next)
            #expect(request.request["content-encoding"] == nil)
            #expect(request.request["content-digest"] == nil)
            #expect(request.request["digest"] == nil)
            #expect(request.bodyPolicies[.request] == .unknown)
            for at in stride(from: 0, to: encoded.count, by: size) {
                let chunk = Array(encoded[at...].prefix(size))
                #expect(plugin.body(.requestBody, request, chunk) == .next)
            }
            #expect(plugin.body(.requestBody, request, [], isEnd: true) == .next)
            #expect(request.output(.requestBody) == body)
            plugin.requestEnd(request)
        }
        #expect(plugin.host.misuses == [])
    }

    @Test
    func `two codings are taken off in turn, three are refused`() throws {
        let plugin = try fixture()
        let body = Array("hello".utf8)
        let twice = codec.encode(.brotli, codec.encode(.gzip, body))
        for codings in ["x-gzip, br", "GZIP,,identity ,BR"] {
            let request = post(codings)
            #expect(plugin.requestHeaders(request) == .next)
            #expect(plugin.body(.requestBody, request, twice, isEnd: true) == .next)
            #expect(request.output(.requestBody) == body)
            plugin.requestEnd(request)
        }
        for codings in [
            "gzip, gzip, gzip", "compress", "gzip, compress", "compress, gzip", "gzip x",
        ] {
            let request = post(codings)
            #expect(plugin.requestHeaders(request) == .respond)
            #expect(request.response[":status"] == "415")
            #expect(request.response["accept-encoding"] == "gzip, deflate, br, zstd")
            plugin.requestEnd(request)
        }
    }

    @Test
    func `what is not encoded, or must not be changed, passes`() throws {
        let plugin = try fixture()
        let requests = [
            RequestFixture("POST"), post("identity"), post(""),
            post("gzip", [("Cache-Control", "no-transform")]),
        ]
        for request in requests {
            let fields = request.request["content-encoding"]
            #expect(plugin.requestHeaders(request) == .next)
            #expect(request.request["content-encoding"] == fields)
            #expect(plugin.requestBody(request, "hello", isEnd: true) == .next)
            #expect(request.text(.requestBody) == "hello")
            plugin.requestEnd(request)
        }
        let empty = post("gzip")
        empty.hasNoBody = true
        #expect(plugin.requestHeaders(empty) == .next)
        #expect(empty.request["content-encoding"] == "gzip")
        plugin.requestEnd(empty)
    }

    @Test
    func `malformed bodies are refused with 400`() throws {
        let plugin = try fixture()
        let encoded = codec.encode(.gzip, Array("hello".utf8))
        for body in [[], Array(encoded.dropLast()), encoded + [0x1F], encoded + [0], [1, 2, 3]] {
            let request = post("gzip")
            plugin.requestHeaders(request)
            #expect(plugin.body(.requestBody, request, body, isEnd: true) == .respond)
            #expect(request.response[":status"] == "400")
            plugin.requestEnd(request)
        }
        let members = post("gzip")
        plugin.requestHeaders(members)
        #expect(plugin.body(.requestBody, members, encoded + encoded, isEnd: true) == .next)
        #expect(members.text(.requestBody) == "hellohello")
        plugin.requestEnd(members)
    }

    @Test
    func `bombs are refused with 413, at the edges of both limits`() throws {
        let zeroes = [UInt8](repeating: 0, count: 300_000)
        let bomb = codec.encode(.gzip, zeroes)
        for (size, verdict) in [(299_999, Verdict.respond), (300_000, .next), (300_001, .next)] {
            let plugin = try fixture([
                "max_size": .measured("", size), "max_ratio": 100_000,
            ])
            let request = post("gzip")
            plugin.requestHeaders(request)
            #expect(plugin.body(.requestBody, request, bomb, isEnd: true) == verdict)
            #expect(request.response[":status"] == (verdict == .respond ? "413" : nil))
            plugin.requestEnd(request)
        }
        let ratio = (300_000 - 65_536) / bomb.count
        for (ratio, verdict) in [(ratio - 1, Verdict.respond), (ratio + 1, .next)] {
            let plugin = try fixture(["max_ratio": .integer(ratio)])
            let request = post("gzip")
            plugin.requestHeaders(request)
            #expect(plugin.body(.requestBody, request, bomb, isEnd: true) == verdict)
            plugin.requestEnd(request)
        }
    }

    @Test
    func `with too many streams in use the client is to come again`() throws {
        let plugin = try fixture(streams: 2)
        let first = post("gzip")
        #expect(plugin.requestHeaders(first) == .next)
        let second = post("gzip, br")
        #expect(plugin.requestHeaders(second) == .respond)
        #expect(second.response[":status"] == "503")
        plugin.requestEnd(second)
        plugin.requestEnd(first)
        let third = post("gzip, br")
        #expect(plugin.requestHeaders(third) == .next)
        plugin.requestEnd(third)
    }
}
