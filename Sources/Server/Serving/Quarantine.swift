internal import Proxy

/// A plugin that is not loaded because the process has crashed in it.
///
/// It is the file that is not trusted: another file under the instance's name is loaded again.
package struct Quarantine: Sendable, Equatable {
    /// Name of the instance; empty for all instances of the file, as when it crashed before there
    /// was one.
    package var name: String
    /// SHA-256 of the library's file, in lower-case hex.
    package var sha256: String

    package init(name: String, sha256: String) {
        self.name = name
        self.sha256 = sha256
    }

    func holds(_ plugin: PluginSettings, sha256: String) -> Bool {
        (name.isEmpty || name == plugin.name) && self.sha256 == sha256
    }
}
