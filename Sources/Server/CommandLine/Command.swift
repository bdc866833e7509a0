/// What the command line asks for.
package enum Command: Equatable, Sendable {
    /// Serves until a signal.
    case run(RunOrder)
    /// Does everything that `run` does before it serves; `binds` false leaves the addresses alone.
    case check(manifest: String, binds: Bool)
    case version
    case demo
    /// Lists the plugins of a manifest.
    case pluginList(manifest: String)
    /// Describes the plugin in a file; with `loads` also runs its handshake.
    case pluginInspect(file: String, loads: Bool)
    /// Makes a folder with a new plugin.
    case pluginNew(NewPlugin.Order)
    /// Checks how the plugin in a file behaves.
    case pluginValidate(Validation.Order)
    /// Measures the hooks of the plugin in a file.
    case pluginBench(file: String, configuration: String)
    /// Asks something of a proxy that runs.
    case control(ControlOrder)
    /// Shows what a proxy that runs is doing, again and again.
    case top(TopOrder)
    /// Prints a text and does nothing else.
    case help(String)

    /// The manifest when none is named.
    package static let defaultManifest = "sluice.json5"
}

/// Codes that the process ends with.
package enum ExitCode: Int32, Sendable {
    case ok = 0
    case failure = 1
    case usage = 2
    /// `EX_CONFIG` of sysexits.h.
    case configuration = 78
}

/// A command line that asks for nothing sluice knows, in one line.
package struct UsageError: Error, Equatable, Sendable {
    package var message: String

    init(_ message: String) { self.message = message }
}
