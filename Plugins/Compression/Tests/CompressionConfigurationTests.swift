import SluiceSDK
import SluiceTestKit
import Testing

@testable import Compression

struct CompressionConfigurationTests {
    @Test(
        arguments: [
            ([:], nil), (["encodings": ["gzip"]], nil),
            (
                ["encodings": ["gizp"]],
                "encodings[0]: \"gizp\" is none of \"gzip\", \"deflate\", \"br\", \"zstd\""
            ),
            (["encodings": ["br", "br"]], "encodings[1]: \"br\" stands here twice"),
            (["encodings": "gzip"], "encodings: an array is wanted, not a string"),
            (["encoding": []], "encoding: unknown key; did you mean \"encodings\"?"),
            (["levels": ["gzip": 0]], "levels.gzip: 0 is not within 1 to 9"),
            (["levels": ["gzip": 10]], "levels.gzip: 10 is not within 1 to 9"),
            (["levels": ["br": 12]], "levels.br: 12 is not within 0 to 11"),
            (["levels": ["zstd": 20]], "levels.zstd: 20 is not within 1 to 19"),
            (["levels": ["gzip": 9, "br": 0, "zstd": 19]], nil),
            (
                ["types": ["text"]],
                "types[0]: no media type: \"text\"; \"text/css\", \"text/*\" and "
                    + "\"application/*+json\" are"
            ),
            (["types": ["text/*", "a/*+b", "a/b"]], nil),
            (["pool": -1], "pool: -1 is not within 0 to 10000"),
            (["max_streams": 0], "max_streams: 0 is not within 1 to 1000000"),
            (["decode_requests": 1], "decode_requests: an object is wanted, not a number"),
            (
                ["decode_requests": ["max_size": .measured("0B", 0)]],
                "decode_requests.max_size: at least one byte must be allowed"
            ),
            (
                ["decode_requests": ["max_ratio": 0]],
                "decode_requests.max_ratio: 0 is not within 1 to 100000"
            ),
            (
                ["encodings": [], "decode_responses": false],
                "nothing is encoded and nothing decoded: leave the plugin out"
            ),
            (["encodings": [], "decode_responses": false, "decode_requests": true], nil),
        ] as [(TestValue, String?)]
    )
    func `a configuration is taken, or refused with a line`(
        configuration: TestValue,
        line: String?
    ) {
        #expect(PluginFixture.refusal(CompressionFilter.self, configuration) == line)
    }

    @Test
    func `as many types as there may be, and one more`() {
        let types = (0...256).map { TestValue.string("text/x\($0)") }
        let most = TestValue.object(["types": .array(Array(types.dropLast()))])
        #expect(PluginFixture.refusal(CompressionFilter.self, most) == nil)
        let more = TestValue.object(["types": .array(types)])
        #expect(
            PluginFixture.refusal(CompressionFilter.self, more)
                == "types: 257 types; up to 256 are taken"
        )
    }

    @Test(arguments: [
        ("text/html", true), ("TEXT/HTML;charset=utf-8", true), (" text/css ; x", true),
        ("application/problem+json", true), ("application/+json", false),
        ("application/json", true), ("application/jsonx", false), ("application/pdf", false),
        ("image/svg+xml", true), ("image/png", false), ("text/", false), ("text", false),
        ("font/woff2", false), ("application/grpc", false), ("", false), (";", false),
    ])
    func `text and its like is compressed by default`(type: String, isTaken: Bool) throws {
        let plugin = try PluginFixture(CompressionFilter.self, eager)
        let request = RequestFixture(fields: [("Accept-Encoding", "gzip")])
        plugin.requestHeaders(request)
        request.respond(status: 200, fields: [("Content-Type", type)])
        plugin.responseHeaders(request)
        #expect((request.response["content-encoding"] == "gzip") == isTaken)
        plugin.requestEnd(request)
    }

    @Test
    func `it says what it has found`() {
        let found = Libraries.open().description
        #expect(found.hasPrefix("zlib 1."))
        #expect(found.contains(", Brotli 1.") || found.contains(", no Brotli"))
        #expect(found.contains(", Zstandard 1.") || found.contains(", no Zstandard"))
    }
}
