import Proxy
import Testing

@testable import Server

/// Keys that say which libraries are taken.
struct IntegrityKeyTests {
    /// As in `ManifestKeyTests`.
    static let bounds: [(String, String, Int64, Int64, String)] = [
        ("manifest", "probe_timeout", 100, 600_000, "ms"),
        ("manifest", "max_retired_images", 0, 65_536, ""),
    ]

    private let fixture = ManifestFixture()
    private let key = "ed25519:Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="

    private func settings(_ top: String) throws -> IntegritySettings {
        try fixture.parse(Sample.manifest(top: top)).integrity
    }

    @Test
    func `sets every key`() throws {
        #expect(try settings("") == IntegritySettings())
        let made = try settings(
            """
            plugin_permissions: "off", trusted_keys: ["\(key)", "keys/a.pem", "/b.pem"],
            plugin_probe: "always", probe_timeout: "2s", max_retired_images: 7,
            """
        )
        #expect(!made.checksPermissions)
        let keys = try #require(made.trustedKeys)
        #expect(keys.count == 3)
        guard case .bytes(let bytes) = keys[0], case .file(let path) = keys[1] else {
            Issue.record("\(keys)")
            return
        }
        #expect(bytes.count == 32 && bytes.first == 0x19 && bytes.last == 0xe1)
        #expect(path.hasSuffix("/keys/a.pem") && keys[2] == .file("/b.pem"))
        #expect(made.probe == .always)
        #expect(made.probeTimeout == 2_000)
        #expect(made.retiredImagesMax == 7)
        #expect(try settings("max_retired_images: \"none\",").retiredImagesMax == 0)
        #expect(try settings("plugin_probe: \"off\",").probe == .off)
        let plugin = try fixture.parse(Sample.manifest("plugin", "unload: \"when_safe\""))
        #expect(plugin.plugins.first?.unload == .whenSafe)
    }

    @Test(arguments: [
        ("ed25519:", "trusted_keys[0]: \"ed25519:\" is not an Ed25519 key: 32 bytes in base64"),
        ("ed25519:AAAA", "trusted_keys[0]: \"ed25519:AAAA\" is not an Ed25519 key"),
        ("", "trusted_keys[0]: not a file name"),
    ])
    func `a key that is none`(text: String, line: String) {
        let found = fixture.problems(Sample.manifest(top: "trusted_keys: [\"\(text)\"],"))
        #expect(found.count == 1 && found[0].hasPrefix(line))
    }

    @Test
    func `keys are at least one, and up to a bound`() {
        func problems(_ count: Int) -> [String] {
            let keys = [String](repeating: "\"\(key)\"", count: count).joined(separator: ",")
            return fixture.problems(Sample.manifest(top: "trusted_keys: [\(keys)],"))
        }
        #expect(problems(0) == ["trusted_keys: at least 1 is needed"])
        #expect(problems(1) == [])
        #expect(problems(ManifestLimits.trustedKeysMax) == [])
        #expect(problems(ManifestLimits.trustedKeysMax + 1).count == 1)
    }
}
