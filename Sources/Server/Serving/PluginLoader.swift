package import PluginHost
package import Proxy

/// Loads the libraries of a manifest and makes their instances.
package enum PluginLoader {
    /// What came of it: all instances, in the manifest's order, or every problem in a line.
    package struct Result {
        package var instances: [PluginInstance] = []
        package var problems: [String] = []
    }

    /// - Parameters:
    ///   - folder: the manifest's, told to the plugins.
    ///   - workerCount: told to the plugins, 1 or more.
    ///   - isStart: false for a process that serves already, where more is tried first.
    ///   - generation: of this manifest, counted from 1.
    ///   - linked: plugins that are linked into this process, by the path that stands for them.
    package static func load(
        _ settings: ProxySettings,
        folder: String,
        workerCount: Int,
        isStart: Bool = true,
        generation: UInt64 = 1,
        linked: [String: PluginLibrary] = [:]
    ) -> Result {
        let stage = PluginStage(settings, linked: Set(linked.keys))
        var result = Result(problems: stage.problems)
        var libraries = linked
        settings.announceUpstreams()
        let probe = settings.integrity.probe
        let isTried = probe == .always || probe == .changes && !isStart
        for (index, entry) in stage.entries.enumerated() where entry.isGood {
            let plugin = entry.settings
            do throws(PluginError) {
                // Instances of one file share its code, as the dynamic linker would have it.
                let known = libraries[plugin.libraryPath]
                if isTried, entry.file != nil {
                    try PluginProbe.check(
                        entry,
                        settings,
                        folder: folder,
                        workerCount: workerCount
                    )
                }
                let library = if let known { known } else { try load(entry, generation) }
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
                        memoryBytes: plugin.memoryBytes
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

    private static func load(
        _ entry: PluginStage.Entry,
        _ generation: UInt64
    ) throws(PluginError) -> PluginLibrary {
        guard let file = entry.file else { throw PluginError("no file") }
        return try load(
            file,
            entry.descriptor,
            mayUnload: entry.settings.unload == .whenSafe,
            generation: generation
        )
    }

    /// Runs a library's handshake, which must say the same as its descriptor.
    static func load(
        _ file: PluginFile,
        _ descriptor: Descriptor?,
        mayUnload: Bool = false,
        generation: UInt64 = 1
    ) throws(PluginError) -> PluginLibrary {
        let library = try PluginLibrary(file, mayUnload: mayUnload, generation: generation)
        let differences = descriptor?.differences(from: library.facts) ?? []
        guard differences.isEmpty else {
            let lines = differences.map { "\(file.path): \($0)" }
            throw PluginError(lines.joined(separator: "\n"))
        }
        return library
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
