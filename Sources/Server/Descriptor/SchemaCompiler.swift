internal import PluginHost

/// Makes a `Schema` of JSON, and refuses what is beyond the subset by its name.
struct SchemaCompiler {
    /// The dialect that `$schema` may name.
    static let dialect = "https://json-schema.org/draft/2020-12/schema"

    /// Keywords, for "did you mean".
    static let keywords = [
        "$comment", "$defs", "$ref", "$schema", "additionalProperties", "allOf", "anyOf", "const",
        "default", "description", "enum", "examples", "exclusiveMaximum", "exclusiveMinimum",
        "format", "items", "maxItems", "maxLength", "maxProperties", "maximum", "minItems",
        "minLength", "minProperties", "minimum", "multipleOf", "not", "oneOf", "properties",
        "required", "title", "type", "uniqueItems",
    ]

    /// Steps to the root of the schema.
    private let rootDepth: Int
    private var definitionNames: [String] = []
    /// Where references stand, and what they mean.
    private var references: [Place] = []
    /// Schemas with a default, which must fit them.
    private var defaults: [Place] = []

    private struct Place {
        var path: [ManifestReader.PathPart]
        var offset: Int
        var schema: Schema
    }

    /// Compiles a whole schema; nil after what is wrong with it was reported.
    static func compile(_ node: Node, _ reader: inout ManifestReader) -> CompiledSchema? {
        let before = reader.problemCount
        var compiler = SchemaCompiler(rootDepth: reader.path.count)
        if case .object(let members)? = node.member("$defs")?.content {
            compiler.definitionNames = members.map(\.key)
        }
        var document = CompiledSchema(root: compiler.schema(node, &reader))
        if let definitions = node.member("$defs") {
            reader.inside(.key("$defs")) { reader in
                document.definitions = compiler.properties(definitions, &reader).map(\.schema)
            }
        }
        guard reader.problemCount == before else { return nil }
        compiler.checkReferences(document, &reader)
        guard reader.problemCount == before else { return nil }
        compiler.checkDefaults(document, &reader)
        return reader.problemCount == before ? document : nil
    }

    // MARK: Schemas

    private mutating func schema(_ node: Node, _ reader: inout ManifestReader) -> Schema {
        let schema = Schema()
        if case .bool(let isAny) = node.content {
            schema.isNever = !isAny
            return schema
        }
        for member in reader.members(of: node, expected: "a schema") ?? [] {
            reader.inside(.key(member.key)) { reader in
                read(member, into: schema, &reader)
            }
        }
        if schema.defaultValue != nil {
            defaults.append(Place(path: reader.path, offset: node.offset, schema: schema))
        }
        if schema.reference != nil {
            references.append(Place(path: reader.path, offset: node.offset, schema: schema))
        }
        return schema
    }

    private mutating func read(
        _ member: Node.Member,
        into schema: Schema,
        _ reader: inout ManifestReader
    ) {
        let node = member.value
        switch member.key {
        case "title", "description", "$comment": _ = reader.string(node, .text(Self.textForm))
        case "examples": break
        case "$schema": readDialect(node, &reader)
        case "$defs":
            guard reader.path.count > rootDepth + 1 else { break }
            reader.report("stands only at the top of a schema", at: node)
        case "$ref": schema.reference = reference(node, &reader)
        case "type": schema.types = types(node, &reader)
        case "enum": schema.allowed = values(node, &reader)
        case "const": schema.allowed = [reader.configuration(of: node).node]
        case "default": schema.defaultValue = reader.configuration(of: node).node
        case "format": schema.format = format(node, &reader)
        case "minimum": schema.minimum = number(node, &reader)
        case "maximum": schema.maximum = number(node, &reader)
        case "exclusiveMinimum": schema.exclusiveMinimum = number(node, &reader)
        case "exclusiveMaximum": schema.exclusiveMaximum = number(node, &reader)
        case "multipleOf": schema.multipleOf = count(node, from: 1, &reader).map(Int64.init)
        case "minLength": schema.length.min = count(node, &reader)
        case "maxLength": schema.length.max = count(node, &reader)
        case "minItems": schema.itemCount.min = count(node, &reader)
        case "maxItems": schema.itemCount.max = count(node, &reader)
        case "minProperties": schema.propertyCount.min = count(node, &reader)
        case "maxProperties": schema.propertyCount.max = count(node, &reader)
        case "uniqueItems": schema.areItemsUnique = flag(node, &reader)
        case "items": schema.items = self.schema(node, &reader)
        case "properties": schema.properties = properties(node, &reader)
        case "required": schema.required = names(node, &reader)
        case "additionalProperties": schema.additionalProperties = self.schema(node, &reader)
        case "allOf": schema.allOf = schemas(node, &reader)
        case "anyOf": schema.anyOf = schemas(node, &reader)
        case "oneOf": schema.oneOf = schemas(node, &reader)
        case "not": schema.not = self.schema(node, &reader)
        default:
            let hint = reader.hint(for: member.key, among: Self.keywords)
            reader.report(
                "schemas of sluice do not have the keyword \(quote(member.key))\(hint)",
                offset: member.keyOffset
            )
        }
    }

    private mutating func properties(
        _ node: Node,
        _ reader: inout ManifestReader
    ) -> [(name: String, schema: Schema)] {
        (reader.members(of: node, expected: "an object") ?? []).map { member in
            let property = reader.inside(.key(member.key)) { reader in
                schema(member.value, &reader)
            }
            return (member.key, property)
        }
    }

    private mutating func schemas(_ node: Node, _ reader: inout ManifestReader) -> [Schema] {
        guard case .array(let elements) = node.content, !elements.isEmpty else {
            reader.report("expected a list of schemas", at: node)
            return []
        }
        return elements.enumerated().map { index, element in
            reader.inside(.index(index)) { schema(element, &$0) }
        }
    }

    // MARK: Keywords

    private static let textForm = TextForm("string", expected: "a string")

    private func readDialect(_ node: Node, _ reader: inout ManifestReader) {
        guard node.content != .string(Self.dialect) else { return }
        reader.report("expected \(quote(Self.dialect))", at: node)
    }

    private func reference(_ node: Node, _ reader: inout ManifestReader) -> Schema.Reference? {
        guard let text = reader.string(node, .text(Self.textForm)) else { return nil }
        if text == "#" { return .root }
        let prefix = "#/$defs/"
        let name = text.hasPrefix(prefix) ? String(text.dropFirst(prefix.count)) : nil
        if let name, let index = definitionNames.firstIndex(of: name) { return .definition(index) }
        reader.report(
            name.map {
                "\(quote(text)): there is no such definition"
                    + reader.hint(for: $0, among: definitionNames)
            }
                ?? "\(quote(text)): only \"#\" and \"#/$defs/NAME\" can be referred to",
            at: node
        )
        return nil
    }

    private func types(_ node: Node, _ reader: inout ManifestReader) -> ValueTypes? {
        var types: ValueTypes = []
        for element in node.elements.isEmpty ? [node] : node.elements {
            guard case .string(let name) = element.content,
                let type = ValueTypes.names.first(where: { $0.name == name })?.type
            else {
                let names = ValueTypes.names.map { quote($0.name) }.joined(separator: ", ")
                reader.report("expected one of \(names), or a list of them", at: element)
                return nil
            }
            types.insert(type)
        }
        return types
    }

    private func values(
        _ node: Node,
        _ reader: inout ManifestReader
    ) -> [ConfigurationTree.Node]? {
        guard !node.elements.isEmpty else {
            reader.report("expected a list of values", at: node)
            return nil
        }
        return node.elements.map { reader.configuration(of: $0).node }
    }

    private func format(_ node: Node, _ reader: inout ManifestReader) -> ValueFormat? {
        guard let name = reader.string(node, .text(Self.textForm)) else { return nil }
        if let format = ValueFormat(rawValue: name) { return format }
        let names = ValueFormat.allCases.map(\.rawValue)
        reader.report(
            "schemas of sluice do not have the format \(quote(name)); there are "
                + names.joined(separator: ", "),
            at: node
        )
        return nil
    }

    private func number(_ node: Node, _ reader: inout ManifestReader) -> SchemaNumber? {
        switch node.content {
        case .integer(let value): return .integer(value)
        case .number(let value): return .real(value)
        default:
            reader.report(expected: "a number", at: node)
            return nil
        }
    }

    private func count(
        _ node: Node,
        from least: Int = 0,
        _ reader: inout ManifestReader
    ) -> Int? {
        if case .integer(let value) = node.content, value >= Int64(least) { return Int(value) }
        reader.report("expected a whole number, \(least) or more", at: node)
        return nil
    }

    private func flag(_ node: Node, _ reader: inout ManifestReader) -> Bool {
        if case .bool(let value) = node.content { return value }
        reader.report(expected: "true or false", at: node)
        return false
    }

    private func names(_ node: Node, _ reader: inout ManifestReader) -> [String] {
        let list = ValueKind<[String]>.list(of: .parsed(Self.textForm) { text, _ in text }, 0...256)
        return list.read(node, &reader) ?? []
    }

    // MARK: Rules of the whole

    /// Reports references that lead to themselves without a value in between.
    private func checkReferences(_ document: CompiledSchema, _ reader: inout ManifestReader) {
        for place in references {
            var seen: Set<ObjectIdentifier> = []
            guard reaches(place.schema, from: place.schema, document, &seen) else { continue }
            reader.report("refers to itself", at: place.path, offset: place.offset)
            return
        }
    }

    /// Whether checking a value by one schema has the same value checked by another.
    private func reaches(
        _ target: Schema,
        from schema: Schema,
        _ document: CompiledSchema,
        _ seen: inout Set<ObjectIdentifier>
    ) -> Bool {
        var next = schema.allOf + schema.anyOf + schema.oneOf
        if let not = schema.not { next.append(not) }
        switch schema.reference {
        case .root: next.append(document.root)
        case .definition(let index): next.append(document.definitions[index])
        case nil: break
        }
        return next.contains { schema in
            guard schema !== target else { return true }
            guard seen.insert(ObjectIdentifier(schema)).inserted else { return false }
            return reaches(target, from: schema, document, &seen)
        }
    }

    /// Reports defaults that do not fit their own schema.
    private func checkDefaults(_ document: CompiledSchema, _ reader: inout ManifestReader) {
        for place in defaults {
            guard var value = place.schema.defaultValue else { continue }
            var check = SchemaCheck(document)
            check.check(&value, place.schema)
            for problem in check.problems {
                reader.report(
                    problem.line,
                    at: place.path + [.key("default")],
                    offset: place.offset
                )
            }
        }
    }
}
