internal import Proxy
internal import Sys

extension PluginSettings: Defaulted {
    static var defaults: Self { PluginSettings(name: "", libraryPath: "") }
}

/// One entry of `plugins`.
extension Table where Root == PluginSettings {
    static let plugin = Table(
        "plugin",
        at: "plugins.NAME",
        later: ["timeout"],
        keys: [
            Key(
                required: "library",
                \.libraryPath,
                .library,
                "File of the shared library: a name in `plugin_dir`, or a path with a `/`, relative"
                    + " to the manifest's folder. A file that is not there is an error."
            ),
            Key(
                "sha256",
                \.sha256,
                .absent(
                    .parsed(Pattern.digestForm) { text, _ throws(Complaint) in
                        try Pattern.digest(text)
                    }
                ),
                "SHA-256 that the library's file must have; the output of `sha256sum`. Not checked"
                    + " when left out."
            ),
            Key(
                "on_error",
                \.onError,
                .onError,
                "What a failing hook means for its request: go on without the plugin (`\"open\"`),"
                    + " or answer with this status, 400 to 599."
            ),
            Key(
                "on_crash",
                \.onCrash,
                .words([
                    ("restart", .restart), ("quarantine", .quarantine), ("halt", .halt),
                ]),
                "What follows a crash in this plugin: serve again (`\"restart\"`), serve again"
                    + " without it, as `on_error` says (`\"quarantine\"`), or do not serve again"
                    + " (`\"halt\"`); see [failures.md](failures.md)."
            ),
            Key(group: "budgets", .pluginBudgets, "What the plugin may take."),
            Key(
                group: "circuit",
                .pluginCircuit,
                "When its faults take the plugin out of requests, by worker; see"
                    + " [failures.md](failures.md)."
            ),
            Key(
                "memory",
                \.memoryBytes,
                .size(65_536...(1 << 40)),
                "Bytes of buffers that the plugin may have from sluice at the same time. What it"
                    + " takes beyond is refused."
            ),
            Key(
                "unload",
                \.unload,
                .words(UnloadRule.allCases.map { ($0.rawValue, $0) }),
                "Whether the library's memory is given back when nobody uses it any more"
                    + " (`\"when_safe\"`), if the file qualifies: `sluice plugin inspect` tells"
                    + " ([why it may not](plugin-integrity.md#unmapping))."
            ),
            Key(
                "state",
                \.state,
                .words(StatePolicy.allCases.map { ($0.rawValue, $0) }),
                "What becomes of its own state (counters, tables) when a reload or a swap puts"
                    + " another instance in its place: it must move over (`\"require\"`), it moves"
                    + " where both can (`\"prefer\"`), or the new one begins empty (`\"discard\"`)."
            ),
            Key(
                "config",
                \.configuration,
                .configuration,
                "The plugin's own settings; its README names the keys. Checked against the schema"
                    + " that the library carries, which also fills in defaults."
            ),
        ]
    )
}

extension Table where Root == PluginSettings {
    private static let pluginBudgets = Table(
        "plugin_budgets",
        at: "plugins.NAME.budgets",
        keys: [
            Key(
                "hook",
                \.hookBudget,
                .orNone(.duration(1...60_000)),
                "Time of one call of a hook. Longer ones are logged, and count as faults. Looked at"
                    + " for a second after a turn of a worker's loop that took as long."
            ),
            Key(
                "control",
                \.controlBudget,
                .orNone(.duration(100...3_600_000)),
                "Time of one call outside of requests: making and ending an instance, its state,"
                    + " a balancer's table. An order whose call takes longer is refused, and what"
                    + " served before goes on; the call keeps its thread until it returns."
            ),
        ]
    )

    private static let pluginCircuit = Table(
        "plugin_circuit",
        at: "plugins.NAME.circuit",
        keys: [
            Key(
                "faults",
                \.circuit.faults,
                .orNone(.integer(1...1_000_000)),
                "Faults within `window` that are borne. More make the plugin suspect; as many"
                    + " again, one in at least every second request, open the circuit."
            ),
            Key(
                "window",
                \.circuit.window,
                .time,
                "The time in which faults are counted."
            ),
            Key(
                "retry",
                \.circuit.retry,
                .time,
                "How long requests do not pass the plugin. Then one tries it, and decides."
            ),
        ]
    )
}

extension ValueKind where Value == OnError {
    static let onError = ValueKind.parsed(
        Pattern.onErrorForm,
        text: { value in
            switch value {
            case .open: "\"open\""
            case .closed(let status): "\"closed:\(status)\""
            }
        },
        { text, _ throws(Complaint) in try Pattern.onError(text) }
    )
}

extension ValueKind where Value == ConfigurationValue {
    /// An object that is handed to a plugin as it is.
    static let configuration = ValueKind(
        form: .anyObject,
        text: { $0 == .object([]) ? "{}" : nil }
    ) { node, reader in
        guard case .object = node.content else {
            reader.report(expected: ValueForm.anyObject.expectedText, at: node)
            return nil
        }
        return reader.configuration(of: node)
    }
}

extension ManifestReader {
    /// The depth of recursion is that of the text, which its parser bounds.
    mutating func configuration(of node: Node) -> ConfigurationValue {
        switch node.content {
        case .null: return .null
        case .bool(let value): return .bool(value)
        case .integer(let value): return .integer(value)
        case .number(let value): return .number(value)
        case .string(let value): return .string(value)
        case .array(let elements):
            var values: [ConfigurationValue] = []
            for (index, element) in elements.enumerated() {
                values.append(inside(.index(index)) { $0.configuration(of: element) })
            }
            return .array(values)
        case .object:
            var members: [ConfigurationValue.Member] = []
            for member in self.members(of: node, expected: "an object") ?? [] {
                let value = inside(.key(member.key)) { $0.configuration(of: member.value) }
                members.append(.init(key: member.key, value: value))
            }
            return .object(members.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) })
        }
    }
}
