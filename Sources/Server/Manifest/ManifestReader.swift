/// What the readers of all keys share: where they are, what they found wrong, and what needs a
/// second look when everything was read.
struct ManifestReader {
    let surroundings: ManifestSurroundings
    /// Folder that relative paths start from.
    let folder: String
    /// Folder of libraries that are named without a path.
    var pluginFolder: String

    private(set) var problems: [Problem] = []
    /// Number of problems, those included that were not kept.
    private(set) var problemCount = 0
    private(set) var path: [PathPart] = []
    /// Names that the manifest declares, also those whose entry is wrong: one mistake, one line.
    private var declared: [Reference.Kind: [String]] = [:]
    private var references: [Reference] = []

    /// Problems that are kept to be sorted by place.
    ///
    /// More than are shown, because the keys are not read in the order of the text; bounded,
    /// because a broken manifest may have a million.
    static let problemsKeptMax = 1_000

    struct Problem {
        var offset: Int
        var path: String
        var message: String
    }

    enum PathPart: Equatable {
        case key(String)
        case index(Int)
    }

    /// A name that must be declared somewhere else in the manifest.
    struct Reference {
        enum Kind: String {
            case plugin
            case upstream
            case listener
        }

        var kind: Kind
        var name: String
        var path: String
        var offset: Int
    }

    init(surroundings: ManifestSurroundings, folder: String) {
        self.surroundings = surroundings
        self.folder = folder
        pluginFolder = surroundings.defaultPluginFolder
    }

    // MARK: Places

    /// The place that is being read, as in "routes[2].match.host".
    var pathText: String { ManifestReader.text(of: path) }

    /// Reads something one step deeper.
    mutating func inside<Value>(
        _ part: PathPart,
        _ body: (inout ManifestReader) -> Value
    ) -> Value {
        path.append(part)
        defer { path.removeLast() }
        return body(&self)
    }

    static func text(of path: [PathPart]) -> String {
        var text = ""
        for part in path {
            switch part {
            case .index(let index): text += "[\(index)]"
            case .key(let key) where isPlain(key): text += (text.isEmpty ? "" : ".") + key
            case .key(let key): text += "[\(quote(key))]"
            }
        }
        return text
    }

    private static func isPlain(_ key: String) -> Bool {
        1...ManifestLimits.nameBytesMax ~= key.utf8.count
            && key.unicodeScalars.allSatisfy {
                "a"..."z" ~= $0 || "A"..."Z" ~= $0 || "0"..."9" ~= $0 || $0 == "_" || $0 == "-"
                    || $0 == "$"
            }
    }

    // MARK: Problems

    mutating func report(_ message: String, at node: Node) {
        report(message, offset: node.offset)
    }

    mutating func report(_ message: String, offset: Int) {
        problemCount += 1
        guard problemCount <= ManifestReader.problemsKeptMax else { return }
        problems.append(.init(offset: offset, path: pathText, message: message))
    }

    /// Reports something about another place.
    mutating func report(_ message: String, at path: [PathPart], offset: Int) {
        let before = self.path
        defer { self.path = before }
        self.path = path
        report(message, offset: offset)
    }

    /// Reports a value of the wrong type.
    mutating func report(expected: String, at node: Node) {
        report("expected \(expected), found \(node.kindText)", at: node)
    }

    /// The end of a message about an unknown name.
    ///
    /// Empty once there are more problems than are shown: looking for names that are near is slow.
    func hint(for name: String, among known: @autoclosure () -> [String]) -> String {
        problems.count < ManifestFailure.problemsMax ? suggestion(for: name, among: known()) : ""
    }

    // MARK: Objects

    /// The members of an object, without those whose key occurred before; these are reported.
    mutating func members(of node: Node, expected: String) -> [Node.Member]? {
        guard case .object(let members) = node.content else {
            report(expected: expected, at: node)
            return nil
        }
        var seen: Set<[UInt8]> = []
        return members.filter { member in
            if seen.insert(Array(member.key.utf8)).inserted { return true }
            inside(.key(member.key)) { reader in
                reader.report("the key occurs twice", offset: member.keyOffset)
            }
            return false
        }
    }

    // MARK: Names

    mutating func declare(_ kind: Reference.Kind, _ name: String) {
        declared[kind, default: []].append(name)
    }

    mutating func refer(to kind: Reference.Kind, _ name: String, at node: Node) {
        references.append(.init(kind: kind, name: name, path: pathText, offset: node.offset))
    }

    /// Reports every name that nothing declares.
    ///
    /// Call once, after the whole manifest was read.
    mutating func resolveReferences() {
        let names = declared.mapValues { Set($0) }
        for reference in references where names[reference.kind]?.contains(reference.name) != true {
            let known = declared[reference.kind] ?? []
            let message =
                "no \(reference.kind.rawValue) has the name \(quote(reference.name))"
                + hint(for: reference.name, among: known)
            problemCount += 1
            guard problemCount <= ManifestReader.problemsKeptMax else { continue }
            problems.append(
                .init(offset: reference.offset, path: reference.path, message: message)
            )
        }
    }
}

/// A text as messages show it: in quotes, one line, not longer than a line needs.
func quote(_ text: String) -> String {
    let lengthMax = 512
    var shown = ""
    for scalar in text.unicodeScalars.prefix(lengthMax) {
        shown += scalar == "\"" ? "\\\"" : scalar.escaped(asASCII: false)
    }
    let isCut = text.unicodeScalars.dropFirst(lengthMax).first != nil
    return "\"" + shown + (isCut ? "..." : "") + "\""
}
