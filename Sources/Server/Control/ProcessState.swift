internal import PluginHost
internal import Proxy
internal import TLS

/// What a serving process gives to the one that takes its place: keys of TLS tickets, shared
/// tables, and what plugins export.
///
/// Bytes: the word `magic`, then parts, each a name, a key and a run; parts that a process does not
/// know are left out. They hold secrets: they go through memory alone, never through a file.
struct ProcessState {
    /// "sluice01".
    static let magic: UInt64 = 0x3130_6563_6975_6c73

    private enum Part {
        static let shared = "shared"
        static let sharedRest = "shared-rest"
        /// By listener.
        static let tickets = "tickets"
        /// By instance.
        static let plugin = "plugin"
        static let pluginRest = "plugin-rest"
    }

    private var parts: [String: [String: [UInt8]]] = [:]

    // MARK: The process that goes

    /// What the new process begins with. [control]
    ///
    /// - Returns: the bytes, and what could not be exported; a line each.
    static func export(_ running: Running) -> (bytes: [UInt8], problems: [String]) {
        var writer = StateWriter()
        var problems: [String] = []
        writer.number(magic)
        writer.part(Part.shared, "", SharedTables.exportAll())
        for place in running.settings.listeners.indices {
            guard let context = running.tls.listeners[place] else { continue }
            writer.part(
                Part.tickets,
                key(of: place, running.settings),
                context.exportTicketKeys()
            )
        }
        for plugin in running.plugins
        where plugin.settings.state != .discard && plugin.instance.exportsState {
            do throws(PluginError) {
                let bytes = try plugin.instance.exportState()
                writer.part(Part.plugin, plugin.settings.name, bytes)
            } catch {
                problems.append(error.description)
            }
        }
        return (writer.bytes, problems)
    }

    /// What was counted since, once no request is left and the workers have ended. [control]
    static func exportRest(_ running: Running) -> (bytes: [UInt8], problems: [String]) {
        var writer = StateWriter()
        var problems: [String] = []
        writer.number(magic)
        writer.part(Part.sharedRest, "", SharedTables.exportRest())
        for plugin in running.plugins where plugin.settings.state != .discard {
            guard let handover = plugin.instance.handover else { continue }
            do throws(PluginError) {
                let bytes = try handover.exportRest()
                if !bytes.isEmpty { writer.part(Part.pluginRest, plugin.settings.name, bytes) }
            } catch {
                problems.append(error.description)
            }
        }
        return (writer.bytes, problems)
    }

    // MARK: The process that comes

    /// Nil for bytes that are none of `export`.
    init?(_ bytes: [UInt8]) {
        var reader = StateReader(bytes)
        guard reader.number() == Self.magic else { return nil }
        while !reader.isAtEnd {
            guard let name = reader.text(), let key = reader.text(), let run = reader.run() else {
                return nil
            }
            parts[name, default: [:]][key] = run
        }
    }

    /// Before any plugin is made. [control]
    func importShared() -> Bool {
        guard let bytes = parts[Part.shared]?[""] else { return true }
        return SharedTables.importAll(bytes)
    }

    func importTickets(_ settings: ProxySettings, _ tls: TLSContexts) {
        for place in settings.listeners.indices {
            guard let keys = parts[Part.tickets]?[Self.key(of: place, settings)] else { continue }
            _ = tls.listeners[place]?.importTicketKeys(keys)
        }
    }

    /// What an instance of this name exported in the process before; nil when there is nothing.
    func state(of plugin: String) -> [UInt8]? { parts[Part.plugin]?[plugin] }

    /// Adds what the process before counted last; a line for each that could not be. [control]
    func importRest(_ running: Running) -> [String] {
        var problems: [String] = []
        if let bytes = parts[Part.sharedRest]?[""], !SharedTables.importRest(bytes) {
            problems.append("shared tables: what was counted last is not understood")
        }
        for (name, bytes) in parts[Part.pluginRest] ?? [:] {
            guard let taker = running.plugin(name)?.instance.handover else { continue }
            do throws(PluginError) {
                try taker.importRest(bytes)
            } catch {
                problems.append(error.description)
            }
        }
        return problems
    }

    private static func key(of place: Int, _ settings: ProxySettings) -> String {
        let key = ListenerKey(place, of: settings)
        return "\(key.address)#\(key.ordinal)"
    }
}

extension StateWriter {
    fileprivate mutating func part(_ name: String, _ key: String, _ bytes: [UInt8]) {
        text(name)
        text(key)
        run(bytes)
    }
}
