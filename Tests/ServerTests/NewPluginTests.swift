import Testing

@testable import Server

struct NewPluginTests {
    private func files(_ language: PluginTemplate.Language, _ sdk: SDKPlace) throws
        -> [String: String]
    {
        let template = PluginTemplate(language, try PluginNames("rate-limit"), sdk)
        return Dictionary(uniqueKeysWithValues: template.files.map { ($0.path, $0.text) })
    }

    @Test(arguments: [
        ("a", "A", "a"), ("hello", "Hello", "hello"), ("rate-limit2", "RateLimit2", "rate_limit2"),
        (String(repeating: "n", count: 40), "N" + String(repeating: "n", count: 39), nil),
    ])
    func `a name has the forms that languages want`(
        name: String,
        module: String,
        key: String?
    ) throws {
        let names = try PluginNames(name)
        #expect(names.module == module)
        #expect(names.key == key ?? name)
        #expect(names.library(.swift) == "lib\(module).so")
        #expect(names.library(.rust) == "lib\(names.key).so")
    }

    @Test(arguments: ["", "A", "a_b", "1a", "a-1", "-a", "a-", "a--b", "a b", "ä", "a/b", "a\n"])
    func `other names are refused`(name: String) {
        #expect(throws: UsageError.self) { try PluginNames(name) }
    }

    @Test(arguments: PluginNames.taken.sorted())
    func `names of the SDK and the languages are taken`(name: String) {
        #expect(throws: UsageError.self) { try PluginNames(name) }
    }

    @Test
    func `a name has a bound`() {
        let name = String(repeating: "n", count: 41)
        #expect(
            throws: UsageError("\"\(name)\" has 41 characters, at most 40 are possible")
        ) { try PluginNames(name) }
    }

    @Test(arguments: PluginTemplate.Language.allCases)
    func `every package has a test, a manifest and a README`(
        language: PluginTemplate.Language
    ) throws {
        let files = try files(language, .folder("/opt/SDK"))
        #expect(files.keys.contains { $0.lowercased().contains("test") })
        let manifest = try #require(files["sluice.json5"])
        #expect(manifest.contains("rate_limit: {\n"))
        let readme = try #require(files["README.md"])
        #expect(readme.contains("in \(language.rawValue)"))
        #expect(files[".gitignore"] != nil)
        #expect(files.values.contains { $0.contains("/opt/SDK") })
        for (path, text) in files {
            #expect(text.hasSuffix("\n") && !text.hasSuffix("\n\n"), "\(path)")
            #expect(!text.contains("\\#("), "\(path)")
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
            #expect(lines.allSatisfy { !$0.hasSuffix(" ") && $0.count <= 100 }, "\(path)")
        }
    }

    @Test
    func `the SDK may come from a repository`() throws {
        let place = SDKPlace.repository(url: "https://example.org/x/sdk.git", version: "0.1.0")
        let swift = try #require(try files(.swift, place)["Package.swift"])
        #expect(
            swift.contains(
                """
                .package(url: "https://example.org/x/sdk.git", .upToNextMinor(from: "0.1.0"))
                """
            )
        )
        #expect(swift.contains("package: \"sdk\")"))
        let rust = try #require(try files(.rust, place)["Cargo.toml"])
        #expect(
            rust.contains(
                "sluice = { git = \"https://example.org/x/sdk.git\", tag = \"0.1.0\" }"
            )
        )
    }

    @Test
    func `without an SDK nothing is made`() {
        let order = NewPlugin.Order(name: "a")
        #expect(throws: NewPlugin.Failure.self) {
            try NewPlugin(order, executableFolder: "/nowhere")
        }
    }
}
