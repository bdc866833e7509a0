internal import PluginHost
internal import Proxy
internal import Sys

/// The plugins of a manifest as far as they are known without running any of their code.
struct PluginStage {
    /// One entry of the manifest's `plugins`.
    struct Entry {
        let settings: PluginSettings
        /// Nil when the file can't be taken, and of one that is in use already and has not changed.
        var file: PluginFile?
        /// Of the file, in lower-case hex; empty without one.
        var sha256 = ""
        /// Nil when there is no file.
        var version: FileVersion?
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

    /// What is known of a library's file.
    private struct Known {
        var file: PluginFile?
        var sha256: String
        var version: FileVersion?
        var descriptor: Descriptor?
    }

    /// Reads the libraries of a manifest and checks it against what they say of themselves.
    ///
    /// - Parameters:
    ///   - linked: paths that stand for no file.
    ///   - present: plugins that run: a file that is as it was when they were loaded is not read
    ///     again.
    init(_ settings: ProxySettings, linked: Set<String> = [], present: [RunningPlugin] = []) {
        var known: [String: Known] = [:]
        for plugin in present {
            let path = plugin.settings.libraryPath
            guard let version = plugin.version, version == FileVersion(path) else { continue }
            known[path] = Known(
                sha256: plugin.sha256,
                version: version,
                descriptor: plugin.descriptor
            )
        }
        let trust = PluginTrust(settings.integrity, &problems)
        // Without its keys nothing is known to be good.
        guard problems.isEmpty else { return }
        for plugin in settings.plugins {
            var entry = Entry(settings: plugin, configuration: plugin.configuration.node)
            let before = problems.count
            if !linked.contains(plugin.libraryPath) { stage(&entry, trust, &known) }
            entry.isGood = problems.count == before
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
            let path = plugin.libraryPath
            if known[path] == nil { known[path] = try Self.read(path, trust) }
            guard let known = known[path] else { return }
            // The file is as it was, but its folders need not be.
            if known.file == nil, trust.checksPermissions,
                let complaint = PluginFile.complaint(aboutPermissionsOf: path)
            {
                throw PluginError(complaint)
            }
            if let pin = plugin.sha256 {
                try PluginFile.check(known.sha256, of: path, pin: pin)
            }
            entry.file = known.file
            entry.sha256 = known.sha256
            entry.version = known.version
            entry.descriptor = known.descriptor
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

    private static func read(_ path: String, _ trust: PluginTrust) throws(PluginError) -> Known {
        // Before the file is read: one that changes meanwhile is read once more the next time.
        let version = FileVersion(path)
        let file = try PluginFile(path: path, pin: nil, trust: trust)
        return Known(
            file: file,
            sha256: file.sha256,
            version: version,
            descriptor: try descriptor(of: file)
        )
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
