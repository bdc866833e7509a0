internal import PluginHost

/// Plugins in words.
enum PluginDescription {
    /// One line of `plugin list`.
    static func line(_ instance: PluginInstance) -> String {
        let facts = instance.library.facts
        return "\(instance.name)\t\(facts.id) \(facts.version)\t\(instance.library.path)"
    }

    /// All of `plugin inspect`.
    static func lines(_ library: PluginLibrary, sha256: String) -> [String] {
        let facts = library.facts
        return [
            "file:        \(library.path)",
            "sha256:      \(sha256)",
            "id:          \(facts.id)",
            "version:     \(facts.version)",
            "description: \(facts.description)",
            "plugin ABI:  \(facts.abi)",
            "roles:       \(list(facts.roles))",
            "requires:    \(list(facts.required))",
            "hooks:       \(list(facts.hooks))",
        ]
    }

    private static func list(_ names: [String]) -> String {
        names.isEmpty ? "none" : names.joined(separator: ", ")
    }
}
