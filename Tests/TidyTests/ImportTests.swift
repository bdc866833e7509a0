import Testing

/// Who may import whom.
///
/// SwiftPM does not see to it: a module that another one depends on can be imported without being
/// declared.
struct ImportTests {
    /// Modules of the host, each with all that it may import: arrows point down only.
    static let table: [String: Set<String>] = [
        "sluice": ["Server"],
        "Server": [
            "Admin", "Conformance", "PluginHost", "Proxy", "Reactor", "Supervisor", "Sys", "TLS",
            "Synchronization",
        ],
        "Supervisor": ["Admin", "Reactor", "Sys", "Synchronization"],
        "Admin": ["HTTP", "Reactor", "Sys", "Synchronization"],
        "EngineLibrary": [
            "Engine", "Server", "Proxy", "PluginHost", "Sys", "CSluice", "CSluiceEngine",
        ],
        "Conformance": [
            "Engine", "Proxy", "PluginHost", "HTTP", "Sys", "CSluice", "Synchronization",
        ],
        "Engine": ["Proxy", "PluginHost", "Reactor", "HTTP", "Sys", "Synchronization"],
        "Proxy": ["HTTP", "TLS", "Reactor", "PluginHost", "Sys", "CSluice", "Synchronization"],
        "PluginHost": ["HTTP", "Sys", "CSluice", "Synchronization"],
        "TLS": ["COpenSSL", "Sys", "Synchronization"],
        "Reactor": ["Sys", "Synchronization"],
        "Sys": ["Glibc", "CLinux", "Synchronization"],
        "HTTP": [],
    ]

    static let sdk: [String: Set<String>] = [
        "SluiceSDK": ["CSluice", "CFile", "Synchronization"],
        "SluiceTestKit": ["SluiceSDK", "CSluice", "CSluiceEngine", "Glibc", "Synchronization"],
    ]

    /// Logic of a plugin in a module of its own, by folder: it knows nothing of plugins.
    static let cores: [String: Set<String>] = [
        "Plugins/Cache/Core": ["CTinyUFO", "Synchronization"],
        "Plugins/Cache/Disk": ["CCacheDisk", "TinyUFO"],
        "Plugins/Cache/Policy": [],
        "Plugins/RateLimit/Core": ["CRateLimit", "Synchronization"],
    ]

    /// What several plugins are made of.
    static let shared: [String: Set<String>] = ["Balancing": ["SluiceSDK", "Synchronization"]]

    /// Plugins that are made of something shared, or count across workers.
    static let sharing: [String: Set<String>] = [
        "RoundRobin": ["Balancing"], "Ketama": ["Balancing"], "Maglev": ["Balancing"],
        "Random": ["Balancing"], "LeastConnections": ["Balancing"],
        "AccessLog": ["Synchronization"],
        "HealthCheck": ["Synchronization"],
        "RateLimit": ["RateLimiting"], "Tracing": ["Synchronization"],
        "Cache": ["CSluice", "CacheDisk", "CachePolicy", "Synchronization", "TinyUFO"],
    ]

    @Test(arguments: table.keys.sorted())
    func `a module of the host imports only what is below it`(module: String) {
        let files = SourceTree.swift.filter { $0.path.hasPrefix("Sources/\(module)/") }
        #expect(!files.isEmpty)
        expect(files, importOnly: Self.table[module, default: []])
    }

    @Test func `every module of the host has a row in the table`() {
        let modules = SourceTree.names(in: "Sources").filter { name in
            SourceTree.swift.contains { $0.path.hasPrefix("Sources/\(name)/") }
        }
        #expect(Set(modules) == Set(Self.table.keys))
    }

    @Test func `the SDK imports nothing of the host`() {
        for module in SourceTree.names(in: "SDK/Sources") {
            let files = SourceTree.swift.filter { $0.path.hasPrefix("SDK/Sources/\(module)/") }
            if !files.isEmpty { expect(files, importOnly: Self.sdk[module, default: []]) }
        }
    }

    @Test func `a plugin imports the SDK and nothing of the host`() {
        for plugin in LayoutTests.plugins {
            let files = SourceTree.swift.filter { $0.path.hasPrefix("Plugins/\(plugin)/") }
            expect(
                files.filter { $0.path.contains("/Sources/") },
                importOnly: Self.sharing[plugin, default: []].union(["SluiceSDK", "C" + plugin])
            )
            expect(
                files.filter { $0.path.contains("/Entry/") },
                importOnly: ["SluiceSDK", "CSluice", plugin]
            )
        }
    }

    @Test(arguments: cores.keys.sorted())
    func `the core of a plugin imports neither the SDK nor the host`(folder: String) {
        let files = SourceTree.swift.filter { $0.path.hasPrefix(folder + "/") }
        #expect(!files.isEmpty)
        expect(files, importOnly: Self.cores[folder, default: []])
    }

    @Test func `what plugins share imports the SDK and nothing of the host`() {
        // A folder without Swift is a C header that descriptors include.
        let modules = SourceTree.names(in: "Plugins/Shared").filter { name in
            !name.hasSuffix("Tests")
                && SourceTree.swift.contains { $0.path.hasPrefix("Plugins/Shared/\(name)/") }
        }
        #expect(Set(modules) == Set(Self.shared.keys))
        for (module, allowed) in Self.shared {
            let files = SourceTree.swift.filter { $0.path.hasPrefix("Plugins/Shared/\(module)/") }
            #expect(!files.isEmpty)
            expect(files, importOnly: allowed)
        }
    }

    @Test func `nobody imports Foundation`() {
        let places = SourceTree.swift.flatMap { file in
            file.places { module(importedBy: $0)?.hasPrefix("Foundation") == true }
        }
        #expect(places == [])
    }

    // MARK: Helpers

    private func expect(
        _ files: [SourceFile],
        importOnly allowed: Set<String>,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let refused = files.flatMap { file in
            // Text of other packages stands indented in what makes them.
            let isTemplate = file.path.hasPrefix("Sources/Server/Templates/")
            return file.places { line in
                if isTemplate, line.first == " " { return false }
                guard let module = module(importedBy: line) else { return false }
                return !allowed.contains(module)
            }
        }
        #expect(refused == [], sourceLocation: sourceLocation)
    }

    /// "Sys" of `@testable package import struct Sys.Errno`.
    private func module(importedBy line: Substring) -> String? {
        let words = line.split(separator: " ")
        guard let place = words.firstIndex(of: "import"), place + 1 < words.count else {
            return nil
        }
        let access: Set<Substring> = ["private", "fileprivate", "internal", "package", "public"]
        guard words[..<place].allSatisfy({ $0.hasPrefix("@") || access.contains($0) }) else {
            return nil
        }
        let kinds: Set<Substring> = [
            "struct", "class", "enum", "protocol", "func", "var", "let", "typealias",
        ]
        let name = words[(place + 1)...].first { !kinds.contains($0) }
        return name.map { String($0.split(separator: ".")[0]) }
    }
}
