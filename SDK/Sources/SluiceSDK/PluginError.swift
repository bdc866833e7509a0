/// Why a configuration was refused or an instance could not be made: one line, after the path of
/// the key that it is about.
public struct PluginError: Error, Equatable, Sendable {
    /// The key, as in "request.set[2].name"; empty for the configuration as a whole.
    public var path: String
    /// What is wrong, and what would be right.
    public var message: String

    /// An error about a key.
    public init(path: String, _ message: String) {
        self.path = path
        self.message = message
    }

    /// An error of something that does not know its key; the caller adds it.
    public init(_ message: String) { self.init(path: "", message) }

    /// The path and the message as the host shows them.
    public var line: String { path.isEmpty ? message : path + ": " + message }
}
