package import PluginHost
package import Proxy

/// Loads the libraries of a manifest and makes their instances.
package enum PluginLoader {
    /// What came of it: all instances, in the manifest's order, or every problem in a line.
    package struct Result {
        package var instances: [PluginInstance] = []
        package var problems: [String] = []
        /// Names of those that were not loaded.
        package var quarantined: [String] = []
    }

    /// - Parameters:
    ///   - folder: the manifest's, told to the plugins.
    ///   - workerCount: told to the plugins, 1 or more.
    ///   - quarantine: instances that are not loaded; `AbsentPlugin` stands in for each.
    ///   - linked: plugins that are linked into this process, by the path that stands for them.
    package static func load(
        _ settings: ProxySettings,
        folder: String,
        workerCount: Int,
        quarantine: [Quarantine] = [],
        linked: [String: PluginLibrary] = [:]
    ) -> Result {
        let stage = PluginStage(settings, linked: Set(linked.keys))
        var result = Result(problems: stage.problems)
        var libraries = linked
        settings.announceUpstreams()
        for (index, entry) in stage.entries.enumerated() where entry.isGood {
            let plugin = entry.settings
            do throws(PluginError) {
                if let file = entry.file,
                    quarantine.contains(where: { $0.holds(plugin, sha256: file.sha256) })
                {
                    result.instances.append(try absent(plugin, index, workerCount: workerCount))
                    result.quarantined.append(plugin.name)
                    continue
                }
                // Instances of one file share its code, as the dynamic linker would have it.
                let known = libraries[plugin.libraryPath]
                let library = if let known { known } else { try load(entry) }
                libraries[plugin.libraryPath] = library
                result.instances.append(
                    try PluginInstance(
                        name: plugin.name,
                        index: index,
                        library: library,
                        failureStatus: plugin.onError.status,
                        configuration: entry.configuration,
                        folder: folder,
                        workerCount: workerCount,
                        logLevel: settings.logLevel.rawValue,
                        memoryBytes: plugin.memoryBytes,
                        guards: PluginGuards(plugin)
                    )
                )
            } catch {
                let place = "plugins.\(plugin.name)"
                for line in error.description.split(separator: "\n") {
                    result.problems.append(line.hasPrefix(place) ? "\(line)" : "\(place): \(line)")
                }
            }
        }
        return result
    }

    private static func absent(
        _ plugin: PluginSettings,
        _ index: Int,
        workerCount: Int
    ) throws(PluginError) -> PluginInstance {
        try PluginInstance(
            name: plugin.name,
            index: index,
            library: try AbsentPlugin.library(),
            failureStatus: plugin.onError.status,
            configuration: AbsentPlugin.configuration(status: plugin.onError.status),
            workerCount: workerCount,
            logLevel: LogLevel.error.rawValue
        )
    }

    private static func load(_ entry: PluginStage.Entry) throws(PluginError) -> PluginLibrary {
        guard let file = entry.file else { throw PluginError("no file") }
        return try load(file, entry.descriptor)
    }

    /// Runs a library's handshake, which must say the same as its descriptor.
    static func load(
        _ file: PluginFile,
        _ descriptor: Descriptor?
    ) throws(PluginError) -> PluginLibrary {
        let library = try PluginLibrary(file)
        let differences = descriptor?.differences(from: library.facts) ?? []
        guard differences.isEmpty else {
            let lines = differences.map { "\(file.path): \($0)" }
            throw PluginError(lines.joined(separator: "\n"))
        }
        return library
    }
}

extension PluginGuards {
    fileprivate init(_ plugin: PluginSettings) {
        self.init(
            hookNanoseconds: UInt64(plugin.hookBudget) * 1_000_000,
            circuit: CircuitSettings(
                faults: plugin.circuit.faults,
                window: UInt64(plugin.circuit.window),
                retry: UInt64(plugin.circuit.retry)
            ),
            onCrash: plugin.onCrash
        )
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
