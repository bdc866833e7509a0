import CSluice
import Glibc
import PluginHost
import Sys
import Testing

struct PluginLibraryTests {
    private let folder: TemporaryFolder
    private let path: String

    init() throws {
        folder = try TemporaryFolder()
        path = folder.path + "/plugin.so"
    }

    /// The words of the refusal, without the path before them; nil when it was loaded.
    private func refusal(pin: String? = nil) -> String? {
        do throws(PluginError) {
            _ = try PluginLibrary(path: path, pin: pin)
            return nil
        } catch {
            guard error.description.hasPrefix(path + ": ") else { return error.description }
            return String(error.description.dropFirst(path.count + 2))
        }
    }

    @Test
    func `a plugin says what it is`() throws {
        let facts = try Compiler.hooks().facts
        #expect(facts.id == "org.example.hooks")
        #expect(facts.version == "1.2.3")
        #expect(facts.description == "hooks of a test")
        #expect(facts.abi == "\(SLUICE_ABI_MAJOR).\(SLUICE_ABI_MINOR)")
        #expect(facts.roles == ["sluice.lb/1"])
        #expect(facts.required == ["sluice.core/1"])
        #expect(facts.hooks == ["request_headers", "request_end"])
    }

    @Test
    func `a library that is loaded twice has two lives`() throws {
        try Compiler.library("hooks.c", to: path)
        let first = try PluginLibrary(path: path, pin: nil)
        let second = try PluginLibrary(path: path, pin: nil)
        #expect(first.hello.pointee.factory != second.hello.pointee.factory)
        #expect(first.path == path)
    }

    @Test
    func `no private copy is left behind`() throws {
        let temporary = Process.environment("TMPDIR") ?? "/tmp"
        let name = "unusual-name-\(Process.id).so"
        try Compiler.library("hooks.c", to: folder.path + "/" + name)
        _ = try PluginLibrary(path: folder.path + "/" + name, pin: nil)
        let copies = (File.entries(temporary) ?? []).filter { entry in
            entry.hasPrefix("sluice-plugin-")
                && File.exists("\(temporary)/\(entry)/\(name)")
                && temporary + "/" + entry != folder.path
        }
        #expect(copies == [])
    }

    @Test(arguments: [
        (["NO_SYMBOL"], "not a plugin: it has no symbol sluice_plugin_hello_v0"),
        (
            ["NO_SYMBOL", "EXPORTS=sluice_plugin_hello_v9"],
            "made for plugin ABI v9 (it exports sluice_plugin_hello_v9), this host has v0"
        ),
        (
            ["EXPORTS=surplus"],
            "exports another symbol beside sluice_plugin_hello_v0, such as surplus; hide what is "
                + "not the entry (-fvisibility=hidden or a version script)"
        ),
        (["HELLO_FAILS=-4"], "the plugin refused this host (result -4)"),
        (["HELLO_FAILS=1"], "the plugin refused this host (result 1)"),
        (["HELLO_SIZE=143"], "size of sluice_plugin_hello is 143, this host has SIZE"),
        (["HELLO_SIZE=0"], "size of sluice_plugin_hello is 0, this host has SIZE"),
        (["ABI_MINOR=(SLUICE_ABI_MINOR+1)"], "needs plugin ABI NEXT, this host has THIS"),
        (["ABI_MINOR=1"], "is made for plugin ABI 0.1, a draft; this host has THIS"),
        (["NO_FACTORY"], "no usable sluice_factory"),
        (["FACTORY_SIZE=8"], "no usable sluice_factory"),
        (["NO_CREATE"], "no usable sluice_factory"),
        (
            ["REQUIRES=\"sluice.timer/9\""],
            "needs sluice.timer/9, which this host does not offer"
        ),
    ])
    func `what does not fit is refused with its reason`(
        definitions: [String],
        reason: String
    ) throws {
        try Compiler.library("refused.c", definitions, to: path)
        let words = [
            "SIZE": "\(MemoryLayout<sluice_plugin_hello>.size)",
            "THIS": "\(SLUICE_ABI_MAJOR).\(SLUICE_ABI_MINOR)",
            "NEXT": "\(SLUICE_ABI_MAJOR).\(SLUICE_ABI_MINOR + 1)",
        ]
        let found = refusal()
        let expected = reason.split(separator: " ").map { word in
            let name = word.prefix { $0 != "," }
            return (words[String(name)] ?? String(name)) + word.dropFirst(name.count)
        }
        #expect(found == expected.joined(separator: " "))
    }

    @Test(arguments: [
        ["ABI_MINOR=SLUICE_ABI_MINOR"], ["ABI_MINOR=2"], ["EXPORTS=sluice_plugin_hello_v1"],
        ["REQUIRES=\"sluice.core/1\""],
        ["REQUIRES=\"sluice.http/1\""], ["REQUIRES=\"sluice.shared/1\""],
        ["REQUIRES=\"sluice.waitset/1\""], ["REQUIRES=\"sluice.metrics/1\""],
        ["REQUIRES=\"sluice.thread_check/1\""], [],
    ])
    func `what fits is taken`(definitions: [String]) throws {
        try Compiler.library("refused.c", definitions, to: path)
        #expect(refusal() == nil)
    }

    @Test
    func `a symbol that nobody has is named`() throws {
        try Compiler.library("refused.c", ["UNRESOLVED"], to: path)
        let reason = try #require(refusal())
        #expect(reason.hasSuffix("undefined symbol: not_defined_anywhere"))
    }

    @Test(arguments: [[], [0x7f], Array("#!/bin/sh\n".utf8), [0x7f, 0x45, 0x4c, 0x47]])
    func `a file that is no library is refused`(bytes: [UInt8]) throws {
        try File.writeNew(path, bytes, mode: 0o600)
        #expect(refusal() == "not a shared library (no ELF header)")
    }

    @Test
    func `a library that is cut is refused before the linker sees it`() throws {
        try File.writeNew(path, [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1], mode: 0o600)
        #expect(refusal() == "cut short: it has 7 bytes, its headers speak of 20")
    }

    @Test
    func `a missing file is refused`() {
        #expect(refusal() == "can't be read: No such file or directory")
    }

    @Test
    func `a pinned file must have its digest`() throws {
        try Compiler.library("hooks.c", to: path)
        let digest = try PluginFile(path: path, pin: nil).sha256
        #expect(refusal(pin: digest) == nil)
        let other = String(repeating: "0", count: 64)
        #expect(refusal(pin: other) == "sha256 is \(digest), the manifest wants \(other)")
    }

    @Test
    func `a list of names ends with a null`() {
        #expect(PluginLibrary.names(nil) == [])
        let first = strdup("one")
        defer { free(first) }
        let list: [UnsafePointer<CChar>?] = [UnsafePointer(first), nil]
        #expect(list.withUnsafeBufferPointer { PluginLibrary.names($0.baseAddress) } == ["one"])
    }
}
