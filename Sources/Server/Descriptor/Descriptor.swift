internal import PluginHost

/// What a library says of itself without being run (`descriptor.h`).
struct Descriptor {
    /// Why a library's descriptor was refused: a line each, without the file.
    struct Failure: Error, Equatable {
        var lines: [String]
    }

    /// The least version of the plugin ABI that it works with.
    struct ABI: Equatable {
        var major: UInt32
        var minor: UInt32
    }

    var abi = ABI(major: 0, minor: 0)
    var id = ""
    var version = ""
    var summary = ""
    // Nil is not said, which is not the same as empty: it is not compared with the handshake.
    var hooks: [String]?
    var roles: [String]?
    var required: [String]?
    var optional: [String] = []
    var produces: [String] = []
    var consumes: [String] = []
    /// Of the configuration; nil when it is the plugin's code alone that checks it.
    var schema: CompiledSchema?

    /// Reads a descriptor.
    ///
    /// - Throws: every problem that it has.
    static func parse(_ bytes: [UInt8]) throws(Failure) -> Descriptor {
        let root: Node
        do throws(JSON5Parser.SyntaxError) {
            root = try JSON5Parser.parse(bytes)
        } catch {
            throw Failure(lines: ["byte \(error.offset): \(error.message)"])
        }
        var reader = ManifestReader(surroundings: .none, folder: ".")
        var descriptor = Descriptor()
        Table.descriptor.read(root, into: &descriptor, &reader)
        guard reader.problemCount == 0 else {
            let shown = reader.problems.prefix(ManifestFailure.problemsMax).map { problem in
                problem.path.isEmpty ? problem.message : "\(problem.path): \(problem.message)"
            }
            let omitted = reader.problemCount - shown.count
            throw Failure(lines: shown + (omitted > 0 ? ["... and \(omitted) more problems"] : []))
        }
        return descriptor
    }

    // MARK: Rules

    /// Why this host can't load the library; nil when it can.
    var misfit: String? {
        if let complaint = HostTable.complaint(aboutABI: abi.major, abi.minor) { return complaint }
        let missing = (required ?? []).first { !HostTable.offers($0) }
        return missing.map { "needs \($0), which this host does not offer" }
    }

    /// Where the library's handshake says something else; a line each.
    func differences(from facts: PluginLibrary.Facts) -> [String] {
        var lines: [String] = []
        func compare(_ name: String, _ said: String, _ found: String) {
            guard !isSame(said, found) else { return }
            lines.append(
                "\(name) is \(quote(said)) in the descriptor, but \(quote(found)) in the handshake"
            )
        }
        func compare(_ name: String, _ said: [String]?, _ found: [String]) {
            guard let said, Set(said) != Set(found) else { return }
            lines.append(
                "\(name): \(list(said)) in the descriptor, but \(list(found)) in the handshake"
            )
        }
        func list(_ names: [String]) -> String {
            names.isEmpty ? "none" : names.sorted().joined(separator: ", ")
        }
        compare("id", id, facts.id)
        compare("version", version, facts.version)
        compare("hooks", hooks, facts.hooks)
        compare("roles", roles, facts.roles)
        compare("required", required, facts.required)
        return lines
    }
}

extension ManifestSurroundings {
    /// A machine without files: a descriptor speaks of none.
    fileprivate static let none = ManifestSurroundings(executableFolder: "/") { _ in
        .missing
    } read: { _, _ in
        .failed(reason: "a descriptor reads no files")
    }
}
