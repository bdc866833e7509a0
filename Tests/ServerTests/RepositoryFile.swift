import Glibc

/// A file of the repository, by its path from the root.
struct RepositoryFile {
    let path: String

    init(_ path: String) {
        // This file is Tests/ServerTests/RepositoryFile.swift.
        let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
        self.path = root.joined(separator: "/") + "/" + path
    }

    func read() throws -> String {
        guard let file = fopen(path, "r") else { throw Failure(path: path) }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while case let count = fread(&chunk, 1, chunk.count, file), count > 0 {
            bytes += chunk[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    func write(_ text: String) throws {
        guard let file = fopen(path, "w") else { throw Failure(path: path) }
        defer { fclose(file) }
        let bytes = Array(text.utf8)
        guard fwrite(bytes, 1, bytes.count, file) == bytes.count else { throw Failure(path: path) }
    }

    /// Whether this run may rewrite the generated files instead of comparing them.
    static var isUpdating: Bool { getenv("UPDATE_DOCS") != nil }

    struct Failure: Error { var path: String }
}
