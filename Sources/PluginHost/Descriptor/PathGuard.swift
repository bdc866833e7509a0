import Sys

/// Whether nobody but root and one user can change what a path leads to.
///
/// Whoever may write a file can change it; whoever may write a folder can put another file in place
/// of one that is there; and who owns a file or a folder can give himself the right. So it looks at
/// the file, at every folder on the way to it from the root, and at the links on that way. On the
/// way, not for the file itself, two kinds of folders will do: those in which only a file's owner
/// may rename it (the sticky bit, as of /tmp), and those that the executable is in too, because who
/// can change these has no need of a plugin.
///
/// Access control lists are seen as far as the mode shows them: their mask is the group's part.
struct PathGuard {
    /// Who may own files beside root.
    private let user: UInt32
    /// Folders that the executable is in, up to the root.
    private let shared: Set<String>

    /// Links that are followed, as many as Linux follows.
    static let linksMax = 40

    /// - Parameters:
    ///   - user: the process's.
    ///   - executable: its path, without links.
    init(user: UInt32, executable: String) {
        self.user = user
        var shared: Set<String> = []
        var folder = executable[...]
        while let slash = folder.lastIndex(of: "/") {
            folder = folder[..<slash]
            shared.insert(folder.isEmpty ? "/" : String(folder))
        }
        self.shared = shared
    }

    /// What is wrong with the path, and what to do; nil when nothing is, or no file is there.
    func complaint(about path: String) -> String? {
        guard path.hasPrefix("/") else {
            guard let folder = File.absolute(".") else { return "the current folder is not known" }
            return complaint(about: folder + "/" + path)
        }
        // The way so far, without links, and what is still to go, the next name last.
        var way: [Substring] = []
        var rest: [Substring] = path.split(separator: "/").reversed()
        var linkCount = 0
        while let name = rest.popLast() {
            if name == "." { continue }
            let folder = "/" + way.joined(separator: "/")
            if name == ".." {
                if let complaint = complaint(aboutWay: folder) { return complaint }
                _ = way.popLast()
                continue
            }
            let place = way.isEmpty ? "/\(name)" : "\(folder)/\(name)"
            guard let entry = FileVersion(place, followsLinks: false) else { return nil }
            guard entry.kind != .other else {
                return complaint(aboutOwnFolder: folder) ?? complaint(aboutOwner: entry, place)
                    ?? complaint(aboutMode: entry, place)
            }
            if let complaint = complaint(aboutWay: folder) { return complaint }
            guard entry.kind == .link else {
                way.append(name)
                continue
            }
            if let complaint = complaint(aboutOwner: entry, place) { return complaint }
            linkCount += 1
            guard linkCount <= Self.linksMax, let target = File.linkTarget(place) else {
                return "\(path): more than \(Self.linksMax) links"
            }
            rest += target.split(separator: "/").reversed()
            if target.hasPrefix("/") { way = [] }
        }
        return nil
    }

    /// A folder that leads to another one.
    private func complaint(aboutWay place: String) -> String? {
        guard !shared.contains(place), let entry = FileVersion(place, followsLinks: false) else {
            return nil
        }
        let complaint = complaint(aboutOwner: entry, place)
        if let complaint { return "the folder \(complaint)" }
        guard !Self.isSticky(entry) else { return nil }
        return self.complaint(aboutMode: entry, place).map { "the folder \($0)" }
    }

    /// The folder that the file, or a link to it, is in.
    private func complaint(aboutOwnFolder place: String) -> String? {
        guard let entry = FileVersion(place, followsLinks: false) else { return nil }
        let complaint =
            complaint(aboutOwner: entry, place)
            ?? complaint(aboutMode: entry, place)
        guard let complaint else { return nil }
        guard Self.isSticky(entry) else { return "the folder \(complaint)" }
        return "the folder \(place): others may put files into it (mode \(Self.mode(entry))); "
            + "move the library to a folder of its own"
    }

    private func complaint(aboutOwner entry: FileVersion, _ place: String) -> String? {
        guard entry.owner != 0, entry.owner != user else { return nil }
        return "\(place): belongs to user \(entry.owner), who is neither root nor the user of this "
            + "process (\(user)); chown root \(place)"
    }

    /// A group of its own that each user has (its number is the user's) is nobody else.
    private func complaint(aboutMode entry: FileVersion, _ place: String) -> String? {
        if entry.mode & 0o002 != 0 {
            return "\(place): everybody may write it (mode \(Self.mode(entry))); "
                + "chmod go-w \(place)"
        }
        guard entry.mode & 0o020 != 0, entry.group != entry.owner else { return nil }
        return "\(place): group \(entry.group) may write it (mode \(Self.mode(entry))); "
            + "chmod g-w \(place)"
    }

    private static func isSticky(_ entry: FileVersion) -> Bool { entry.mode & 0o1000 != 0 }

    private static func mode(_ entry: FileVersion) -> String {
        "0" + String(entry.mode & 0o7777, radix: 8)
    }
}

extension PluginFile {
    /// Who else could change a file, in a line that names it; nil when nobody can.
    public static func complaint(aboutPermissionsOf path: String) -> String? {
        PathGuard(user: Process.effectiveUser, executable: Process.executablePath())
            .complaint(about: path)
            .map { $0.hasPrefix(path + ":") ? $0 : "\(path): \($0)" }
    }
}
