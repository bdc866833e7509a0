import SluiceSDK
import SluiceTestKit
import Testing

@testable import Compression

/// A configuration that encodes short bodies, too.
let eager: TestValue = ["min_length": .measured("0B", 0), "encodings": ["gzip", "br", "zstd"]]

struct CompressionFilterTests {
    private let plain = [("Content-Type", "text/html; charset=utf-8")]

    /// A request whose response head the plugin has seen.
    private func answered(
        _ plugin: PluginFixture,
        method: String = "GET",
        asked: [(String, String)] = [("Accept-Encoding", "gzip")],
        status: Int = 200,
        version: UInt32 = 11,
        noBody: Bool = false,
        _ fields: [(String, String)]
    ) -> RequestFixture {
        let request = RequestFixture(method, fields: asked)
        request.setHTTPVersion(version)
        #expect(plugin.requestHeaders(request) == .next)
        request.hasNoBody = method == "HEAD" || noBody
        request.respond(status: status, fields: fields)
        #expect(plugin.responseHeaders(request) == .next)
        return request
    }

    private func decoded(_ body: [UInt8], _ coding: Coding = .gzip) -> Codec.Result {
        var random = Seeded(seed: 1)
        return Codec().decode([coding], body, &random)
    }

    @Test
    func `the head is that of another representation`() throws {
        let plugin = try PluginFixture(CompressionFilter.self, eager)
        #expect(plugin.hookedPhases == [0, 8, 9, 11])
        let request = answered(
            plugin,
            plain + [
                ("Content-Length", "6"), ("ETag", "\"v1\""), ("Accept-Ranges", "bytes"),
                ("Content-Digest", "sha-256=:x:"), ("Repr-Digest", "sha-256=:x:"),
                ("Digest", "x"), ("Content-MD5", "x"), ("Last-Modified", "y"), ("Vary", "Origin"),
            ]
        )
        #expect(request.response["content-encoding"] == "gzip")
        #expect(request.response.values("vary") == ["Origin", "Accept-Encoding"])
        #expect(request.response["etag"] == "W/\"v1\"")
        #expect(request.response["last-modified"] == "y")
        for name in ["accept-ranges", "content-digest", "repr-digest", "digest", "content-md5"] {
            #expect(request.response[name] == nil)
        }
        #expect(request.bodyPolicies[.response] == .unknown)
        #expect(plugin.responseBody(request, "hel") == .next)
        #expect(plugin.responseBody(request, "lo\n", isEnd: true) == .next)
        #expect(decoded(request.output(.responseBody)) == .whole(Array("hello\n".utf8)))
        plugin.requestEnd(request)
        #expect(plugin.host.metric("compression_streams_total", "gzip", "encode") == 1)
        #expect(plugin.host.metric("compression_in_bytes_total", "gzip", "encode") == 6)
        let count = request.output(.responseBody).count
        #expect(plugin.host.metric("compression_out_bytes_total", "gzip", "encode") == count)
        #expect(plugin.host.misuses == [])
    }

    @Test(arguments: [
        [("Content-Type", "image/png")], [], [("Content-Type", "")],
        [("Content-Type", "text/html"), ("Cache-Control", "max-age=1, No-Transform")],
        [("Content-Type", "text/html"), ("Content-Range", "bytes 0-1/2")],
        [("Content-Type", "text/html"), ("Content-Encoding", "compress")],
        [("Content-Type", "text/html"), ("Content-Encoding", "gzip, br")],
        [("Content-Type", "text/html"), ("Content-Length", "0")],
    ])
    func `what can't be encoded for anybody stays as it is`(fields: [(String, String)]) throws {
        let plugin = try PluginFixture(CompressionFilter.self, eager)
        for asked in [[], [("Accept-Encoding", "gzip")]] {
            let request = answered(plugin, asked: asked, fields)
            #expect(request.edits.isEmpty)
            #expect(plugin.responseBody(request, "hello", isEnd: true) == .next)
            #expect(request.text(.responseBody) == "hello")
            plugin.requestEnd(request)
        }
    }

    @Test
    func `what is encoded for others says so`() throws {
        let plugin = try PluginFixture(CompressionFilter.self, eager)
        let cases: [([(String, String)], UInt32)] = [
            ([], 11), ([("Accept-Encoding", "identity")], 11),
            ([("Accept-Encoding", "gzip"), ("Cache-Control", "no-transform")], 11),
            ([("Accept-Encoding", "gzip")], 10),
        ]
        for (asked, version) in cases {
            let request = answered(plugin, asked: asked, version: version, plain)
            #expect(request.response["content-encoding"] == nil)
            #expect(request.response["vary"] == "Accept-Encoding")
            #expect(plugin.responseBody(request, "hello", isEnd: true) == .next)
            #expect(request.text(.responseBody) == "hello")
            plugin.requestEnd(request)
        }
        for vary in ["accept-encoding", "Origin, Accept-Encoding", "*"] {
            let request = answered(plugin, plain + [("Vary", vary)])
            #expect(request.response.values("vary") == [vary])
            #expect(request.response["content-encoding"] == "gzip")
            plugin.requestEnd(request)
        }
    }

    @Test(arguments: [204, 205, 206])
    func `a status without a whole body is left alone`(status: Int) throws {
        let plugin = try PluginFixture(CompressionFilter.self, eager)
        let request = answered(plugin, status: status, plain + [("ETag", "\"a\"")])
        #expect(request.edits.isEmpty)
        plugin.requestEnd(request)
    }

    @Test
    func `304 varies, and names what the client has`() throws {
        let plugin = try PluginFixture(CompressionFilter.self, eager)
        let asked = ("Accept-Encoding", "gzip")
        let cases: [(String, String, String)] = [
            ("W/\"a\"", "\"a\"", "W/\"a\""), ("\"b\", W/\"a\"", "\"a\"", "W/\"a\""),
            ("\"a\"", "\"a\"", "\"a\""), ("W/\"ab\"", "\"a\"", "\"a\""),
            ("W/\"a\"", "W/\"a\"", "W/\"a\""), ("WW/\"a\"", "\"a\"", "W/\"a\""),
        ]
        for (match, tag, expected) in cases {
            let request = answered(
                plugin,
                asked: [asked, ("If-None-Match", match)],
                status: 304,
                noBody: true,
                [("ETag", tag)]
            )
            #expect(request.response["etag"] == expected)
            #expect(request.response["vary"] == "Accept-Encoding")
            #expect(request.response["content-encoding"] == nil)
            plugin.requestEnd(request)
        }
        let image = answered(plugin, status: 304, noBody: true, [("Content-Type", "image/png")])
        #expect(image.edits.isEmpty)
    }

    @Test
    func `HEAD has the head of GET, and an empty body none`() throws {
        let plugin = try PluginFixture(CompressionFilter.self, eager)
        let head = answered(
            plugin,
            method: "HEAD",
            plain + [("Content-Length", "9"), ("ETag", "\"a\"")]
        )
        #expect(head.response["content-encoding"] == "gzip")
        #expect(head.response["etag"] == "W/\"a\"")
        #expect(head.bodyPolicies[.response] == .unknown)
        plugin.requestEnd(head)
        let empty = answered(plugin, noBody: true, plain)
        #expect(empty.response["content-encoding"] == nil)
        #expect(empty.response["vary"] == "Accept-Encoding")
        plugin.requestEnd(empty)
        #expect(plugin.host.misuses == [])
    }

    @Test
    func `short bodies are left alone, where the length is known`() throws {
        let plugin = try PluginFixture(CompressionFilter.self, ["encodings": ["gzip"]])
        for (length, coding) in [("511", nil), ("512", "gzip"), ("513", "gzip")] {
            let request = answered(plugin, plain + [("Content-Length", length)])
            #expect(request.response["content-encoding"] == coding)
            #expect(request.response["vary"] == coding.map { _ in "Accept-Encoding" })
            plugin.requestEnd(request)
        }
        let unknown = answered(plugin, plain)
        #expect(unknown.response["content-encoding"] == "gzip")
        plugin.requestEnd(unknown)
    }

    @Test(arguments: Coding.allCases)
    func `every chunking gives the same body`(coding: Coding) throws {
        let plugin = try PluginFixture(
            CompressionFilter.self,
            ["encodings": [.string(String(coding.name))], "min_length": .measured("0B", 0)]
        )
        var random = Seeded(seed: 21)
        let body = random.body(count: 3_000)
        for size in [1, 7, 100, 2_999, 3_000] {
            for flushes in [false, true] {
                let asked = [("Accept-Encoding", String(coding.name))]
                let request = answered(plugin, asked: asked, plain)
                for at in stride(from: 0, to: body.count, by: size) {
                    let chunk = Array(body[at..<min(at + size, body.count)])
                    let isLast = at + size >= body.count
                    let isFlush = flushes && at / size % 3 == 0 && !isLast
                    plugin.body(
                        .responseBody,
                        request,
                        chunk,
                        isEnd: isLast,
                        isFlush: isFlush,
                        credit: 64
                    )
                }
                #expect(decoded(request.output(.responseBody), coding) == .whole(body))
                plugin.requestEnd(request)
            }
        }
        #expect(plugin.host.misuses == [])
    }

    @Test
    func `a pause lets out what there is, and only once`() throws {
        let plugin = try PluginFixture(CompressionFilter.self, eager)
        let request = answered(plugin, [("Content-Type", "text/event-stream")])
        plugin.responseBody(request, "", isFlush: true)
        #expect(request.output(.responseBody).isEmpty)
        plugin.responseBody(request, "data: 1\n\n")
        let before = request.output(.responseBody).count
        plugin.responseBody(request, "", isFlush: true)
        let after = request.output(.responseBody)
        #expect(after.count > before)
        plugin.responseBody(request, "", isFlush: true)
        #expect(request.output(.responseBody) == after)
        let codec = Codec()
        let decoder = try #require(codec.pool.takeDecoder(.gzip))
        #expect(codec.run(decoder, after) == Array("data: 1\n\n".utf8))
        plugin.responseBody(request, "data: 2\n\n", isFlush: true)
        plugin.responseBody(request, "", isEnd: true)
        let rest = Array(request.output(.responseBody).dropFirst(after.count))
        #expect(codec.run(decoder, rest) == Array("data: 2\n\n".utf8))
        #expect(codec.pool.isWhole(Decoding(first: decoder)))
        codec.pool.give(decoder)
        plugin.requestEnd(request)
    }

    @Test(arguments: Coding.allCases)
    func `what a client can't take is decoded for it`(coding: Coding) throws {
        let plugin = try PluginFixture(CompressionFilter.self, eager)
        var random = Seeded(seed: 4)
        let body = random.body(count: 200_000)
        let encoded = Codec().encode(coding, body)
        let fields = plain + [("Content-Encoding", String(coding.name)), ("ETag", "\"a\"")]
        for asked in ["identity", "gzip;q=0, deflate;q=0, br;q=0, zstd;q=0", "compress"] {
            let request = answered(plugin, asked: [("Accept-Encoding", asked)], fields)
            #expect(request.response["content-encoding"] == nil)
            #expect(request.response["etag"] == "W/\"a\"")
            #expect(request.response["vary"] == "Accept-Encoding")
            #expect(plugin.body(.responseBody, request, encoded, isEnd: true) == .next)
            #expect(request.output(.responseBody) == body)
            plugin.requestEnd(request)
        }
        let taker = answered(plugin, asked: [("Accept-Encoding", "*")], fields)
        #expect(taker.response["content-encoding"] == String(coding.name))
        #expect(taker.response["etag"] == "\"a\"")
        #expect(taker.response["vary"] == "Accept-Encoding")
        plugin.requestEnd(taker)
        for broken in [Array(encoded.dropLast()), encoded + [1], [1, 2, 3]] {
            let request = answered(plugin, asked: [], fields)
            #expect(plugin.body(.responseBody, request, broken, isEnd: true) == .error)
            #expect(request.errorCode == 1_001)
            plugin.requestEnd(request)
        }
        #expect(plugin.host.misuses == [])
    }

    @Test
    func `with too many streams in use a body stays as it is`() throws {
        let plugin = try PluginFixture(
            CompressionFilter.self,
            ["max_streams": 1, "encodings": ["gzip"]]
        )
        let first = answered(plugin, plain)
        let second = answered(plugin, plain)
        #expect(second.response["content-encoding"] == nil)
        #expect(second.response["vary"] == "Accept-Encoding")
        plugin.requestEnd(first)
        plugin.requestEnd(second)
        let third = answered(plugin, plain)
        #expect(third.response["content-encoding"] == "gzip")
        plugin.responseBody(third, "x", isEnd: true)
        // The end of the body frees it, not that of the request.
        let fourth = answered(plugin, plain)
        #expect(fourth.response["content-encoding"] == "gzip")
        plugin.requestEnd(third)
        plugin.requestEnd(fourth)
    }

    @Test
    func `a reply that takes a response's place begins anew`() throws {
        let plugin = try PluginFixture(
            CompressionFilter.self,
            ["max_streams": 1, "encodings": ["gzip"], "min_length": .measured("0B", 0)]
        )
        let request = answered(plugin, plain)
        plugin.responseBody(request, "half of a page", isFlush: false)
        request.respond(status: 502, fields: plain, isLocal: true)
        plugin.responseHeaders(request)
        #expect(request.response["content-encoding"] == "gzip")
        plugin.requestEnd(request)
        let next = answered(plugin, plain)
        #expect(next.response["content-encoding"] == "gzip")
        plugin.requestEnd(next)
    }

    @Test
    func `before a cache it encodes what is stored, by few variants`() throws {
        let plugin = try PluginFixture(
            CompressionFilter.self,
            ["before_cache": true, "ask_plain": true, "encodings": ["br", "gzip"]]
        )
        #expect(plugin.hookedPhases == [0, 4, 6, 7, 11])
        for (asked, seen) in [("gzip, br;q=0.5", "gzip"), ("zstd, br", "br"), ("zstd", nil)] {
            let request = RequestFixture(fields: [("Accept-Encoding", asked)])
            plugin.requestHeaders(request)
            #expect(request.request["accept-encoding"] == seen)
            plugin.upstreamRequest(request)
            #expect(request.request["accept-encoding"] == nil)
            request.respond(status: 200, fields: plain)
            plugin.upstreamResponse(request)
            #expect(request.response["content-encoding"] == seen)
            plugin.upstreamBody(request, "hello", isEnd: true)
            #expect((request.text(.upstreamBody) == "hello") == (seen == nil))
            plugin.requestEnd(request)
        }
    }

    @Test
    func `an origin can be asked for plain bodies`() throws {
        let plugin = try PluginFixture(
            CompressionFilter.self,
            ["ask_plain": true, "encodings": ["gzip"]]
        )
        let request = answered(plugin, plain)
        #expect(request.request["accept-encoding"] == nil)
        #expect(request.response["content-encoding"] == "gzip")
        plugin.requestEnd(request)
    }
}
