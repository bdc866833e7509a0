import Glibc
import Testing

/// The ABI's lock: sizes, offsets and constants are those of `Layout.txt`.
///
/// A difference is a break of the ABI, unless it is a new struct or constant with a line of its own
/// in CHANGELOG.md. To write the file anew: `LAYOUT_WRITE=1 swift test --filter LayoutTests`.
struct LayoutTests {
    @Test
    func `structs and constants are as checked in`() throws {
        let now = describedStructs() + describedConstants()
        if getenv("LAYOUT_WRITE") != nil { try write(now) }
        let promised = try read()
        for (promise, line) in zip(promised, now) { #expect(promise == line) }
        #expect(promised.count == now.count)
    }

    private let path = String(#filePath.dropLast("LayoutTests.swift".count)) + "Layout.txt"

    private func read() throws -> [String] {
        let file = try #require(fopen(path, "r"))
        defer { fclose(file) }
        var bytes: [UInt8] = []
        while case let byte = getc(file), byte != EOF { bytes.append(UInt8(byte)) }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
    }

    private func write(_ lines: [String]) throws {
        let file = try #require(fopen(path, "w"))
        defer { fclose(file) }
        for line in lines { fputs(line + "\n", file) }
    }
}
