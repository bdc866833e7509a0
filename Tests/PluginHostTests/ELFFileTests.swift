import Sys
import Testing

@testable import PluginHost

struct ELFFileTests {
    /// An ELF file of these sections behind one of their names, with the table at its end.
    static func file(
        _ sections: [(name: String, type: UInt32, flags: UInt64, bytes: [UInt8])]
    ) -> [UInt8] {
        var names: [UInt8] = [0]
        var offsets: [Int] = []
        for name in [".shstrtab"] + sections.map(\.name) {
            offsets.append(names.count)
            names += Array(name.utf8) + [0]
        }
        var file = [UInt8](repeating: 0, count: 64)
        file.replaceSubrange(0..<7, with: [0x7F, 0x45, 0x4C, 0x46, 2, 1, 1])
        var table = [UInt8](repeating: 0, count: 64)
        let all = [(".shstrtab", UInt32(3), UInt64(0), names)] + sections
        for (section, nameOffset) in zip(all, offsets) {
            var header = [UInt8](repeating: 0, count: 64)
            put(UInt32(nameOffset), 0, &header)
            put(section.1, 4, &header)
            put(section.2, 8, &header)
            put(UInt64(file.count), 0x18, &header)
            put(UInt64(section.3.count), 0x20, &header)
            table += header
            file += section.3
        }
        put(UInt64(file.count), 0x28, &file)
        put(UInt16(64), 0x3A, &file)
        put(UInt16(all.count + 1), 0x3C, &file)
        put(UInt16(1), 0x3E, &file)
        return file + table
    }

    /// Writes a number, its lowest byte first.
    static func put<Number: FixedWidthInteger>(
        _ number: Number,
        _ offset: Int,
        _ bytes: inout [UInt8]
    ) {
        for index in 0..<(Number.bitWidth / 8) {
            bytes[offset + index] = UInt8(truncatingIfNeeded: number >> Number(8 * index))
        }
    }

    private static let sample = file([
        (".text", 1, 0, [1, 2, 3]), ("wanted", 1, 0, Array("{}".utf8)), ("wanted2", 1, 0, [9]),
    ])

    /// Where the header of section `index` of the sample begins.
    private static func header(_ index: Int) -> Int { sample.count - 64 * (5 - index) }

    private func found(_ bytes: [UInt8], _ name: String = "wanted") -> [[UInt8]]? {
        do throws(ELFFile.Malformed) {
            return try ELFFile(bytes).sections(named: name).map(Array.init)
        } catch {
            return nil
        }
    }

    private func complaint(_ bytes: [UInt8]) -> String? {
        do throws(ELFFile.Malformed) {
            _ = try ELFFile(bytes).sections(named: "wanted")
            return nil
        } catch {
            return error.description
        }
    }

    @Test func `a section is found by its whole name`() {
        #expect(found(Self.sample) == [Array("{}".utf8)])
        #expect(found(Self.sample, "wanted2") == [[9]])
        #expect(found(Self.sample, "want") == [])
        #expect(found(Self.sample, "wanted23") == [])
        let twice = Self.file([("wanted", 1, 0, [1]), ("wanted", 1, 0, [2])])
        #expect(found(twice) == [[1], [2]])
    }

    @Test func `a file without sections has none`() {
        var bytes = [UInt8](Self.sample[..<64])
        Self.put(UInt64(0), 0x28, &bytes)
        #expect(found(bytes) == [])
    }

    @Test func `many sections are counted in the first header`() {
        var bytes = Self.sample
        Self.put(UInt16(0), 0x3C, &bytes)
        Self.put(UInt16(0xFFFF), 0x3E, &bytes)
        Self.put(UInt64(5), Self.header(0) + 0x20, &bytes)
        Self.put(UInt32(1), Self.header(0) + 0x28, &bytes)
        #expect(found(bytes) == [Array("{}".utf8)])
    }

    /// A number to write into the sample: bits, place, value, and the complaint.
    @Test(
        arguments: [
            (16, 0x3A, 63, "section headers of 63 bytes"),
            (64, 0x28, UInt64.max, "the section table is outside of the file"),
            (64, 0x28, 1 << 40, "the section table is outside of the file"),
            (16, 0x3C, 6, "the section table is outside of the file"),
            (16, 0x3E, 5, "there is no section of names"),
            (64, header(1) + 0x18, 1 << 63, "the section of names is outside of the file"),
            (64, header(1) + 0x20, 1 << 40, "the section of names is outside of the file"),
            (32, header(1) + 4, 8, "the section of names is outside of the file"),
            (64, header(3) + 0x18, UInt64.max, "the section wanted is outside of the file"),
            (64, header(3) + 0x20, 1 << 62, "the section wanted is outside of the file"),
            (32, header(3) + 4, 8, "the section wanted has no bytes in the file"),
            (64, header(3) + 8, 0x800, "the section wanted is compressed"),
            (8, 4, 1, "not a 64-bit little-endian ELF file"),
            (8, 5, 2, "not a 64-bit little-endian ELF file"),
            (8, 0, 0, "no ELF header"),
        ] as [(Int, Int, UInt64, String)]
    )
    func `what does not add up is refused`(
        bits: Int,
        offset: Int,
        value: UInt64,
        reason: String
    ) {
        var bytes = Self.sample
        for index in 0..<(bits / 8) {
            bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index))
        }
        #expect(complaint(bytes) == reason)
    }

    @Test func `no file traps`() {
        // All truncations, then random bytes in the parts that are read.
        for length in 0..<Self.sample.count { _ = found(Array(Self.sample[..<length])) }
        var random = SystemRandomNumberGenerator()
        let places = Array(0..<64) + Array(Self.header(0)..<Self.sample.count)
        for _ in 0..<50_000 {
            var bytes = Self.sample
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                let place = places.randomElement(using: &random) ?? 0
                let edges: [UInt8] = [0, 1, 0x7F, 0x80, 0xFF]
                bytes[place] =
                    Bool.random(using: &random)
                    ? edges.randomElement(using: &random) ?? 0 : UInt8.random(in: 0...255)
            }
            // Every answer lies within the file.
            for section in found(bytes) ?? [] { #expect(section.count <= bytes.count) }
        }
    }

    // MARK: Descriptors

    private func descriptor(file bytes: [UInt8]) -> String? {
        do throws(ELFFile.Malformed) {
            let text = try PluginFile.descriptor(in: bytes)
            return text.map { String(decoding: $0, as: UTF8.self) }
        } catch {
            return error.description
        }
    }

    private func descriptor(_ contents: [String]) -> String? {
        let sections = contents.map { ("sluice_descriptor", UInt32(1), UInt64(2), Array($0.utf8)) }
        return descriptor(file: Self.file(sections))
    }

    @Test func `a descriptor is one text, with or without an end`() {
        #expect(descriptor([]) == nil)
        #expect(descriptor(["{}"]) == "{}")
        #expect(descriptor(["{}\0\0\0"]) == "{}")
        #expect(descriptor([""]) == "the section sluice_descriptor is empty")
        #expect(descriptor(["\0\0"]) == "the section sluice_descriptor is empty")
        let twice = "more than one descriptor; declare it once in a library"
        #expect(descriptor(["{}\0{}\0"]) == twice)
        #expect(descriptor(["{}", "{}"]) == twice)
    }

    @Test(arguments: [65_536, 65_537])
    func `a descriptor is bounded`(count: Int) {
        let text = String(repeating: " ", count: count)
        #expect(
            descriptor([text + "\0"])
                == (count > 65_536
                    ? "a descriptor of 65537 bytes; at most 65536 are read" : text)
        )
    }

    @Test func `C writes JSON as it is`() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/plugin.so"
        try Compiler.library("described.c", to: path)
        #expect(
            descriptor(file: try File.readAll(path, bytesMax: 1 << 20))
                == #"{ "abi": "0.2", "id": "org.example.described", "version": "1.0.0", "#
                + #""description": "It says \"a\\b\", {}, (, and ' as they are." }"#
        )
    }
}
