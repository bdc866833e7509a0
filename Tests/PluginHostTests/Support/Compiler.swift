import Glibc
import PluginHost
import Sys

/// Makes plugins of `Tests/Fixtures` with the system's C compiler.
enum Compiler {
    /// Folder of the package.
    static let root: String = {
        var parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
        parts.removeLast(4)
        return parts.joined(separator: "/")
    }()

    struct Failure: Error {
        var status: Int32
    }

    /// Compiles a fixture into a shared library.
    ///
    /// - Parameter definitions: such as "SIZE=3".
    static func library(
        _ fixture: String,
        _ definitions: [String] = [],
        to path: String,
        options: [String] = []
    ) throws {
        let headers = root + "/SDK/Sources/CSluice/include"
        let source = root + "/Tests/Fixtures/" + fixture
        let status = run(
            ["cc", "-shared", "-fPIC", "-O0", "-Wall", "-Werror", "-I", headers]
                + definitions.map { "-D" + $0 } + ["-o", path, source] + options
        )
        guard status == 0 else { throw Failure(status: status) }
    }

    /// Compiles any C file into a shared library.
    static func compile(_ source: String, to path: String, _ options: [String]) throws {
        let status = run(
            ["cc", "-shared", "-fPIC", "-O0", "-w", "-fno-builtin", "-o", path, source] + options
        )
        guard status == 0 else { throw Failure(status: status) }
    }

    /// Runs a command; its status.
    private static func run(_ words: [String]) -> Int32 {
        var arguments = words.map { strdup($0) } + [nil]
        defer { for word in arguments { free(word) } }
        var child = pid_t()
        guard posix_spawnp(&child, "cc", nil, nil, &arguments, environ) == 0 else {
            return -1
        }
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0 && errno == EINTR {}
        return status
    }

    /// The plugin of `hooks.c`, compiled and loaded once.
    static func hooks() throws -> PluginLibrary { try loaded.get() }

    private static let loaded = Result<PluginLibrary, any Error> {
        let folder = try TemporaryFolder()
        let path = folder.path + "/libhooks.so"
        try library("hooks.c", to: path)
        return try PluginLibrary(path: path, pin: nil)
    }
}

/// A folder that goes away with all files in it.
final class TemporaryFolder {
    let path: String

    init() throws {
        path = try File.makeTemporaryFolder(prefix: "/tmp/sluice-plugin-tests-")
    }

    deinit {
        for name in File.entries(path) ?? [] { File.remove(path + "/" + name) }
        File.removeFolder(path)
    }
}
