import Admin
import Testing

@testable import PluginHost
@testable import Server

/// What a cache is told to forget.
struct PurgeOrderTests {
    private func problem(_ body: JSON) -> String? {
        do throws(PurgeOrder.Refusal) {
            _ = try PurgeOrder(plugin: "pages", body)
            return nil
        } catch {
            return error.line
        }
    }

    @Test func `reads an order`() throws {
        let url = try PurgeOrder(plugin: "pages", ["url": "http://a/b?c"])
        #expect(url.plugin == "pages" && url.purge == .url("http://a/b?c") && !url.isSoft)
        let prefix = try PurgeOrder(plugin: "pages", ["prefix": "http://a/", "soft": true])
        #expect(prefix.purge == .prefix("http://a/") && prefix.isSoft)
        #expect(try PurgeOrder(plugin: "pages", ["tag": "t"]).purge == .tag("t"))
        #expect(try PurgeOrder(plugin: "pages", ["all": true, "soft": false]).purge == .all)
    }

    @Test func `one of four says what goes`() {
        let line = "expected one of url, prefix, tag and all, found "
        #expect(problem([:]) == line + "0")
        #expect(problem(["all": false]) == line + "0")
        #expect(problem(["url": "a", "tag": "b"]) == line + "2")
        #expect(problem(["url": "a", "prefix": "a", "tag": "b", "all": true]) == line + "4")
    }

    @Test func `values have a form`() {
        let line = "expected 1 to 8192 printable ASCII characters, found "
        #expect(problem(["url": ""]) == "url: " + line + "\"\"")
        #expect(problem(["tag": 5]) == "tag: " + line + "5")
        #expect(problem(["prefix": "a\nb"])?.hasPrefix("prefix: " + line) == true)
        #expect(problem(["tag": "ü"])?.hasPrefix("tag: " + line) == true)
        #expect(problem(["tag": .string(String(repeating: "x", count: 8_192))]) == nil)
        #expect(problem(["tag": .string(String(repeating: "x", count: 8_193))]) != nil)
        #expect(problem(["all": "yes"]) == "all: expected true or false, found \"yes\"")
        #expect(problem(["all": true, "soft": 1]) == "soft: expected true or false, found 1")
    }
}
