import SluiceSDK

/// Status, fields and body of the answer.
struct Answer {
    /// Bytes of a file: it is kept in memory.
    static let fileBytesMax = 1_048_576
    /// Bytes of a body with placeholders: it is built in the request's memory, of which all plugins
    /// together have 64 KiB.
    static let templateBytesMax = 16_384
    /// Fields; each is an edit, for which the host's room is bounded.
    static let fieldsMax = 32

    private struct Field {
        let name: FieldName
        let value: Template
    }

    let status: Int
    private let fields: List<Field>
    private let contentType: Bytes?
    private let body: Template
    // A file's bytes are sent as they are.
    private let file: Bytes?

    init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        status = try configuration.integer("status", in: 200...599) ?? 200
        fields = try Answer.readFields(configuration, host)
        body = try Answer.readBody(configuration, host)
        file = try Answer.readFile(configuration, host)
        let hasText = try configuration.member("body") != nil
        if let path = try configuration.member("body_file"), hasText {
            throw path.error("\"body\" is given already")
        }
        let hasBody = hasText || file != nil
        if hasBody && (status == 204 || status == 205 || status == 304) {
            throw PluginError(
                path: hasText ? "body" : "body_file",
                "an answer with status \(status) has no body"
            )
        }
        let type = try configuration.member("content_type")
        let given = try type?.string()
        if let type, let given, !given.isFieldValue || given.isEmpty {
            throw type.error("no value of a field")
        }
        if let type, fields.contains(where: { $0.name.id == .contentType }) {
            throw type.error("Content-Type is among \"headers\" already")
        }
        let isNamed = fields.contains { $0.name.id == .contentType }
        let usual: Bytes? =
            hasText ? "text/plain; charset=utf-8" : file != nil ? "application/octet-stream" : nil
        contentType = given ?? (isNamed ? nil : usual)
    }

    func give(_ exchange: borrowing Exchange<RespondFilter>) -> Verdict {
        let edits = exchange.replyEdits
        if let contentType { edits.append(.contentType, contentType) }
        for field in fields { edits.append(field.name, field.value.value(exchange)) }
        if let file { return exchange.respond(status: status, body: file) }
        return exchange.respond(status: status, body: replyBody(exchange))
    }

    /// The body, which has to outlive the hook: a text of the configuration does, and so does
    /// memory of the request, but a single placeholder's value is the host's.
    private func replyBody(_ exchange: borrowing Exchange<RespondFilter>) -> Bytes {
        let value = body.value(exchange)
        guard body.isSinglePlaceholder, !value.isEmpty else { return value }
        var writer = exchange.writer(capacity: value.count)
        writer.append(value)
        return writer.bytes
    }

    private static func readFields(
        _ configuration: ConfigurationValue,
        _ host: Host
    ) throws(PluginError) -> List<Field> {
        guard let headers = try configuration.member("headers") else { return host.memory.list([]) }
        var fields: [Field] = []
        if headers.isObject {
            for member in try headers.members() {
                fields.append(try read(member.key, member.value, at: member.value, host))
            }
        } else {
            for entry in try headers.array() {
                let name = try entry.required("name")
                fields.append(try read(name.string(), entry.required("value"), at: name, host))
            }
        }
        guard fields.count <= fieldsMax else {
            throw headers.error("\(fields.count) fields, but there is room for \(fieldsMax)")
        }
        return host.memory.list(fields)
    }

    private static func read(
        _ name: Bytes,
        _ value: ConfigurationValue,
        at place: ConfigurationValue,
        _ host: Host
    ) throws(PluginError) -> Field {
        let name = try place.naming { () throws(PluginError) in try FieldName(named: name) }
        let text = try value.string()
        guard text.isFieldValue else { throw value.error("has a control character") }
        let template = try value.naming { () throws(PluginError) in
            try Template(text, allowing: placeholders, in: host.memory)
        }
        return Field(name: name, value: template)
    }

    private static func readBody(
        _ configuration: ConfigurationValue,
        _ host: Host
    ) throws(PluginError) -> Template {
        guard let value = try configuration.member("body") else {
            return try Template("", allowing: [], in: host.memory)
        }
        let text = try value.string()
        let template = try value.naming { () throws(PluginError) in
            try Template(text, allowing: placeholders, in: host.memory)
        }
        guard template.isConstant || text.count <= templateBytesMax else {
            throw value.error("longer than \(templateBytesMax) bytes, with placeholders")
        }
        return template
    }

    private static func readFile(
        _ configuration: ConfigurationValue,
        _ host: Host
    ) throws(PluginError) -> Bytes? {
        guard let value = try configuration.member("body_file") else { return nil }
        // Without a folder the configuration is only checked; an empty body stands for the file.
        guard let path = try host.path(value.string()) else { return .empty }
        return try value.naming { () throws(PluginError) in
            try host.memory.contents(of: path, limit: fileBytesMax)
        }
    }
}
