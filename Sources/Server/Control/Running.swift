internal import PluginHost
internal import Proxy
internal import Sys

/// What a process serves: a manifest, and all that was made of it.
struct Running: Sendable {
    var settings: ProxySettings
    var plan: Plan
    /// In the order of the settings' plugins.
    var plugins: [RunningPlugin]
    var tls: TLSContexts
    /// In the order of the settings' listeners; empty when nothing was bound.
    var sockets: [ListenerSockets]
    /// Plugins that are not loaded.
    var quarantine: [Quarantine] = []

    /// Plugins whose files were let in by the rules that other settings have, too.
    func plugins(trustedBy settings: ProxySettings) -> [RunningPlugin] {
        // What stands in for a plugin has nothing of its file.
        self.settings.integrity.isTrust(of: settings.integrity)
            ? plugins.filter { !$0.isAbsent } : []
    }

    func plugin(_ name: String) -> RunningPlugin? {
        plugins.first { $0.settings.name == name }
    }
}

/// An instance, and what it was made from.
struct RunningPlugin: @unchecked Sendable {
    // Safe: a descriptor is not changed once it was read.
    var settings: PluginSettings
    /// Of the file, in lower-case hex; empty of a plugin that is linked into the process.
    var sha256: String
    /// Of the file when it was read.
    var version: FileVersion?
    var descriptor: Descriptor?
    var instance: PluginInstance
    /// Whether it is in quarantine: the instance stands in for it.
    var isAbsent = false
    /// The state that the instance has, which those before it may have begun.
    var lineage = StateLineage()

    /// Whether an instance of these settings and this file would be the same.
    func isSame(_ settings: PluginSettings, sha256: String) -> Bool {
        self.settings == settings && self.sha256 == sha256
    }
}
