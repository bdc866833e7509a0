import CSluice
import Sys

/// A library's whole life without a request: loaded, made, and destroyed.
///
/// For a process that does nothing else, because the library may end it.
public enum PluginTrial {
    /// What is about to be called, in order.
    public enum Step: String, Sendable, CaseIterable {
        /// The dynamic linker and the library's initialisers.
        case load
        /// The handshake.
        case hello
        case checkConfig = "check_config"
        case create
        case destroy
    }

    /// Lives through all steps.
    ///
    /// - Parameters:
    ///   - differences: what the library says otherwise than its descriptor, a line each.
    ///   - begin: called before each step.
    /// - Throws: why the library or the configuration was refused.
    public static func run(
        _ file: PluginFile,
        name: String,
        configuration: ConfigurationTree.Node,
        folder: String,
        workerCount: Int,
        memoryBytes: Int,
        differences: (PluginLibrary.Facts) -> [String],
        begin: (Step) -> Void
    ) throws(PluginError) {
        begin(.load)
        let library = try PluginLibrary(file, willShakeHands: { begin(.hello) })
        let lines = differences(library.facts)
        guard lines.isEmpty else { throw PluginError(lines.joined(separator: "\n")) }
        begin(.checkConfig)
        let tree = ConfigurationTree.make(configuration)
        let checked = PluginInstance.withErrorText { error in
            library.hello.pointee.factory?.pointee.check_config?(tree, error) ?? 0
        }
        guard checked.result == SLUICE_OK else {
            let reason = checked.text.isEmpty ? "result \(checked.result)" : checked.text
            throw PluginError("plugins.\(name).config: \(reason)")
        }
        begin(.create)
        let instance = try PluginInstance(
            name: name,
            index: 0,
            library: library,
            failureStatus: 500,
            configuration: configuration,
            folder: folder,
            workerCount: workerCount,
            logLevel: UInt32(SLUICE_LOG_ERROR),
            memoryBytes: memoryBytes
        )
        begin(.destroy)
        instance.destroy()
    }
}
