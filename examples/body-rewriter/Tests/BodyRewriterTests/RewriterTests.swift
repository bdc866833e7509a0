import BodyRewriter
import SluiceSDK
import SluiceTestKit
import Testing

struct RewriterTests {
    /// A request whose response head the plugin has seen.
    private func response(
        _ plugin: PluginFixture,
        _ fields: [(String, String)] = [("Content-Type", "text/html; charset=utf-8")],
        status: Int = 200
    ) -> RequestFixture {
        let request = RequestFixture()
        request.respond(status: status, fields: fields)
        plugin.responseHeaders(request)
        return request
    }

    /// What should come out, by the plainest of ways.
    private func replaced(_ text: String, _ find: String, _ replacement: String) -> String {
        let (text, find) = (Array(text.utf8), Array(find.utf8))
        var output: [UInt8] = []
        var at = 0
        while at < text.count {
            if text[at...].starts(with: find) {
                output += replacement.utf8
                at += find.count
            } else {
                output.append(text[at])
                at += 1
            }
        }
        return String(decoding: output, as: UTF8.self)
    }

    @Test(arguments: [
        ("old", "new"), ("old", ""), ("o", "oo"), ("aab", "<b>"), ("abab", "ab"),
        ("aaaa", "b"), ("ab", "a text that is longer than the room of sixty-four bytes, by far"),
    ])
    func `every chunking gives the same bytes`(find: String, replacement: String) throws {
        let plugin = try PluginFixture(
            Rewriter.self,
            ["find": .string(find), "replace": .string(replacement)]
        )
        let bodies = [
            "", "o", "old", "ol", "an old world, ooold and old", "aaab aabaab aaaab",
            "abababab aba",
            "aaaaaaaaa", "nothing here", "abab aaaab ol",
        ]
        for body in bodies {
            for credit in [64, 1] {
                let output = try plugin.everyChunking(of: body, .responseBody, credits: [credit]) {
                    response(plugin)
                }
                #expect(output == replaced(body, find, replacement))
            }
        }
        #expect(plugin.host.misuses == [])
    }

    @Test
    func `random texts of few letters come out right in every chunking`() throws {
        let plugin = try PluginFixture(Rewriter.self, ["find": "abaab", "replace": "(x)"])
        var seed: UInt64 = 7
        for _ in 0..<6 {
            var body = ""
            for _ in 0..<24 {
                seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                body += seed >> 62 == 0 ? "a" : seed >> 62 == 1 ? "b" : "ab"
            }
            let output = try plugin.everyChunking(of: body, .responseBody, credits: [2]) {
                response(plugin)
            }
            #expect(output == replaced(body, "abaab", "(x)"))
        }
    }

    @Test
    func `only what may become a match is kept back`() throws {
        let plugin = try PluginFixture(Rewriter.self, ["find": "<body>", "replace": "<BODY>"])
        let request = response(plugin)
        plugin.responseBody(request, "<html><bo", isFlush: true)
        #expect(request.text(.responseBody) == "<html>")
        plugin.responseBody(request, "x\n", isFlush: true)
        #expect(request.text(.responseBody) == "<html><box\n")
        plugin.responseBody(request, "<b")
        plugin.responseBody(request, "", isEnd: true)
        #expect(request.text(.responseBody) == "<html><box\n<b")
    }

    @Test
    func `nothing is kept back at a flush when it is to be released`() throws {
        let plugin = try PluginFixture(
            Rewriter.self,
            ["find": "<body>", "replace": "<BODY>", "at_flush": "release"]
        )
        let request = response(plugin)
        plugin.responseBody(request, "<bo")
        #expect(request.text(.responseBody) == "")
        plugin.responseBody(request, "dy><bo", isFlush: true, credit: 4)
        #expect(request.text(.responseBody) == "<BODY><bo")
        plugin.responseBody(request, "dy>", isEnd: true)
        #expect(request.text(.responseBody) == "<BODY><body>")
    }

    @Test
    func `what names the bytes is taken away, the rest stays`() throws {
        let plugin = try PluginFixture(Rewriter.self, ["find": "a", "replace": "b"])
        let request = response(
            plugin,
            [
                ("Content-Type", "TEXT/HTML"), ("ETag", "\"1\""), ("Content-MD5", "x"),
                ("Digest", "x"), ("Content-Digest", "x"), ("Repr-Digest", "x"),
                ("Accept-Ranges", "bytes"), ("Last-Modified", "then"),
                ("Cache-Control", "no-store"),
            ]
        )
        #expect(
            request.response
                == Message([
                    (":status", "200"), ("content-type", "TEXT/HTML"), ("last-modified", "then"),
                    ("cache-control", "no-store"), ("accept-ranges", "none"),
                ])
        )
        #expect(request.bodyPolicies[.response] == .unknown)
    }

    @Test(arguments: [
        [("Content-Type", "text/css")], [], [("Content-Type", "text/html2")],
        [("Content-Type", "text/html"), ("Content-Encoding", "gzip")],
        [("Content-Type", "text/html"), ("Content-Encoding", "identity, br")],
        [("Content-Type", "text/html"), ("Cache-Control", "public , No-Transform,max-age=1")],
    ])
    func `other responses are left alone`(fields: [(String, String)]) throws {
        let plugin = try PluginFixture(Rewriter.self, ["find": "a", "replace": "b"])
        let request = response(plugin, fields + [("ETag", "\"1\"")])
        #expect(request.response["etag"] == "\"1\"" && request.isDetached)
        plugin.responseBody(request, "banana", isEnd: true)
        #expect(request.text(.responseBody) == "banana" && request.callCount(.responseBody) == 0)
    }

    @Test
    func `a part of a body is left alone, and origins are asked for the whole`() throws {
        let plugin = try PluginFixture(Rewriter.self, ["find": "a", "replace": "b"])
        #expect(response(plugin, [("Content-Type", "text/html")], status: 206).isDetached)
        let ranged = [("Accept-Encoding", "gzip"), ("Range", "bytes=0-1"), ("If-Range", "\"1\"")]
        let request = RequestFixture(fields: ranged)
        plugin.requestHeaders(request)
        #expect(request.request.fields.count == 4)

        let shy = try PluginFixture(
            Rewriter.self,
            ["find": "a", "replace": "b", "ask_plain": false]
        )
        #expect(shy.hookedPhases == [8, 9])
    }

    @Test
    func `content types are those of the configuration`() throws {
        let plugin = try PluginFixture(
            Rewriter.self,
            ["find": "a", "replace": "b", "content_types": ["text/css", "Text/JavaScript"]]
        )
        #expect(response(plugin, [("Content-Type", "text/html")]).isDetached)
        #expect(!response(plugin, [("Content-Type", "text/javascript;x=y")]).isDetached)
    }

    @Test
    func `the length of what is looked for is bounded`() {
        func refusal(_ length: Int) -> String? {
            let find = String(repeating: "a", count: length)
            return PluginFixture.refusal(
                Rewriter.self,
                ["find": .string(find), "replace": "b"]
            )
        }
        #expect(refusal(256) == nil)
        #expect(refusal(257) == "find: 1 to 256 bytes are wanted, not 257")
        #expect(refusal(0) == "find: 1 to 256 bytes are wanted, not 0")
        #expect(PluginFixture.refusal(Rewriter.self, ["find": "a"]) == "replace: is missing")
    }
}
