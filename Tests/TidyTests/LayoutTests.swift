import Testing

/// Where things are, what no file may contain, and links that lead somewhere.
struct LayoutTests {
    /// Folders of plugins.
    static let plugins = SourceTree.names(in: "Plugins").filter {
        SourceTree.exists("Plugins/\($0)/Sources")
    }

    @Test(arguments: plugins)
    func `a plugin has a README, an entry and tests`(plugin: String) {
        #expect(SourceTree.exists("Plugins/\(plugin)/README.md"))
        #expect(SourceTree.exists("Plugins/\(plugin)/Entry/Entry.swift"))
        #expect(SourceTree.names(in: "Plugins/\(plugin)/Tests").contains { $0.hasSuffix(".swift") })
    }

    @Test func `every plugin of the folder is built`() throws {
        let package = try #require(SourceTree.file("Package.swift"))
        let begin = try #require(package.lines.firstIndex { $0.hasPrefix("let plugins = [") })
        let end = try #require(package.lines[begin...].firstIndex { $0.hasSuffix("]") })
        let list = package.lines[begin...end].joined()
        for plugin in Self.plugins {
            #expect(list.contains("\"\(plugin)\""), "\(plugin) is not in Package.swift")
        }
    }

    @Test func `nothing is left for later`() {
        // Spelt in halves, so that this file passes too.
        let marks = ["TO" + "DO", "FIX" + "ME"]
        let places = SourceTree.all.flatMap { file in
            file.places { line in marks.contains { line.contains($0) } }
        }
        #expect(places == [])
    }

    @Test func `lines end without blanks`() {
        let places = SourceTree.all.flatMap { file in
            file.places { $0.hasSuffix(" ") || $0.hasSuffix("\t") || $0.hasSuffix("\r") }
        }
        #expect(places == [])
    }

    @Test func `relative links lead to files`() {
        let pages = SourceTree.all.filter { $0.path.hasSuffix(".md") }
        #expect(pages.contains { $0.path == "README.md" })
        let broken = pages.flatMap { page in
            zip(1..., page.lines).flatMap { number, line in
                targets(of: line)
                    .filter { !SourceTree.exists(resolve($0, from: page.path)) }
                    .map { "\(page.path):\(number): \($0)" }
            }
        }
        #expect(broken == [])
    }

    // MARK: Links

    /// What the links of a line lead to, without those to other hosts or within the page.
    private func targets(of line: Substring) -> [String] {
        line.split(separator: "](", omittingEmptySubsequences: false).dropFirst().compactMap {
            rest in
            guard let end = rest.firstIndex(of: ")") else { return nil }
            let target = rest[..<end].prefix { $0 != "#" && $0 != " " }
            let isElsewhere = ["http:", "https:", "mailto:"].contains { target.hasPrefix($0) }
            return target.isEmpty || isElsewhere ? nil : String(target)
        }
    }

    private func resolve(_ target: String, from page: String) -> String {
        var parts = page.split(separator: "/").dropLast()
        for part in target.split(separator: "/") {
            switch part {
            case ".": break
            case "..": _ = parts.popLast()
            default: parts.append(part)
            }
        }
        return parts.joined(separator: "/")
    }
}
