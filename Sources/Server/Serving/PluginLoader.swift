package import PluginHost
package import Proxy

/// Loads the libraries of a manifest and makes their instances.
package struct PluginLoader {
    /// What came of it: all instances, in the manifest's order, or every problem in a line.
    package struct Result {
        package var instances: [PluginInstance] { plugins.map(\.instance) }
        var plugins: [RunningPlugin] = []
        /// Those of them that were made now.
        var made: [PluginInstance] = []
        package var problems: [String] = []

        /// Undoes it: none of what was made is used.
        package func discard(_ tables: PlanTables? = nil) {
            for instance in made {
                instance.destroy()
                tables?.giveInstance(instance.index)
            }
            ImageRegistry.shared.sweep()
        }
    }

    private let settings: ProxySettings
    private let folder: String
    private let workerCount: Int
    private let tables: PlanTables?
    private let previous: Running?
    private let inherited: ProcessState?
    private let quarantine: [Quarantine]
    private let generation: UInt64
    private var libraries: [String: PluginLibrary]

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
        var loader = PluginLoader(
            settings,
            folder: folder,
            workerCount: workerCount,
            quarantine: quarantine,
            linked: linked
        )
        return loader.load()
    }

    /// - Parameters:
    ///   - tables: where instances get their places; nil numbers them from 0.
    ///   - previous: what is served now; an instance that would be made the same again stays.
    ///   - inherited: what the process before exported; nil when there was none.
    ///   - generation: of what is made, counted from 1.
    init(
        _ settings: ProxySettings,
        folder: String,
        workerCount: Int,
        quarantine: [Quarantine] = [],
        linked: [String: PluginLibrary] = [:],
        tables: PlanTables? = nil,
        previous: Running? = nil,
        inherited: ProcessState? = nil,
        generation: UInt64 = 1
    ) {
        self.settings = settings
        self.folder = folder
        self.workerCount = workerCount
        self.tables = tables
        self.previous = previous
        self.inherited = inherited
        self.quarantine = quarantine
        self.generation = generation
        libraries = linked
    }

    mutating func load() -> Result {
        let stage = PluginStage(
            settings,
            linked: Set(libraries.keys),
            present: previous?.plugins(trustedBy: settings) ?? []
        )
        var result = Result(problems: stage.problems)
        settings.announceUpstreams(and: previous?.settings)
        for entry in stage.entries where entry.isGood {
            let plugin = entry.settings
            let isAbsent = quarantine.contains { $0.holds(plugin, sha256: entry.sha256) }
            if let old = previous?.plugin(plugin.name), old.isAbsent == isAbsent,
                old.isSame(plugin, sha256: entry.sha256)
            {
                result.plugins.append(old)
                continue
            }
            do throws(PluginError) {
                let instance = try make(
                    entry,
                    isAbsent: isAbsent,
                    place: result.plugins.count
                )
                result.made.append(instance)
                var made = RunningPlugin(
                    settings: plugin,
                    sha256: entry.sha256,
                    version: entry.version,
                    descriptor: entry.descriptor,
                    instance: instance,
                    isAbsent: isAbsent
                )
                if !isAbsent { try inherit(&made) }
                result.plugins.append(made)
            } catch {
                let place = "plugins.\(plugin.name)"
                for line in error.description.split(separator: "\n") {
                    result.problems.append(line.hasPrefix(place) ? "\(line)" : "\(place): \(line)")
                }
            }
        }
        return result
    }

    /// Lets the library live in a process of its own first, where the manifest wants it.
    private func probe(_ entry: PluginStage.Entry) throws(PluginError) {
        let probe = settings.integrity.probe
        let isWanted = probe == .always || probe == .changes && previous != nil
        guard isWanted, !entry.sha256.isEmpty else { return }
        try PluginProbe.check(entry, settings, folder: folder, workerCount: workerCount)
    }

    private mutating func make(
        _ entry: PluginStage.Entry,
        isAbsent: Bool,
        place: Int
    ) throws(PluginError) -> PluginInstance {
        let plugin = entry.settings
        if !isAbsent { try probe(entry) }
        let library = isAbsent ? try AbsentPlugin.library() : try library(of: entry)
        let status = plugin.onError.status
        let index = if let tables { try tables.takeInstance() } else { place }
        do throws(PluginError) {
            return try PluginInstance(
                name: plugin.name,
                index: index,
                library: library,
                failureStatus: status,
                configuration: isAbsent
                    ? AbsentPlugin.configuration(status: status) : entry.configuration,
                folder: folder,
                workerCount: workerCount,
                logLevel: settings.logLevel.rawValue,
                memoryBytes: plugin.memoryBytes,
                guards: PluginGuards(plugin)
            )
        } catch {
            tables?.giveInstance(index)
            throw error
        }
    }

    /// The library of a file.
    ///
    /// Instances of one file share its code, as the dynamic linker would have it, also with those
    /// that run already.
    private mutating func library(
        of entry: PluginStage.Entry
    ) throws(PluginError) -> PluginLibrary {
        let path = entry.settings.libraryPath
        if let known = libraries[path] { return known }
        // That of a stand-in is another.
        if let same = previous?.plugins.first(where: {
            !$0.isAbsent && $0.sha256 == entry.sha256
        }) {
            return same.instance.library
        }
        guard let file = entry.file else { throw PluginError("no file") }
        let library = try Self.load(
            file,
            entry.descriptor,
            mayUnload: entry.settings.unload == .whenSafe,
            generation: generation
        )
        libraries[path] = library
        return library
    }

    /// Gives a new instance the state of the one whose place it takes.
    private func inherit(_ new: inout RunningPlugin) throws(PluginError) {
        let transfer = StateTransfer(new.settings.state)
        if let old = previous?.plugin(new.settings.name), !old.isAbsent {
            if try transfer.move(from: old.instance, to: new.instance) { new.lineage = old.lineage }
        } else if let bytes = inherited?.state(of: new.settings.name) {
            try transfer.move(bytes, to: new.instance)
        }
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

extension PluginGuards {
    fileprivate init(_ plugin: PluginSettings) {
        self.init(
            hookNanoseconds: UInt64(plugin.hookBudget) * 1_000_000,
            controlNanoseconds: UInt64(plugin.controlBudget) * 1_000_000,
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
