internal import PluginHost

extension Descriptor: Defaulted {
    static var defaults: Self { Descriptor() }
}

/// The keys of a descriptor.
extension Table where Root == Descriptor {
    /// Names in a list of a descriptor.
    private static var namesMax: Int { 64 }

    static let descriptor = Table(
        "descriptor",
        at: "descriptor",
        keys: [
            Key(required: "abi", \.abi, .abi, "The least ABI that the library works with."),
            Key(required: "id", \.id, .descriptorWord, "As in the handshake."),
            Key(required: "version", \.version, .descriptorWord, "As in the handshake."),
            Key("description", \.summary, .descriptorLine, "One line."),
            Key("hooks", \.hooks, .absent(.phases), "Phases that its instances may hook."),
            Key(
                "roles",
                \.roles,
                .absent(.list(of: .descriptorWord, 0...namesMax)),
                "Role tables that its instances offer."
            ),
            Key(
                "required",
                \.required,
                .absent(.list(of: .descriptorWord, 0...namesMax)),
                "Host tables that it can't do without."
            ),
            Key(
                "optional",
                \.optional,
                .list(of: .descriptorWord, 0...namesMax),
                "Host tables that it uses where they are there."
            ),
            Key(group: "attributes", .attributes, "Attributes of requests."),
            Key("config", \.schema, .schema, "JSON Schema of an instance's configuration."),
        ]
    )

    private static let attributes = Table(
        "attributes",
        at: "descriptor.attributes",
        keys: [
            Key(
                "produces",
                \.produces,
                .list(of: .attribute, 0...namesMax),
                "Attributes that it sets."
            ),
            Key(
                "consumes",
                \.consumes,
                .list(of: .attribute, 0...namesMax),
                "Attributes that a plugin before it must set."
            ),
        ]
    )
}

extension ValueKind where Value == Descriptor.ABI {
    fileprivate static let abi = ValueKind.parsed(
        .init("ABI", expected: "a version of the plugin ABI such as \"0.2\"")
    ) { text, _ throws(Complaint) in
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, !text.contains("+"), let major = UInt32(parts[0]),
            let minor = UInt32(parts[1])
        else {
            throw Complaint(
                "expected a version of the plugin ABI such as \"0.2\", found \(quote(text))"
            )
        }
        return Descriptor.ABI(major: major, minor: minor)
    }
}

extension ValueKind where Value == String {
    /// Bytes of a name in a descriptor.
    private static var wordBytesMax: Int { 100 }
    /// Bytes of an attribute's name (`host.h`).
    private static var attributeBytesMax: Int { 64 }

    /// An id or a version: visible ASCII.
    fileprivate static let descriptorWord = word(bytesMax: wordBytesMax)

    fileprivate static let attribute = word(bytesMax: attributeBytesMax)

    /// A text in one line.
    fileprivate static let descriptorLine = ValueKind.parsed(
        .init("string", expected: "a string")
    ) { text, _ throws(Complaint) in
        guard text.unicodeScalars.allSatisfy({ $0.properties.generalCategory != .control }) else {
            throw Complaint("expected one line")
        }
        return text
    }

    private static func word(bytesMax: Int) -> ValueKind {
        .parsed(.init("string", expected: "a string")) { text, _ throws(Complaint) in
            guard 1...bytesMax ~= text.utf8.count, text.utf8.allSatisfy({ 0x21...0x7E ~= $0 })
            else {
                throw Complaint(
                    "expected 1 to \(bytesMax) visible characters of ASCII, found \(quote(text))"
                )
            }
            return text
        }
    }
}

extension ValueKind where Value == [String] {
    /// Names of phases.
    fileprivate static let phases = ValueKind.list(of: .phase, 0...Phase.names.count)
}

extension ValueKind where Value == String {
    fileprivate static let phase = ValueKind.parsed(
        .init("phase", expected: "the name of a phase")
    ) { text, reader throws(Complaint) in
        if Phase.names.contains(text) { return text }
        throw Complaint(
            "there is no hook \(quote(text))"
                + reader.hint(for: text, among: Phase.names)
        )
    }
}

extension ValueKind where Value == CompiledSchema? {
    fileprivate static let schema = ValueKind(form: .anyObject, text: { _ in nil }) {
        node,
        reader in
        guard case .object = node.content else {
            reader.report(expected: "a schema", at: node)
            return nil
        }
        // Two levels: what was wrong is reported, so nothing is set.
        return SchemaCompiler.compile(node, &reader).map { .some($0) }
    }
}
