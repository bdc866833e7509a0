import Glibc
import Sys
import Testing

@testable import PluginHost

struct UnloadCheckTests {
    private let folder: TemporaryFolder
    private let path: String

    init() throws {
        folder = try TemporaryFolder()
        path = folder.path + "/plugin.so"
    }

    /// What speaks against unmapping a C library with this code and these options.
    private func obstacles(_ code: String, _ options: [String] = []) throws -> [String] {
        let source = folder.path + "/source.c"
        File.remove(source)
        try File.writeNew(source, Array(code.utf8), mode: 0o600)
        try Compiler.compile(source, to: path, options)
        let bytes = try #require(File.read(path, bytesMax: 1 << 20))
        return try UnloadCheck.obstacles(try ELFImage(bytes))
    }

    private func calling(_ function: String) throws -> [String] {
        try obstacles("void \(function)(void); void f(void); void f(void) { \(function)(); }")
    }

    @Test
    func `a library of plain C has none`() throws {
        try Compiler.library("hooks.c", to: path)
        #expect(try PluginFile(path: path, pin: nil).unloadObstacles == [])
        #expect(try obstacles("int x;") == [])
        #expect(try calling("malloc") == [])
    }

    @Test(arguments: ["gnu", "sysv", "both"])
    func `imports are found with either kind of hash table`(style: String) throws {
        let code = "void sigaction(void); void f(void); void f(void) { sigaction(); }"
        let found = try obstacles(code, ["-Wl,--hash-style=\(style)"])
        #expect(found.count == 1 && found[0].hasPrefix("imports sigaction: it could have left a "))
    }

    @Test(arguments: [
        ("pthread_create", "could have started a thread that still runs its code"),
        ("signal", "could have left a signal handler; a Swift runtime inside has one too"),
        ("timer_create", "could have left a notification that starts a thread"),
        ("putenv", "could have left a pointer with the C library"),
        ("tss_create", "could have left a destructor of thread-specific data"),
        ("pthread_key_create", "could have left a destructor of thread-specific data"),
    ])
    func `what the C library would call later`(function: String, reason: String) throws {
        #expect(try calling(function) == ["imports \(function): it \(reason)"])
    }

    @Test
    func `keys do no harm in Rust, which has a better way`() throws {
        let code = """
            void pthread_key_create(void); void __cxa_thread_atexit_impl(void); void f(void);
            void f(void) { pthread_key_create(); __cxa_thread_atexit_impl(); }
            """
        #expect(try obstacles(code) == [])
    }

    @Test
    func `a library that asks to stay`() throws {
        #expect(try obstacles("int x;", ["-Wl,-z,nodelete"]) == ["linked with -z nodelete"])
    }

    @Test
    func `a symbol that is unique in the process`() throws {
        let code = """
            __asm__(".globl one\\n.type one, @gnu_unique_object\\n.data\\none: .long 1\\n");
            """
        let found = try obstacles(code)
        #expect(found.count == 1 && found[0].contains("STB_GNU_UNIQUE"))
    }

    @Test
    func `a library that would be closed with it`() throws {
        let needed = folder.path + "/libswiftCore.so"
        let source = folder.path + "/needed.c"
        try File.writeNew(source, Array("int needed = 1;".utf8), mode: 0o600)
        try Compiler.compile(source, to: needed, ["-Wl,-soname,libswiftCore.so"])
        let code = "extern int needed; int *f(void); int *f(void) { return &needed; }"
        let reason = "needs libswiftCore.so, a Swift runtime that remembers its types"
        #expect(try obstacles(code, [needed]) == [reason])
        let other = folder.path + "/libother.so.1"
        try Compiler.compile(source, to: other, ["-Wl,-soname,libother.so.1"])
        let second = "needs libother.so.1, which may not bear to be unloaded with it"
        #expect(try obstacles(code, [other]) == [second])
    }

    @Test
    func `the memory of an image is what its segments span`() throws {
        #expect(try obstacles("static char room[1 << 20]; char *f(void) { return room; }") == [])
        let bytes = try #require(File.read(path, bytesMax: 1 << 20))
        let mapped = try ELFImage(bytes).mappedBytes()
        #expect(mapped % 4_096 == 0 && mapped > 1 << 20 && mapped < 1 << 20 + 1 << 16)
    }
}
