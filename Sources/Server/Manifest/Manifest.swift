package import Proxy

/// Reads manifests.
package enum Manifest {
    /// Bytes of a manifest's file; a larger one is refused.
    package static let bytesMax = ManifestLimits.fileBytesMax

    /// Reads and checks a manifest's file.
    ///
    /// - Parameter path: the file; messages name it like this, and relative paths in the manifest
    ///   start from its folder.
    /// - Throws: every problem that the manifest has.
    package static func read(
        _ path: String,
        _ surroundings: ManifestSurroundings
    ) throws(ManifestFailure) -> ProxySettings {
        try parse(try text(of: path, surroundings), path: path, surroundings)
    }

    /// Reads and checks the text of a manifest, as `read` does.
    package static func parse(
        _ bytes: [UInt8],
        path: String,
        _ surroundings: ManifestSurroundings
    ) throws(ManifestFailure) -> ProxySettings {
        try read(bytes, path: path, surroundings) { root, reader in
            var settings = ProxySettings()
            Table.manifest.read(root, into: &settings, &reader)
            reader.resolveReferences()
            return settings
        }
    }

    /// The text of a manifest's file.
    package static func text(
        of path: String,
        _ surroundings: ManifestSurroundings
    ) throws(ManifestFailure) -> [UInt8] {
        switch surroundings.read(path, bytesMax) {
        case .bytes(let bytes): return bytes
        case .tooLarge:
            throw failure(
                path,
                "the file is larger than \(Quantity.sizeText(Int64(bytesMax)))"
            )
        case .failed(let reason): throw failure(path, "cannot be read: \(reason)")
        }
    }

    /// Reads something of the text of a manifest.
    ///
    /// - Throws: every problem that `body` reports.
    static func read<Value>(
        _ bytes: [UInt8],
        path: String,
        _ surroundings: ManifestSurroundings,
        _ body: (Node, inout ManifestReader) -> Value
    ) throws(ManifestFailure) -> Value {
        guard bytes.count <= bytesMax else {
            throw failure(
                path,
                "the file is larger than \(Quantity.sizeText(Int64(bytesMax)))"
            )
        }
        let places = TextPlaces(bytes)
        let root: Node
        do throws(JSON5Parser.SyntaxError) {
            root = try JSON5Parser.parse(bytes)
        } catch {
            throw failure(path, error.message, places.place(of: error.offset))
        }
        var reader = ManifestReader(
            surroundings: surroundings,
            folder: ManifestPath.folder(of: path)
        )
        let value = body(root, &reader)
        guard reader.problems.isEmpty else {
            let ordered = reader.problems.enumerated().sorted {
                ($0.element.offset, $0.offset) < ($1.element.offset, $1.offset)
            }
            // A place costs the length of its line, so only what is shown gets one.
            throw ManifestFailure(
                problems: ordered.prefix(ManifestFailure.problemsMax).map { _, problem in
                    ManifestProblem(
                        file: path,
                        place: places.place(of: problem.offset),
                        path: problem.path,
                        message: problem.message
                    )
                },
                omittedCount: max(0, reader.problemCount - ManifestFailure.problemsMax)
            )
        }
        return value
    }

    private static func failure(
        _ path: String,
        _ message: String,
        _ place: TextPlace? = nil
    ) -> ManifestFailure {
        ManifestFailure(
            problems: [ManifestProblem(file: path, place: place, path: "", message: message)])
    }
}

extension ProxySettings: Defaulted {
    static var defaults: Self { ProxySettings() }
}
