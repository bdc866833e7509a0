/// Why a manifest was refused: every problem that was found in it, in the order of its text.
package struct ManifestFailure: Error, Equatable, Sendable {
    /// Problems that are kept; a manifest with more says how many were left out.
    package static let problemsMax = 100

    package var problems: [ManifestProblem]
    /// Number of problems beyond those.
    package var omittedCount = 0

    package init(problems: [ManifestProblem]) {
        self.problems = Array(problems.prefix(ManifestFailure.problemsMax))
        omittedCount = problems.count - self.problems.count
    }

    /// One line a problem, without line ends.
    package var lines: [String] {
        problems.map(\.description)
            + (omittedCount > 0 ? ["... and \(omittedCount) more problems"] : [])
    }
}

/// One problem of a manifest.
package struct ManifestProblem: Equatable, Sendable, CustomStringConvertible {
    /// Name of the manifest's file, as the operator gave it.
    package var file: String
    /// Where in the file; nil for a problem of the file itself.
    package var place: TextPlace?
    /// "routes[2].match.host"; empty for a problem of the text.
    package var path: String
    package var message: String

    package var description: String {
        let place = place.map { "\(file):\($0.line):\($0.column): " } ?? "\(file): "
        return place + (path.isEmpty ? "" : path + ": ") + message
    }
}
