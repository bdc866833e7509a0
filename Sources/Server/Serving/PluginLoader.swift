internal import PluginHost
internal import Proxy

/// Loads the libraries of a manifest and makes their instances.
enum PluginLoader {
    /// What came of it: all instances, in the manifest's order, or every problem in a line.
    struct Result {
        var instances: [PluginInstance] = []
        var problems: [String] = []
    }

    /// - Parameter workerCount: told to the plugins, 1 or more.
    static func load(_ settings: ProxySettings, workerCount: Int) -> Result {
        var result = Result()
        var libraries: [String: PluginLibrary] = [:]
        for (index, plugin) in settings.plugins.enumerated() {
            do throws(PluginError) {
                // Instances of one file share its code, as the dynamic linker would have it.
                let library: PluginLibrary
                if let known = libraries[plugin.libraryPath] {
                    if let pin = plugin.sha256 {
                        let sha256 = try PluginLibrary.sha256(of: plugin.libraryPath)
                        try PluginLibrary.check(sha256, pin: pin, path: plugin.libraryPath)
                    }
                    library = known
                } else {
                    library = try PluginLibrary(path: plugin.libraryPath, pin: plugin.sha256)
                }
                libraries[plugin.libraryPath] = library
                result.instances.append(
                    try PluginInstance(
                        name: plugin.name,
                        index: index,
                        library: library,
                        failureStatus: plugin.onError.status,
                        configuration: plugin.configuration.node,
                        workerCount: workerCount,
                        logLevel: settings.logLevel.rawValue,
                        memoryBytes: plugin.memoryBytes
                    )
                )
            } catch {
                let place = "plugins.\(plugin.name)"
                let isPlaced = error.description.hasPrefix(place)
                result.problems.append(isPlaced ? error.description : "\(place): \(error)")
            }
        }
        return result
    }
}

extension OnError {
    /// 0 for `open`.
    fileprivate var status: UInt16 {
        switch self {
        case .open: 0
        case .closed(let status): status
        }
    }
}

extension ConfigurationValue {
    fileprivate var node: ConfigurationTree.Node {
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
