import HTTP
import Sys
import Testing

/// The parser's field ids are those of the plugin interface.
struct FieldIDTests {
    /// Name and number of each `SLUICE_FIELD_NAME = NUMBER` of the header, as a field's name.
    private static func published() throws -> [String: UInt8] {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let path = "/\(root)/SDK/Sources/CSluice/include/sluice/headers.h"
        let bytes = try #require(File.read(path, bytesMax: 65_536))
        var ids: [String: UInt8] = [:]
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            let words = line.split(whereSeparator: { " =,".contains($0) })
            guard words.count == 2, words[0].hasPrefix("SLUICE_FIELD_"),
                let id = UInt8(words[1])
            else { continue }
            var name = String(words[0].dropFirst("SLUICE_FIELD_".count)).lowercased()
            name = String(name.map { $0 == "_" ? "-" : $0 })
            if name.hasPrefix("pseudo-") { name = ":" + name.dropFirst("pseudo-".count) }
            ids[name] = id
        }
        ids["unknown"] = nil
        ids["count"] = nil
        return ids
    }

    @Test
    func `the parser and the plugin interface number the same names alike`() throws {
        let published = try Self.published()
        #expect(published.count > 100)
        let ours = Dictionary(
            uniqueKeysWithValues: FieldID.names.map { (String(describing: $0.name), $0.id) }
        )
        #expect(ours == published)
    }
}
