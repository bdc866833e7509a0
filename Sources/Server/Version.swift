internal import PluginHost

/// What this build calls itself.
package enum Version {
    /// Version of the host.
    package static let host = "0.1.0"
    /// Version of the plugin ABI that it offers.
    package static var pluginABI: String { HostTable.abi }

    /// The line that `sluice version` prints.
    package static var line: String {
        "sluice \(host) (plugin ABI \(pluginABI), swift \(compiler))"
    }

    /// Version of the compiler, as far as conditions of the language can tell it.
    private static var compiler: String {
        #if compiler(>=6.4)
            "6.4 or later"
        #elseif compiler(>=6.3)
            "6.3"
        #else
            "6.2"
        #endif
    }
}
