import Glibc

/// A text file of the project.
struct SourceFile {
    /// From the project's folder, as in "Sources/HTTP/Message/Head.swift".
    var path: String
    var lines: [Substring]

    /// The lines' numbers that a rule refuses, as "path:7".
    func places(where isRefused: (Substring) -> Bool) -> [String] {
        zip(1..., lines).filter { isRefused($1) }.map { "\(path):\($0.0)" }
    }
}

/// The project as files on disk.
///
/// Read with the C library, because the project has no Foundation.
enum SourceTree {
    /// The project's folder, found from where this file stood when it was compiled.
    static let root = String(
        #filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }
    )

    /// Swift sources of the proxy, the SDK, the plugins and all tests.
    static let swift = files(in: ["Sources", "SDK", "Plugins", "Tests", "examples"]) {
        $0.hasSuffix(".swift")
    }

    /// Everything that people write.
    static let all = files(in: [""]) { path in
        [".swift", ".h", ".c", ".py", ".md", ".json", ".jsonl", ".lua", "Makefile", ".ci/run"]
            .contains { path.hasSuffix($0) } || path.hasPrefix("scripts/")
    }

    static func exists(_ path: String) -> Bool { access(root + "/" + path, F_OK) == 0 }

    /// Names in a folder, sorted; empty when there is none.
    static func names(in folder: String) -> [String] {
        guard let directory = opendir(root + "/" + folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            // The entry stays as it is until the next readdir, and its name ends with a NUL.
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    static func file(_ path: String) -> SourceFile? {
        guard let file = fopen(root + "/" + path, "r") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = fread(&buffer, 1, buffer.count, file)
            if count == 0 { break }
            bytes += buffer[..<count]
        }
        let text = String(decoding: bytes, as: UTF8.self)
        return SourceFile(
            path: path,
            lines: text.split(separator: "\n", omittingEmptySubsequences: false)
        )
    }

    /// Files below these folders, without what a build makes and without links.
    private static func files(
        in folders: [String],
        where isWanted: (String) -> Bool
    ) -> [SourceFile] {
        let skipped: Set<String> = [".git", "__pycache__", ".pytest_cache"]
        var found: [SourceFile] = []
        var open = folders.filter { $0.isEmpty || exists($0) }
        while let folder = open.popLast() {
            for name in names(in: folder) {
                let path = folder.isEmpty ? name : folder + "/" + name
                if skipped.contains(name) || name.hasPrefix(".build") { continue }
                switch kind(of: path) {
                case S_IFDIR: open.append(path)
                case S_IFREG: if isWanted(path), let file = file(path) { found.append(file) }
                default: break
                }
            }
        }
        return found.sorted { $0.path < $1.path }
    }

    private static func kind(of path: String) -> mode_t {
        var status = stat()
        return lstat(root + "/" + path, &status) == 0 ? status.st_mode & S_IFMT : 0
    }
}
