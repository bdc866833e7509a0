import Glibc
import Respond
import SluiceSDK
import SluiceTestKit
import Testing

struct BodyFileTests {
    /// Runs something on a file of `count` bytes.
    private func withFile(_ count: Int, _ body: (String) throws -> Void) throws {
        var name = Array(
            ("/tmp/sluice-respond-" + String(repeating: "X", count: 6)).utf8CString
        )
        let descriptor = mkstemp(&name)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        let path = String(decoding: name.dropLast().map { UInt8($0) }, as: UTF8.self)
        defer { unlink(path) }
        let bytes = [UInt8](repeating: 0x7B, count: count)
        try #require(write(descriptor, bytes, count) == count)
        try body(path)
    }

    @Test(arguments: [0, 5, 1_048_576])
    func `sends a file as it is`(count: Int) throws {
        try withFile(count) { path in
            let plugin = try PluginFixture(RespondFilter.self, ["body_file": .string(path)])
            let request = RequestFixture()
            request.memoryBudget = 0
            #expect(plugin.requestHeaders(request) == .respond)
            #expect(request.replyBody == String(repeating: "{", count: count))
            #expect(request.response["content-type"] == "application/octet-stream")
        }
    }

    @Test
    func `a relative path begins in the manifest's folder`() throws {
        try withFile(3) { path in
            let name = String(path.dropFirst("/tmp/".count))
            let host = FakeHost()
            host.folder = "/tmp"
            let plugin = try PluginFixture(
                RespondFilter.self,
                ["body_file": .string(name)],
                host: host
            )
            let request = RequestFixture()
            #expect(plugin.requestHeaders(request) == .respond)
            #expect(request.replyBody == "{{{")
        }
        #expect(
            PluginFixture.refusal(RespondFilter.self, ["body_file": "not-here"])
                == "body_file: /etc/sluice/not-here: No such file or directory"
        )
    }

    @Test
    func `refuses a file over the limit`() throws {
        try withFile(1_048_577) { path in
            #expect(
                PluginFixture.refusal(RespondFilter.self, ["body_file": .string(path)])
                    == "body_file: \(path): longer than 1048576 bytes"
            )
        }
    }
}
