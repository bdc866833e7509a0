import Testing

@testable import Server

/// The files that are generated from the table of keys are the ones that are checked in.
///
/// `UPDATE_DOCS=1 swift test --filter DocumentTests` writes them anew.
struct DocumentTests {
    @Test func `the schema is that of the table`() throws {
        let file = RepositoryFile("docs/manifest.schema.json")
        if RepositoryFile.isUpdating { try file.write(SchemaDocument.text) }
        #expect(try file.read() == SchemaDocument.text)
    }

    @Test func `the schema is JSON`() throws {
        _ = try JSON5Parser.parse(Array(SchemaDocument.text.utf8))
    }

    @Test func `the reference has the tables of all objects`() throws {
        let file = RepositoryFile("docs/configuration.md")
        let page = try file.read()
        let (made, misplaced) = ReferenceDocument.regenerate(page)
        #expect(misplaced.isEmpty)
        if RepositoryFile.isUpdating { try file.write(made) }
        #expect(try file.read() == made)
    }

    @Test func `the reference has a heading for each object`() throws {
        let lines = try RepositoryFile("docs/configuration.md").read().split(separator: "\n")
        for table in ReferenceDocument.tables {
            let isThere =
                lines.contains("## `\(table.title)`") || lines.contains("### `\(table.title)`")
            #expect(isThere, "no heading \(table.title)")
        }
    }

    @Test func `the example of the reference is a good manifest`() throws {
        let page = try RepositoryFile("docs/configuration.md").read()
        let begin = try #require(page.firstRange(of: "```json5\n")).upperBound
        let end = try #require(page[begin...].firstRange(of: "```")).lowerBound
        #expect(ManifestFixture().lines(String(page[begin..<end])) == [])
    }

    @Test(arguments: ["minimal", "load-balanced", "static-answers", "headers", "limits"])
    func `the examples are good manifests`(name: String) throws {
        let text = try RepositoryFile("examples/configs/\(name).json5").read()
        #expect(ManifestFixture().lines(text) == [])
    }
}
