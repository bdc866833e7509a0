internal import Sys

/// The files that a context was made of, and which versions of them.
struct WatchedFiles: Sendable, Equatable {
    private var versions: [Entry] = []

    private struct Entry: Sendable, Equatable {
        var path: String
        var version: FileVersion?
    }

    /// Notes the versions of files that are about to be read: a change while they are read shows
    /// at the next look.
    init(_ paths: [String]) {
        versions = paths.map { Entry(path: $0, version: FileVersion($0)) }
    }

    /// Whether one of them is not what it was.
    var haveChanged: Bool { self != WatchedFiles(versions.map(\.path)) }
}
