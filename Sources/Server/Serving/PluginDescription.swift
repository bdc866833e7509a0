internal import PluginHost
internal import Proxy

/// Plugins in words.
enum PluginDescription {
    /// One line of `plugin list`.
    static func line(_ entry: PluginStage.Entry) -> String {
        let facts = entry.descriptor.map { "\($0.id) \($0.version)" } ?? "(no descriptor)"
        return "\(entry.settings.name)\t\(facts)\t\(entry.settings.libraryPath)"
    }

    /// What `plugin inspect` says of any file.
    static func lines(_ file: PluginFile) -> [String] {
        let complaint = PluginFile.complaint(aboutPermissionsOf: file.path)
        return [
            "file:        \(file.path)", "sha256:      \(file.sha256)",
            "permissions: \(complaint ?? "good")",
        ]
    }

    /// Whether its memory could be given back, and why not.
    static func unloadLines(_ file: PluginFile) -> [String] {
        let obstacles = file.unloadObstacles
        guard !obstacles.isEmpty else {
            return ["unloading:   may be unmapped when nobody uses it"]
        }
        return obstacles.map { "unloading:   never: \($0)" }
    }

    /// What a library says of itself without being run.
    static func lines(_ descriptor: Descriptor) -> [String] {
        let keys = descriptor.schema.map { $0.root.properties.map(\.name) }
        return [
            "id:          \(descriptor.id)",
            "version:     \(descriptor.version)",
            "description: \(descriptor.summary)",
            "plugin ABI:  \(descriptor.abi.major).\(descriptor.abi.minor)",
            "roles:       \(list(descriptor.roles))",
            "requires:    \(list(descriptor.required))",
            "optional:    \(list(descriptor.optional))",
            "hooks:       \(list(descriptor.hooks))",
            "produces:    \(list(descriptor.produces))",
            "consumes:    \(list(descriptor.consumes))",
            "config keys: \(keys.map(list) ?? "no schema")",
        ]
    }

    /// What a library that was loaded says of itself here and its file can't know, such as what it
    /// has found on this machine: its description, where it is another one.
    static func found(_ facts: PluginLibrary.Facts, _ descriptor: Descriptor) -> [String] {
        guard !facts.description.isEmpty, facts.description != descriptor.summary else { return [] }
        return ["says:        \(facts.description)"]
    }

    /// What a library without a descriptor says in the handshake.
    static func lines(_ facts: PluginLibrary.Facts) -> [String] {
        [
            "id:          \(facts.id)",
            "version:     \(facts.version)",
            "description: \(facts.description)",
            "plugin ABI:  \(facts.abi)",
            "roles:       \(list(facts.roles))",
            "requires:    \(list(facts.required))",
            "hooks:       \(list(facts.hooks))",
        ]
    }

    private static func list(_ names: [String]?) -> String {
        guard let names else { return "not said" }
        return names.isEmpty ? "none" : names.joined(separator: ", ")
    }
}
