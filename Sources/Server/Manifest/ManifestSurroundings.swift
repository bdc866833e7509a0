/// The part of the machine that a manifest is read against.
///
/// A value of closures, so that tests decide what exists.
package struct ManifestSurroundings: Sendable {
    /// Folder of the running executable, absolute, without a slash at its end.
    package var executableFolder: String
    /// What a path leads to, symbolic links followed.
    package var kind: @Sendable (_ path: String) -> FileKind
    /// The bytes of a file of at most `bytesMax` bytes.
    package var read: @Sendable (_ path: String, _ bytesMax: Int) -> FileContent

    package init(
        executableFolder: String,
        kind: @escaping @Sendable (_ path: String) -> FileKind,
        read: @escaping @Sendable (_ path: String, _ bytesMax: Int) -> FileContent
    ) {
        self.executableFolder = executableFolder
        self.kind = kind
        self.read = read
    }

    /// Where libraries are looked up when the manifest does not say.
    var defaultPluginFolder: String {
        let installed = executableFolder + "/../lib/sluice/plugins"
        return kind(installed) == .folder ? installed : executableFolder
    }
}

/// What a path leads to.
package enum FileKind: Sendable, Equatable {
    case file
    case folder
    /// A device, a socket, or something that may not be looked at.
    case other
    case missing
}

/// What reading a file gave.
package enum FileContent: Sendable, Equatable {
    case bytes([UInt8])
    case tooLarge
    /// In words, as in "no such file or directory".
    case failed(reason: String)
}

/// Paths of a manifest are relative to its folder, not to the folder that sluice was started in.
enum ManifestPath {
    /// The folder of a file: "." for a bare name, so that a path made with it always has a slash.
    static func folder(of file: String) -> String {
        guard let slash = file.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
        return slash == file.startIndex ? "/" : String(file[..<slash])
    }

    static func resolve(_ path: String, in folder: String) -> String {
        if path.hasPrefix("/") { return path }
        return folder.hasSuffix("/") ? folder + path : folder + "/" + path
    }
}
