import SluiceSDK
import SluiceTestKit
import Testing

@testable import Compression

struct AcceptedCodingsTests {
    /// What is chosen of zstd, br, gzip and deflate, in this order; nil for identity.
    private func chosen(_ lines: [String]) throws -> String? {
        let probe = try PluginFixture(
            CompressionFilter.self,
            ["encodings": ["zstd", "br", "gzip", "deflate"], "min_length": .measured("0B", 0)]
        )
        let request = RequestFixture(fields: lines.map { ("Accept-Encoding", $0) })
        probe.requestHeaders(request)
        request.respond(status: 200, fields: [("Content-Type", "text/plain")])
        probe.responseHeaders(request)
        probe.requestEnd(request)
        #expect(request.response["vary"] == "Accept-Encoding")
        return request.response["content-encoding"]
    }

    @Test(
        arguments: [
            // Without the field, or with nothing in it, only identity.
            ([], nil), ([""], nil), ([" , ,"], nil),
            (["gzip"], "gzip"), (["GZip"], "gzip"), (["x-gzip"], "gzip"), (["deflate"], "deflate"),
            (["br"], "br"), (["zstd"], "zstd"), (["compress"], nil), (["identity"], nil),
            // Of those that are liked the same, the first one of the configuration.
            (["gzip, br, zstd"], "zstd"), (["gzip, deflate, br"], "br"),
            (["deflate, gzip"], "gzip"),
            (["gzip", "br"], "br"), (["gzip;q=0.5, br;q=0.5"], "br"),
            // The best quality wins over the order.
            (["gzip;q=1.0, br;q=0.9"], "gzip"), (["gzip;q=0.001, br;q=0"], "gzip"),
            (["br;q=0.8,gzip;q=0.81"], "gzip"), (["br; q=0.8 , gzip;Q=0.9"], "gzip"),
            // 0 is no.
            (["gzip;q=0"], nil), (["gzip;q=0.000, br;q=0.0"], nil), (["gzip;q=0", "gzip"], nil),
            (["gzip, gzip;q=0"], nil),
            // What is not listed is what the asterisk says.
            (["*"], "zstd"), (["*;q=0"], nil), (["*;q=0, gzip"], "gzip"),
            (["zstd;q=0, *"], "br"), (["gzip;q=0.5, *;q=0.1"], "gzip"),
            (["gzip;q=0.1, *;q=0.5"], "zstd"),
            // Identity counts where it is listed.
            (["identity;q=0.5, gzip;q=0.4"], nil), (["identity;q=0.5, gzip;q=0.5"], "gzip"),
            (["identity, gzip;q=0.9"], nil), (["identity;q=0, compress"], nil),
            (["identity;q=0, gzip;q=0.1"], "gzip"), (["gzip;q=0.1, *;q=0"], "gzip"),
            // A malformed element offers nothing, and spoils no other.
            (["gzip;q=1.1"], nil), (["gzip;q=2"], nil), (["gzip;q=0.1234"], nil),
            (["gzip;q="], nil), (["gzip;q"], nil), (["gzip;"], nil), (["gzip;q=-1"], nil),
            (["gzip;q=0.5x, br"], "br"), (["gzip;level=1"], nil), (["gzip;q=1;x=1"], nil),
            (["gzip q=1"], nil), (["gzip;q=0,5"], nil), (["gzip;q=.5"], nil),
            (["gzip;q=1."], "gzip"), (["gzip;q=1.000"], "gzip"), (["gzip;q=1.001"], nil),
            (["gzipp, xgzip, brr, z"], nil),
        ] as [([String], String?)]
    )
    func `the coding is what the client likes best`(lines: [String], coding: String?) throws {
        #expect(try chosen(lines) == coding)
    }

    @Test
    func `only what is configured is chosen`() throws {
        let plugin = try PluginFixture(CompressionFilter.self, ["encodings": ["gzip"]])
        for (line, coding) in [("br, gzip;q=0.1", "gzip"), ("br, zstd", nil), ("*", "gzip")] {
            let request = RequestFixture(fields: [("Accept-Encoding", line)])
            plugin.requestHeaders(request)
            request.respond(status: 200, fields: [("Content-Type", "text/plain")])
            plugin.responseHeaders(request)
            #expect(request.response["content-encoding"] == coding)
            plugin.requestEnd(request)
        }
    }
}
