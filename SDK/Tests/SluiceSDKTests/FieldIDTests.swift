import Glibc
import SluiceSDK
import Testing

struct FieldIDTests {
    @Test
    func `the table is that of the C header`() throws {
        let suffix = "Tests/SluiceSDKTests/FieldIDTests.swift"
        let root = String(#filePath.dropLast(suffix.count))
        let header = try read(root + "Sources/CSluice/include/sluice/headers.h")
        var count = 0
        for line in header.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count >= 3, words[0].hasPrefix("SLUICE_FIELD_"),
                !words[0].hasPrefix("SLUICE_FIELD_FLAG_"), words[1] == "=",
                let id = UInt16(words[2].dropLast()), id > 0, id < 128
            else { continue }
            var name = words[0].dropFirst("SLUICE_FIELD_".count).lowercased()
            if name.hasPrefix("pseudo_") { name = ":" + name.dropFirst("pseudo_".count) }
            name = String(name.map { $0 == "_" ? "-" : $0 })
            #expect(String(FieldID.name(FieldID(rawValue: id))) == name)
            #expect(withBytes(name.uppercased()) { FieldID(named: $0).rawValue } == id)
            count += 1
        }
        #expect(count == 122)
    }

    @Test
    func `other names have no id`() {
        #expect(FieldID(named: "x-other") == .unknown)
        #expect(FieldID(named: "") == .unknown)
        #expect(FieldID.name(.unknown).isEmpty)
    }

    @Test
    func `a name to edit is a token and not the host's own`() throws {
        #expect(try FieldName(named: "Accept").id == .accept)
        #expect(try FieldName(named: "X-Other").name == "X-Other")
        for name in ["", "a b", "a:", "a\r\nb"] {
            #expect(throws: PluginError.self) {
                try withBytes(name) { name throws(PluginError) in try FieldName(named: name) }
            }
        }
        for name in [
            "connection", "Content-Length", "transfer-encoding", "upgrade", "keep-alive", "te",
            "trailer", "proxy-connection",
        ] {
            #expect(throws: PluginError.self) {
                try withBytes(name) { name throws(PluginError) in try FieldName(named: name) }
            }
        }
    }

    private func read(_ path: String) throws -> String {
        let file = try #require(fopen(path, "r"))
        defer { fclose(file) }
        var bytes: [UInt8] = []
        while case let byte = getc(file), byte != EOF { bytes.append(UInt8(byte)) }
        return String(decoding: bytes, as: UTF8.self)
    }
}
