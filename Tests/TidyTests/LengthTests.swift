import Testing

/// Sizes at which code is no longer read in one go.
///
/// They are tripwires: what is over one of them and still reads best whole is named here, with the
/// reason.
struct LengthTests {
    static let fileLinesMax = 500
    static let functionLinesMax = 70
    static let columnsMax = 100

    /// Files that may be longer.
    static let longFiles: Set<String> = []

    /// Functions that may be longer, as "path name".
    static let longFunctions: Set<String> = [
        // The text of one file each.
        "Sources/Server/Templates/CPluginTemplate.swift plugin",
        "Sources/Server/Templates/CPluginTemplate.swift test",
        "Sources/Server/Templates/RustPluginTemplate.swift plugin",
        "Sources/Server/Templates/RustPluginTemplate.swift tests",
    ]

    @Test func `files are short`() {
        let long = SourceTree.swift
            .filter { $0.lines.count - 1 > Self.fileLinesMax && !Self.longFiles.contains($0.path) }
            .map { "\($0.path): \($0.lines.count - 1) lines" }
        #expect(long == [])
    }

    @Test func `functions are short`() {
        let long = SourceTree.swift.flatMap { file in
            functions(of: file)
                .filter { $0.lineCount > Self.functionLinesMax }
                .filter { !Self.longFunctions.contains("\(file.path) \($0.name)") }
                .map { "\(file.path):\($0.line): \($0.name) has \($0.lineCount) lines" }
        }
        #expect(long == [])
    }

    @Test func `lines are narrow`() {
        let wide = SourceTree.all
            .filter { file in
                [".swift", ".h", ".c"].contains { file.path.hasSuffix($0) }
                    || file.path.hasPrefix("Tests/EndToEnd/")
            }
            .flatMap { file in file.places { $0.count > Self.columnsMax } }
        #expect(wide == [])
    }

    @Test(arguments: [
        ("func a() {\n    b()\n}\n", ["a 3"]),
        ("    init(\n        b: Int\n    ) {\n        c()\n    }\n", ["init 5"]),
        ("    func a()\n    func b() -> Int\n", []),
        ("func a() { b() }\nfunc c() {\n    func d() {\n    }\n}\n", ["c 4", "d 2"]),
        ("    deinit {\n    }\n\n    subscript(a: B) {\n    }\n", ["deinit 2", "subscript 2"]),
        ("    @inline(__always) mutating func a()\n    where B: C {\n    }\n", ["a 3"]),
    ])
    func `finds functions and their ends`(text: String, expected: [String]) {
        let file = SourceFile(
            path: "x.swift",
            lines: text.split(separator: "\n", omittingEmptySubsequences: false)
        )
        #expect(functions(of: file).map { "\($0.name) \($0.lineCount)" } == expected)
    }

    // MARK: Finding functions

    private struct Function {
        var name: String
        var line: Int
        var lineCount: Int
    }

    /// Functions with a body of their own lines.
    ///
    /// It relies on the formatter: a body ends with the first brace that stands as far to the right
    /// as the declaration's first line.
    private func functions(of file: SourceFile) -> [Function] {
        file.lines.indices.compactMap { start in
            guard let name = nameOfFunction(declaredBy: file.lines[start]) else { return nil }
            let indentation = file.lines[start].prefix { $0 == " " }
            guard let open = bodyStart(file.lines, from: start, indentation),
                let end = file.lines[(open + 1)...].firstIndex(where: {
                    $0.hasPrefix(indentation + "}")
                })
            else { return nil }
            return Function(name: name, line: start + 1, lineCount: end - start + 1)
        }
    }

    /// Index of the line that opens the body; nil when there is none, or all of it is on one line.
    private func bodyStart(
        _ lines: [Substring],
        from start: Int,
        _ indentation: Substring
    ) -> Int? {
        for index in start..<lines.endIndex {
            let line = lines[index]
            if line.hasSuffix("{") { return index }
            if line.hasSuffix("}") { return nil }
            if index > start {
                let isContinued =
                    line.hasPrefix(indentation + " ") || line.hasPrefix(indentation + ")")
                    || line.hasPrefix(indentation + "where")
                if !isContinued { return nil }
            }
        }
        return nil
    }

    private func nameOfFunction(declaredBy line: Substring) -> String? {
        let modifiers: Set<Substring> = [
            "private", "fileprivate", "internal", "package", "public", "static", "mutating",
            "consuming", "borrowing", "nonmutating", "convenience", "final", "override",
            "nonisolated",
        ]
        let words = line.split(separator: " ").drop { $0.hasPrefix("@") || modifiers.contains($0) }
        guard let first = words.first else { return nil }
        if first == "func" { return words.dropFirst().first.map(nameAtStart) }
        for keyword in ["init", "deinit", "subscript"] where nameAtStart(first) == keyword {
            return keyword
        }
        return nil
    }

    private func nameAtStart(_ word: Substring) -> String {
        String(word.prefix { !"(<{?!".contains($0) })
    }
}
