internal import CSluice

extension PluginFile {
    /// Whether a library may bring a Swift runtime that it shares with others.
    ///
    /// Builds for debugging and tests do; shipped files carry their own
    /// (docs/decisions/0003-plugins-stay-loaded.md).
    #if DEBUG
        static let allowsSharedRuntime = true
    #else
        static let allowsSharedRuntime = false
    #endif

    /// What every entry symbol begins with; the major version of the ABI follows.
    private static let helloPrefix = "sluice_plugin_hello_v"

    /// Why a file must not be loaded, before any of its code runs; nil when it may.
    ///
    /// - Returns: the end of "FILE: ".
    static func refusal(of bytes: [UInt8], allowsSharedRuntime: Bool) -> String? {
        do throws(ELFImage.Malformed) {
            let image = try ELFImage(bytes)
            if image.wantsExecutableStack {
                return "wants an executable stack; link it with -z noexecstack"
            }
            if image.hasTextRelocations {
                return "has relocations in its code (TEXTREL); compile all of it with -fPIC"
            }
            let runtime = try image.needed().first { $0.hasPrefix("libswift") }
            if let runtime, !allowsSharedRuntime {
                return "needs \(runtime), a Swift runtime that plugins would share; link it with "
                    + "-static-stdlib"
            }
            return refusal(ofExports: try image.exports())
        } catch {
            return error.text
        }
    }

    /// Why a library with these symbols is no plugin, or not one for this host.
    private static func refusal(ofExports names: [String]) -> String? {
        let entries = names.filter { $0.hasPrefix(helloPrefix) }
        guard entries.contains(SLUICE_HELLO_SYMBOL) else {
            if let entry = entries.first {
                return "made for plugin ABI v\(entry.dropFirst(helloPrefix.count)) (it exports "
                    + "\(entry)), this host has v\(SLUICE_ABI_MAJOR)"
            }
            return "not a plugin: it has no symbol \(SLUICE_HELLO_SYMBOL)"
        }
        let others = names.filter { !$0.hasPrefix(helloPrefix) }
        guard let other = others.min() else { return nil }
        let count = others.count == 1 ? "another symbol" : "\(others.count) other symbols"
        return "exports \(count) beside \(SLUICE_HELLO_SYMBOL), such as \(other); hide what is not "
            + "the entry (-fvisibility=hidden or a version script)"
    }
}
