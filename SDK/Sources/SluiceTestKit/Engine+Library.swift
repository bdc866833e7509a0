import CSluice
import CSluiceEngine
import Glibc

/// `libSluiceEngine.so`, loaded once.
enum EngineLibrary {
    /// Why there is no engine, in one line.
    struct Missing: Error, CustomStringConvertible {
        let description: String
    }

    static let name = "libSluiceEngine.so"

    // Safe: constant tables of a library that stays loaded.
    private nonisolated(unsafe) static let loaded:
        Result<UnsafePointer<sluice_engine_table>, Missing> = load()

    static func table() throws(Missing) -> UnsafePointer<sluice_engine_table> {
        try loaded.get()
    }

    private static func load() -> Result<UnsafePointer<sluice_engine_table>, Missing> {
        let places = candidates
        guard let path = places.first(where: { access($0, R_OK) == 0 }) else {
            let list = places.joined(separator: ", ")
            return .failure(
                Missing(
                    description: "no \(name); looked for \(list). Build sluice, or say where the "
                        + "library is with SLUICE_ENGINE"
                )
            )
        }
        guard let library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE),
            let symbol = dlsym(library, SLUICE_ENGINE_SYMBOL)
        else {
            let reason = dlerror().map { String(cString: $0) } ?? "it can't be loaded"
            return .failure(Missing(description: "\(path): \(reason)"))
        }
        // Safe: the symbol's name carries the version of its type.
        let function = unsafeBitCast(symbol, to: sluice_engine_fn.self)
        guard let table = function(),
            Int(table.pointee.size) == MemoryLayout<sluice_engine_table>.size
        else {
            return .failure(
                Missing(description: "\(path) is of another release than this test kit")
            )
        }
        return .success(table)
    }

    /// Paths, the first that exists wins: what the environment says, beside the test's program,
    /// and where an installed kit has its engine.
    private static var candidates: [String] {
        if let path = getenv("SLUICE_ENGINE").map({ String(cString: $0) }), !path.isEmpty {
            return [path]
        }
        var paths = [Engine.libraryPath("SluiceEngine")]
        // .../share/sluice/SDK/Sources/SluiceTestKit/Engine+Library.swift
        let parts = #filePath.split(separator: "/")
        if let share = parts.lastIndex(of: "share"), share + 2 < parts.count,
            parts[share + 1] == "sluice"
        {
            let prefix = parts[..<share].reduce("") { $0 + "/" + $1 }
            paths.append("\(prefix)/lib/sluice/\(name)")
        }
        return paths
    }
}
