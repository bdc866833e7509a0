/// What `sluice plugin new` makes: a package with a plugin, its tests and a manifest that uses it.
struct PluginTemplate {
    /// A file of the package: its path within the folder, and what it holds.
    struct File: Equatable {
        var path: String
        var text: String
    }

    /// Languages that there are templates for.
    enum Language: String, CaseIterable, Sendable {
        case swift = "Swift"
        case c = "C"
        case rust = "Rust"
    }

    var files: [File]
    /// What to type in the folder to test and build it.
    var commands: [String]

    init(_ language: Language, _ names: PluginNames, _ sdk: SDKPlace) {
        switch language {
        case .swift: self = SwiftPluginTemplate.make(names, sdk)
        case .c: self = CPluginTemplate.make(names, sdk)
        case .rust: self = RustPluginTemplate.make(names, sdk)
        }
    }

    init(files: [File], commands: [String]) {
        self.files = files
        self.commands = commands
    }

    /// A manifest that serves the plugin, with an answer in the place of an upstream.
    static func manifest(_ names: PluginNames, library: String) -> File {
        File(
            path: "sluice.json5",
            text: """
                // Serves the plugin: `sluice run`, then `curl -i http://127.0.0.1:8080/`.
                {
                  version: 1,
                  listeners: [{ listen: "127.0.0.1:8080" }],
                  plugins: {
                    \(names.key): {
                      library: "\(library)",
                      config: { greeting: "good morning" },
                    },
                    // Answers by itself; a real manifest has `upstreams` instead.
                    answer: { library: "libRespond.so", config: { body: "an answer\\n" } },
                  },
                  routes: [{ chain: ["\(names.key)", "answer"] }],
                }

                """
        )
    }

    /// The page that explains the package; `files` are the rows of a table.
    static func readme(
        _ names: PluginNames,
        _ language: Language,
        commands: [String],
        files: [(path: String, what: String)]
    ) -> File {
        let steps = commands + ["sluice run", "curl -i http://127.0.0.1:8080/   # x-\(names.name)"]
        return File(
            path: "README.md",
            text: """
                # \(names.name)

                A plugin for the Sluice reverse proxy, in \(language.rawValue). It sets the field
                `x-\(names.name)` in every response.

                \(steps.map { "    " + $0 }.joined(separator: "\n"))

                In a manifest:

                ```json5
                plugins: {
                  \(names.key): {
                    library: "/path/to/\(names.library(language))",
                    config: { greeting: "hi" },
                  },
                },
                chain: ["\(names.key)"],
                ```

                | File | What it is |
                |---|---|
                \(files.map { "| `\($0.path)` | \($0.what) |" }.joined(separator: "\n"))

                """
        )
    }
}

/// The name of a plugin in the forms that languages want.
struct PluginNames: Equatable {
    /// As given: "rate-limit".
    var name: String

    /// Bytes of a name.
    static let bytesMax = 40

    /// Names that are taken: by the SDK's modules, or by the languages and their libraries.
    static let taken: Set<String> = [
        "alloc", "answer", "core", "crate", "csluice", "glibc", "main", "proc-macro", "sdk", "self",
        "sluice", "sluice-sdk", "sluice-test-kit", "sluicesdk", "sluicetestkit", "std", "super",
        "swift", "test", "testing",
    ]

    /// - Throws: `UsageError` when no package can have this name.
    init(_ name: String) throws(UsageError) {
        let bytes = Array(name.utf8)
        let isWord = bytes.allSatisfy {
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || $0 == UInt8(ascii: "-")
        }
        let parts = name.split(separator: "-", omittingEmptySubsequences: false)
        let startsWithLetters = parts.allSatisfy { part in
            part.utf8.first.map { $0 >= UInt8(ascii: "a") } ?? false
        }
        guard isWord, startsWithLetters else {
            throw UsageError(
                "\(quote(name)) is not a name such as \"rate-limit\": words of a-z and 0-9 that "
                    + "begin with a letter, with \"-\" between them"
            )
        }
        guard bytes.count <= Self.bytesMax else {
            throw UsageError(
                "\(quote(name)) has \(bytes.count) characters, at most \(Self.bytesMax) are "
                    + "possible"
            )
        }
        guard !Self.taken.contains(name) else {
            throw UsageError("\(quote(name)) is taken; choose another name")
        }
        self.name = name
    }

    /// The name of a Swift module: "RateLimit".
    var module: String {
        name.split(separator: "-").map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
    }

    /// The name of a Rust crate and of an instance in a manifest: "rate_limit".
    var key: String { name.split(separator: "-").joined(separator: "_") }

    /// The identifier that the plugin goes by; the author changes it to one of theirs.
    var id: String { "org.example.\(name)" }

    /// The file that a build makes.
    func library(_ language: PluginTemplate.Language) -> String {
        language == .swift ? "lib\(module).so" : "lib\(key).so"
    }
}

/// Where a package finds the SDK.
enum SDKPlace: Equatable {
    /// A folder, absolute.
    case folder(String)
    /// A Git repository with a version of it.
    case repository(url: String, version: String)
}
