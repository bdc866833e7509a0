@testable import Server

/// The JSON Schema of the manifest, made from the table of keys.
struct SchemaDocument {
    private var definitions: [(String, JSONText)] = []

    static var text: String {
        var document = SchemaDocument()
        let top = document.object(of: Table.manifest.description)
        return JSONText.object(
            [
                ("$schema", .string("https://json-schema.org/draft/2020-12/schema")),
                ("title", .string("Manifest of sluice")),
            ] + top + [("$defs", .object(document.definitions))]
        ).written() + "\n"
    }

    private mutating func object(of table: TableDescription) -> [(String, JSONText)] {
        var properties: [(String, JSONText)] = []
        for key in table.keys {
            var members = schema(of: key.form)
            members.append(("description", .string(key.note)))
            if let text = key.defaultText { members.append(("default", .source(text))) }
            properties.append((key.name, .object(members)))
        }
        let required = table.keys.filter(\.isRequired).map { JSONText.string($0.name) }
        return [("type", .string("object")), ("properties", .object(properties))]
            + (required.isEmpty ? [] : [("required", .array(required))])
            + [("additionalProperties", .source("false"))]
    }

    private mutating func schema(of form: ValueForm) -> [(String, JSONText)] {
        switch form {
        case .integer(let range): return integer(range)
        case .duration: return [("type", .string("string")), ("pattern", pattern(durations))]
        case .size(let range):
            let text: [(String, JSONText)] = [
                ("type", .string("string")), ("pattern", pattern(sizes)),
            ]
            return [("anyOf", .array([.object(integer(range)), .object(text)]))]
        case .text(let form):
            return [("type", .string("string"))]
                + (form.pattern.map { [("pattern", .string($0))] } ?? [])
        case .words(let words): return [("enum", .array(words.map(JSONText.string)))]
        case .yes: return [("const", .source("true"))]
        case .anyObject: return [("type", .string("object"))]
        case .list(let element, let count):
            return [
                ("type", .string("array")), ("items", .object(schema(of: element))),
                ("minItems", .source("\(count.lowerBound)")),
                ("maxItems", .source("\(count.upperBound)")),
            ]
        case .map(let element, let keys, let count):
            return [
                ("type", .string("object")),
                ("propertyNames", .object(schema(of: .text(keys)).filter { $0.0 != "type" })),
                ("additionalProperties", .object(schema(of: element))),
                ("maxProperties", .source("\(count.upperBound)")),
            ]
        case .either(let forms):
            return [("anyOf", .array(forms.map { .object(schema(of: $0)) }))]
        case .table(let table): return [("$ref", .string(define(table)))]
        }
    }

    private mutating func define(_ table: TableDescription) -> String {
        if !definitions.contains(where: { $0.0 == table.id }) {
            let place = definitions.count
            definitions.append((table.id, .source("null")))
            definitions[place].1 = .object(object(of: table))
        }
        return "#/$defs/" + table.id
    }

    private func integer(_ range: ClosedRange<Int64>) -> [(String, JSONText)] {
        [
            ("type", .string("integer")), ("minimum", .source("\(range.lowerBound)")),
            ("maximum", .source("\(range.upperBound)")),
        ]
    }

    private var durations: [String] { Quantity.durationUnits.map(\.name) }
    private var sizes: [String] { Quantity.sizeUnits.map(\.name) }

    private func pattern(_ units: [String]) -> JSONText {
        .string("^[0-9]+(" + units.joined(separator: "|") + ")$")
    }
}

/// JSON that is written in the order it was made in.
indirect enum JSONText {
    case object([(String, JSONText)])
    case array([JSONText])
    case string(String)
    /// JSON as it stands.
    case source(String)

    func written(indent: String = "") -> String {
        let inner = indent + "  "
        switch self {
        case .source(let text): return text
        case .string(let text): return JSONText.quoted(text)
        case .array(let elements):
            if elements.isEmpty { return "[]" }
            let simple = elements.allSatisfy { if case .string = $0 { true } else { false } }
            if simple { return "[" + elements.map { $0.written() }.joined(separator: ", ") + "]" }
            return "[\n"
                + elements.map { inner + $0.written(indent: inner) }
                .joined(separator: ",\n") + "\n\(indent)]"
        case .object(let members):
            if members.isEmpty { return "{}" }
            return "{\n"
                + members.map { inner + JSONText.quoted($0.0) + ": " + $0.1.written(indent: inner) }
                .joined(separator: ",\n") + "\n\(indent)}"
        }
    }

    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": quoted += "\\" + String(scalar)
            case "\n": quoted += "\\n"
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
