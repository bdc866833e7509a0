import Proxy
import Testing

@testable import Server

struct ServedManifestTests {
    private let text = Array("{ version: 1 }".utf8)

    @Test func `a text without swaps is itself`() {
        let served = ServedManifest(text: text)
        #expect(served.bytes == text)
        #expect(ServedManifest(served.bytes) == served)
    }

    @Test func `swaps go along, the last of each plugin`() {
        var served = ServedManifest(text: text)
        served.add(.init(plugin: "a", library: "/1.so", sha256: nil))
        served.add(.init(plugin: "b", library: "/b.so", sha256: "00"))
        served.add(.init(plugin: "a", library: "/2.so", sha256: nil))
        let taken = ServedManifest(served.bytes)
        #expect(taken == served)
        #expect(taken.text == text)
        var settings = ProxySettings()
        settings.plugins = [
            PluginSettings(name: "a", libraryPath: "/0.so"),
            PluginSettings(name: "c", libraryPath: "/c.so"),
        ]
        settings.plugins[0].sha256 = "11"
        taken.apply(to: &settings)
        #expect(settings.plugins.map(\.libraryPath) == ["/2.so", "/c.so"])
        #expect(settings.plugins[0].sha256 == nil, "the pin was of the other file")
    }

    @Test func `bytes that are cut off leave no half swap`() {
        var served = ServedManifest(text: text)
        served.add(.init(plugin: "a", library: "/1.so", sha256: "00"))
        let whole = served.bytes
        for count in 0..<whole.count {
            let taken = ServedManifest(Array(whole[..<count]))
            #expect(taken.swaps.isEmpty)
        }
    }
}
