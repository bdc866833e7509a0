/// One key of the manifest: how its value is read, where it goes, and how it is explained.
///
/// The tables made of these are the only list of keys: the parser, the JSON Schema and the
/// reference are all driven by them. A default is not written here but read from the settings' own.
struct Key<Root>: Sendable {
    let description: KeyDescription
    let apply: @Sendable (Node, inout ManifestReader, inout Root) -> Void

    /// A key that sets one value; its default is that of `Root.defaults`.
    init<Value>(
        _ name: String,
        _ target: any WritableKeyPath<Root, Value> & Sendable,
        _ kind: ValueKind<Value>,
        _ note: String
    ) where Root: Defaulted {
        description = KeyDescription(
            name: name,
            form: kind.form,
            isRequired: false,
            defaultText: kind.text(Root.defaults[keyPath: target]),
            note: note
        )
        apply = { node, reader, root in
            if let value = kind.read(node, &reader) { root[keyPath: target] = value }
        }
    }

    /// A key that must be there.
    init<Value>(
        required name: String,
        _ target: any WritableKeyPath<Root, Value> & Sendable,
        _ kind: ValueKind<Value>,
        _ note: String
    ) {
        description = KeyDescription(
            name: name,
            form: kind.form,
            isRequired: true,
            defaultText: nil,
            note: note
        )
        apply = { node, reader, root in
            if let value = kind.read(node, &reader) { root[keyPath: target] = value }
        }
    }

    /// A key whose value is checked and used by the reader, but is not a setting.
    init<Value>(
        check name: String,
        _ kind: ValueKind<Value>,
        isRequired: Bool = false,
        default defaultText: String? = nil,
        _ note: String,
        use: @escaping @Sendable (Value, inout ManifestReader) -> Void = { _, _ in }
    ) {
        description = KeyDescription(
            name: name,
            form: kind.form,
            isRequired: isRequired,
            defaultText: defaultText,
            note: note
        )
        apply = { node, reader, _ in
            if let value = kind.read(node, &reader) { use(value, &reader) }
        }
    }

    /// A key that groups others of the same settings.
    init(group name: String, _ table: Table<Root>, _ note: String) {
        description = KeyDescription(
            name: name,
            form: .table(table.description),
            isRequired: false,
            defaultText: nil,
            note: note
        )
        apply = { node, reader, root in table.read(node, into: &root, &reader) }
    }
}

/// Settings whose defaults the tables may read.
protocol Defaulted: SendableMetatype {
    static var defaults: Self { get }
}

/// The keys of one object of the manifest.
struct Table<Root>: Sendable {
    let description: TableDescription
    private let keys: [Key<Root>]
    /// Keys that later versions will know: they get their own message.
    private let later: [String]
    private let check: (@Sendable (Node, Root, inout ManifestReader) -> Void)?

    /// - Parameter check: rules over several keys, run after all of them were read.
    init(
        _ id: String,
        at title: String,
        later: [String] = [],
        keys: [Key<Root>],
        check: (@Sendable (Node, Root, inout ManifestReader) -> Void)? = nil
    ) {
        description = TableDescription(id: id, title: title, keys: keys.map(\.description))
        self.keys = keys
        self.later = later
        self.check = check
    }

    func read(_ node: Node, into root: inout Root, _ reader: inout ManifestReader) {
        guard let members = reader.members(of: node, expected: "an object") else { return }
        var values: [String: Node] = [:]
        for member in members {
            if keys.contains(where: { $0.description.name == member.key }) {
                values[member.key] = member.value
            } else {
                refuse(member, &reader)
            }
        }
        for key in keys {
            let name = key.description.name
            if let value = values[name] {
                reader.inside(.key(name)) { key.apply(value, &$0, &root) }
            } else if key.description.isRequired {
                reader.inside(.key(name)) { $0.report("this key is missing", at: node) }
            }
        }
        check?(node, root, &reader)
    }

    private func refuse(_ member: Node.Member, _ reader: inout ManifestReader) {
        let message =
            if later.contains(member.key) {
                "not supported by this version of sluice"
            } else {
                "unknown key"
                    + reader.hint(for: member.key, among: keys.map(\.description.name))
            }
        reader.inside(.key(member.key)) { $0.report(message, offset: member.keyOffset) }
    }
}
