import Admin
import Glibc
import PluginHost
import Sys
import Testing

@testable import Server

struct PluginProbeOrderTests {
    private func order(_ configuration: ConfigurationTree.Node) -> PluginProbeOrder {
        PluginProbeOrder(
            path: "/a \"b\"/libÄ.so",
            sha256: "0a",
            name: "one",
            folder: ".",
            workerCount: 3,
            memoryBytes: 1 << 40,
            upstreams: ["app", "list"],
            configuration: configuration
        )
    }

    @Test
    func `comes back as it was written`() throws {
        let all: ConfigurationTree.Node = .object([
            ("z", .null), ("a", .bool(true)), ("b", .integer(.min)), ("c", .number(1)),
            ("c2", .number(1.5e-300)), ("d", .string("\u{0}\n\u{2028}\\\"")),
            ("e", .string("10s", meaning: 10_000_000_000)), ("f", .array([])),
            ("g", .array([.string("text"), .string("x"), .integer(1)])),
            ("h", .array([.array([.string("list")]), .object([])])), ("", .object([("x", .null)])),
        ])
        let made = order(all)
        let read = try #require(PluginProbeOrder(Array(made.json.text.utf8)))
        #expect(read.json == made.json)
        #expect("\(read.configuration)" == "\(all)")
        #expect(read.path == made.path && read.sha256 == "0a")
        #expect(read.name == "one" && read.folder == ".")
        #expect(read.workerCount == 3 && read.memoryBytes == 1 << 40)
        #expect(read.upstreams == ["app", "list"])
        #expect(!made.json.text.contains("\n"))
    }

    @Test(arguments: [
        "", "{}", "[]", "{",
        #"{"path":1,"sha256":"","name":"","folder":"","workers":1,"memory":1,"upstreams":[],"#
            + #""configuration":{}}"#,
        #"{"path":"","sha256":"","name":"","folder":"","workers":1,"memory":1,"upstreams":[],"#
            + #""configuration":[1]}"#,
    ])
    func `takes nothing else`(text: String) {
        #expect(PluginProbeOrder(Array(text.utf8)) == nil)
    }
}
