internal import PluginHost
internal import Proxy

/// The plugins of a manifest as far as they are known without running any of their code.
struct PluginStage {
    /// One entry of the manifest's `plugins`.
    struct Entry {
        let settings: PluginSettings
        /// Nil when the file can't be taken.
        var file: PluginFile?
        /// Nil when the library has none, or none that can be read.
        var descriptor: Descriptor?
        /// With defaults filled in, where there is a schema.
        var configuration: ConfigurationTree.Node
        /// Whether nothing speaks against loading it.
        var isGood = true
    }

    /// In the manifest's order.
    private(set) var entries: [Entry] = []
    /// Every problem in a line.
    private(set) var problems: [String] = []

    private typealias Known = (file: PluginFile, descriptor: Descriptor?)

    /// Reads the libraries of a manifest and checks it against what they say of themselves.
    ///
    /// - Parameter linked: paths that stand for no file.
    init(_ settings: ProxySettings, linked: Set<String> = []) {
        var known: [String: Known] = [:]
        let trust = PluginTrust(settings.integrity, &problems)
        let isTrustKnown = problems.isEmpty
        for plugin in settings.plugins {
            var entry = Entry(settings: plugin, configuration: plugin.configuration.node)
            let before = problems.count
            if isTrustKnown, !linked.contains(plugin.libraryPath) { stage(&entry, trust, &known) }
            entry.isGood = isTrustKnown && problems.count == before
            entries.append(entry)
        }
        // What an unreadable descriptor says of attributes is not known.
        guard problems.isEmpty else { return }
        problems += AttributeGraph.problems(settings, uses)
    }

    private mutating func stage(
        _ entry: inout Entry,
        _ trust: PluginTrust,
        _ known: inout [String: Known]
    ) {
        let plugin = entry.settings
        let place = "plugins.\(plugin.name)"
        do throws(PluginError) {
            if let (file, descriptor) = known[plugin.libraryPath] {
                if let pin = plugin.sha256 { try file.check(pin: pin) }
                (entry.file, entry.descriptor) = (file, descriptor)
            } else {
                let file = try PluginFile(
                    path: plugin.libraryPath,
                    pin: plugin.sha256,
                    trust: trust
                )
                entry.file = file
                entry.descriptor = try Self.descriptor(of: file)
                known[plugin.libraryPath] = (file, entry.descriptor)
            }
        } catch {
            problems += error.description.split(separator: "\n").map { "\(place): \($0)" }
            return
        }
        guard let descriptor = entry.descriptor else { return }
        if let misfit = descriptor.misfit {
            problems.append("\(place): \(plugin.libraryPath): \(misfit)")
            return
        }
        guard let schema = descriptor.schema else { return }
        var check = SchemaCheck(schema, at: [.key("plugins"), .key(plugin.name), .key("config")])
        check.check(&entry.configuration)
        problems += check.problems.map(\.line)
        if check.omittedCount > 0 {
            problems.append("\(place).config: ... and \(check.omittedCount) more problems")
        }
    }

    /// A library's descriptor; nil when it has none.
    ///
    /// - Throws: all that is wrong with it, in lines that name the file.
    static func descriptor(of file: PluginFile) throws(PluginError) -> Descriptor? {
        guard let text = try file.descriptor() else { return nil }
        do throws(Descriptor.Failure) {
            return try Descriptor.parse(text)
        } catch {
            let lines = error.lines.map { "\(file.path): descriptor: \($0)" }
            throw PluginError(lines.joined(separator: "\n"))
        }
    }

    private var uses: [String: AttributeGraph.Use] {
        var uses: [String: AttributeGraph.Use] = [:]
        for entry in entries {
            guard let descriptor = entry.descriptor else { continue }
            uses[entry.settings.name] = AttributeGraph.Use(
                produces: descriptor.produces,
                consumes: descriptor.consumes
            )
        }
        return uses
    }
}

extension ConfigurationValue {
    /// The same as plugins read it, before a schema was applied.
    var node: ConfigurationTree.Node {
        switch self {
        case .null: .null
        case .bool(let flag): .bool(flag)
        case .integer(let number): .integer(number)
        case .number(let number): .number(number)
        case .string(let text): .string(text)
        case .array(let elements): .array(elements.map(\.node))
        case .object(let members): .object(members.map { ($0.key, $0.value.node) })
        }
    }
}
