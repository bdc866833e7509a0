import CSluice
import Sys
import Testing

@testable import PluginHost

struct ELFImageTests {
    /// A plugin as the system's compiler and linker make one.
    private static let library = Result<[UInt8], any Error> {
        let folder = try TemporaryFolder()
        try Compiler.library("hooks.c", to: folder.path + "/plugin.so")
        return try File.readAll(folder.path + "/plugin.so", bytesMax: 1_000_000)
    }

    private let good: [UInt8]

    init() throws {
        good = try Self.library.get()
    }

    private func refusal(_ bytes: [UInt8], allowsSharedRuntime: Bool = false) -> String? {
        PluginFile.refusal(of: bytes, allowsSharedRuntime: allowsSharedRuntime)
    }

    private func number(_ bytes: [UInt8], _ at: Int, _ width: Int) -> Int {
        (0..<width).reversed().reduce(0) { $0 << 8 | Int(bytes[at + $1]) }
    }

    private func changed(_ at: Int, _ width: Int, to value: Int) -> [UInt8] {
        var bytes = good
        for index in 0..<width { bytes[at + index] = UInt8(value >> (8 * index) & 255) }
        return bytes
    }

    /// Where the program header of a kind stands.
    private func segment(_ kind: Int) throws -> Int {
        let headers = (0..<number(good, 56, 2)).map { number(good, 32, 8) + $0 * 56 }
        return try #require(headers.first { number(good, $0, 4) == kind })
    }

    /// Where the entry of the dynamic table with a tag stands.
    private func dynamic(_ tag: Int) throws -> Int {
        let table = number(good, try segment(2) + 8, 8)
        let entries = (0..<64).map { table + $0 * 16 }
        return try #require(entries.first { number(good, $0, 8) == tag })
    }

    @Test
    func `reads what a library needs and exports`() throws {
        let image = try ELFImage(good)
        #expect(try image.exports() == [SLUICE_HELLO_SYMBOL])
        #expect(try image.needed() == ["libc.so.6"])
        #expect(!image.wantsExecutableStack)
        #expect(!image.hasTextRelocations)
        #expect(refusal(good) == nil)
    }

    @Test(arguments: [
        (4, 1, 1, "a 32-bit library, not a 64-bit one"),
        (4, 1, 9, "a strange library, not a 64-bit one"),
        (5, 1, 2, "a big-endian library, not a little-endian one"),
        (6, 1, 3, "ELF version 3 instead of 1"),
        (16, 2, 1, "an object file, not a shared library"),
        (16, 2, 2, "an executable, not a shared library"),
        (16, 2, 9, "a file of ELF type 9, not a shared library"),
        (54, 2, 57, "a program header is not 56 bytes"),
        (56, 2, 0, "not a shared library (no dynamic table)"),
        (56, 2, 257, "has 257 segments, at most 256 are looked at"),
    ])
    func `refuses other kinds of files`(at: Int, width: Int, value: Int, reason: String) {
        #expect(refusal(changed(at, width, to: value)) == reason)
    }

    #if arch(x86_64)
        @Test(arguments: [
            (183, "built for aarch64, this host is x86_64"),
            (3, "built for i386, this host is x86_64"),
            (9999, "built for machine 9999, this host is x86_64"),
        ])
        func `refuses other machines`(machine: Int, reason: String) {
            #expect(refusal(changed(18, 2, to: machine)) == reason)
        }
    #endif

    @Test
    func `refuses an executable stack, asked for or not denied`() throws {
        let reason = "wants an executable stack; link it with -z noexecstack"
        let stack = try segment(0x6474_e551)
        #expect(refusal(changed(stack + 4, 4, to: 7)) == reason)
        #expect(refusal(changed(stack, 4, to: 0x6474_e5ff)) == reason)
    }

    @Test
    func `refuses relocations in code, said either way`() throws {
        let reason = "has relocations in its code (TEXTREL); compile all of it with -fPIC"
        // An entry that this library can do without.
        let entry = try dynamic(0x6fff_fff9)
        #expect(refusal(changed(entry, 8, to: 22)) == reason)
        var bytes = changed(entry, 8, to: 30)
        bytes[entry + 8] = 4
        #expect(refusal(bytes) == reason)
    }

    @Test
    func `refuses a Swift runtime unless it may be shared`() throws {
        let strings = try #require(
            good.indices.first { good[$0...].starts(with: "libc.so.6".utf8) }
        )
        var bytes = good
        bytes.replaceSubrange(strings..<(strings + 9), with: "libswift9".utf8)
        #expect(
            refusal(bytes)
                == "needs libswift9, a Swift runtime that plugins would share; link it with "
                + "-static-stdlib"
        )
        #expect(refusal(bytes, allowsSharedRuntime: true) == nil)
    }

    @Test
    func `refuses an executable that can stand anywhere`() throws {
        let entry = try dynamic(0x6fff_fff9)
        var bytes = changed(entry, 8, to: 0x6fff_fffb)
        bytes.replaceSubrange((entry + 8)..<(entry + 16), with: [0, 0, 0, 8, 0, 0, 0, 0])
        #expect(refusal(bytes) == "an executable, not a shared library")
    }

    @Test
    func `every shorter file is refused up to the end of what is mapped`() throws {
        let loads = (0..<number(good, 56, 2)).map { number(good, 32, 8) + $0 * 56 }
            .filter { number(good, $0, 4) == 1 }
        let end = loads.map { number(good, $0 + 8, 8) + number(good, $0 + 32, 8) }.max() ?? 0
        #expect(end > 8_192)
        for length in 0..<end where length < 1_024 || length % 61 == 0 || length > end - 32 {
            #expect(refusal(Array(good[..<length])) != nil, "\(length) bytes")
        }
        #expect(refusal(Array(good[..<end])) == nil)
    }

    @Test
    func `no change of a byte traps`() throws {
        let table = number(good, try segment(2) + 8, 8)
        let hash = number(good, try dynamic(0x6fff_fef5) + 8, 8)
        let places = Array(0..<1_024) + Array(table..<(table + 512)) + Array(hash..<(hash + 64))
        for place in places {
            for value: UInt8 in [0, 1, 0x7f, 0x80, 0xff] where good[place] != value {
                var bytes = good
                bytes[place] = value
                _ = refusal(bytes)
            }
        }
        // Eight bytes at once: the largest numbers, which overflow when something is added.
        for place in places where place % 8 == 0 {
            _ = refusal(changed(place, 8, to: -1))
            _ = refusal(changed(place, 8, to: Int.max))
            _ = refusal(changed(place, 8, to: good.count))
        }
    }

    @Test(arguments: [
        (4_096, nil), (4_097, "has 4097 dynamic entries, at most 4096 are looked at"),
    ])
    func `a dynamic table has a bound`(count: Int, reason: String?) throws {
        let bytes = changed(try segment(2) + 32, 8, to: count * 16)
        #expect(refusal(bytes + [UInt8](repeating: 0, count: 65_536)) == reason)
    }

    @Test(arguments: [(1_048_576, false), (1_048_577, true)])
    func `a table of symbols has a bound`(count: Int, isRefused: Bool) throws {
        let hash = number(good, try dynamic(0x6fff_fef5) + 8, 8)
        let reason = "has \(count) symbols, at most 1048576 are looked at"
        #expect((refusal(changed(hash, 4, to: count)) == reason) == isRefused)
    }

    @Test(arguments: [(4_095, false), (4_096, true)])
    func `a name has a bound`(length: Int, isRefused: Bool) throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/plugin.so"
        let name = String(repeating: "n", count: length)
        try Compiler.library("refused.c", ["EXPORTS=" + name], to: path)
        let reason = refusal(try File.readAll(path, bytesMax: 1_000_000))
        #expect((reason == "a name has no end within 4096 bytes") == isRefused)
        #expect(reason?.contains("exports another symbol") == !isRefused)
    }
}
