internal import CAccessLog
import SluiceSDK

/// Reads the keys that say what a line looks like.
struct FormatReader {
    /// Bytes of a template.
    static let templateBytesMax = 8_192
    /// Variables of a line.
    static let itemsMax = 128
    /// Fields of a response that a line may have.
    static let responseFieldsMax = 16
    /// Names of `redact_query` and of `sensitive`.
    static let namesMax = 64

    /// nginx's "combined", and the common log format that it begins with.
    static let common: StaticString =
        "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent"
    static let combined: StaticString =
        """
        $remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent \
        "$http_referer" "$http_user_agent"
        """
    /// What `fields` has when it is not set.
    static let fields: [StaticString] = [
        "time_iso8601", "remote_addr", "request_method", "host", "request_uri", "server_protocol",
        "status", "body_bytes_sent", "request_length", "request_time", "http_referer",
        "http_user_agent", "route", "upstream", "upstream_addr", "upstream_status",
        "upstream_response_time", "attempts", "outcome", "answered_by", "reason", "trace_id",
    ]

    let host: Host
    /// Variables that are shown although they hold credentials.
    let sensitive: [Bytes]
    private var items: [Item] = []
    private var responseFields: [FieldName] = []
    /// Names of variables that `sensitive` has, too.
    private var shown: [Bytes] = []

    /// - Parameter needsTarget: a condition is about the request's path.
    /// - Throws: what is wrong with a key.
    static func read(
        _ configuration: ConfigurationValue,
        _ host: Host,
        needsTarget: Bool
    ) throws(PluginError) -> LineFormat {
        let sensitive = try FormatReader.names(configuration, "sensitive")
        var reader = FormatReader(host: host, sensitive: sensitive)
        let word = try configuration.string("format") ?? "json"
        let isTemplate = word == "template"
        if !isTemplate, let stray = try configuration.member("template") {
            throw stray.error("is of no use without \"format\": \"template\"")
        }
        if !isTemplate, let stray = try configuration.member("escape") {
            throw stray.error("is of no use without \"format\": \"template\"")
        }
        if word != "json", let stray = try configuration.member("fields") {
            throw stray.error("is of no use without \"format\": \"json\"")
        }
        var escape = LineWriter.Escape.text
        var tail = Bytes.empty
        if word == "json" {
            escape = .json
            tail = try reader.readFields(configuration)
        } else if isTemplate {
            let template = try configuration.required("template")
            escape = try FormatReader.escape(configuration)
            tail = try template.naming { () throws(PluginError) in
                try reader.compile(try template.string())
            }
        } else if word == "common" || word == "combined" {
            tail = try reader.compile(Bytes(word == "common" ? common : combined))
        } else {
            throw PluginError(
                path: "format",
                "one of \"json\", \"common\", \"combined\" and \"template\" is wanted"
            )
        }
        try reader.checkSensitive(configuration)
        return try reader.format(
            tail,
            needsTarget: needsTarget,
            isJSON: word == "json",
            escape,
            redacted: try FormatReader.names(configuration, "redact_query")
        )
    }

    private init(host: Host, sensitive: [Bytes]) {
        self.host = host
        self.sensitive = sensitive
    }

    private static func escape(
        _ configuration: ConfigurationValue
    ) throws(PluginError) -> LineWriter.Escape {
        switch try configuration.string("escape") ?? "text" {
        case "text": .text
        case "json": .json
        default: throw PluginError(path: "escape", "\"text\" or \"json\" is wanted")
        }
    }

    static func names(
        _ configuration: ConfigurationValue,
        _ key: StaticString
    ) throws(PluginError) -> [Bytes] {
        var names: [Bytes] = []
        for value in try configuration.array(key) {
            let name = try value.string()
            if name.isEmpty { throw value.error("a name is wanted") }
            guard names.count < namesMax else {
                throw value.error("there are more than \(namesMax)")
            }
            names.append(name)
        }
        return names
    }

    private func format(
        _ tail: Bytes,
        needsTarget: Bool,
        isJSON: Bool,
        _ escape: LineWriter.Escape,
        redacted: [Bytes]
    ) throws(PluginError) -> LineFormat {
        var layout = Record.Layout()
        layout.hasAttempts = items.contains { $0.variable.isOfAttempts }
        layout.hasTarget = needsTarget || items.contains { $0.variable.isOfTarget }
        layout.fieldCount = responseFields.count
        return LineFormat(
            items: host.memory.list(items),
            tail: tail,
            isJSON: isJSON,
            escape: escape,
            layout: layout,
            responseFields: host.memory.list(responseFields),
            redacted: host.memory.list(redacted),
            requestBegin: try host.bytesAttribute("sluice.request_begin"),
            traceID: try host.bytesAttribute("trace.id"),
            hostname: FormatReader.hostname(host),
            processID: UInt64(accesslog_pid())
        )
    }

    /// The machine's name; "-" where it has none.
    static func hostname(_ host: Host) -> Bytes {
        var room = [CChar](repeating: 0, count: 256)
        let count = Int(accesslog_hostname(&room, UInt64(room.count)))
        let bytes = room[..<count].map { UInt8(bitPattern: $0) }
        if count == 0 { return LineFormat.absent }
        return host.memory.copy(String(decoding: bytes, as: UTF8.self))
    }

    // MARK: JSON

    private mutating func readFields(
        _ configuration: ConfigurationValue
    ) throws(PluginError) -> Bytes {
        var given: [(text: Bytes, value: ConfigurationValue?)] = []
        if let list = try configuration.member("fields") {
            for value in try list.array() { given.append((try value.string(), value)) }
            if given.isEmpty { throw list.error("at least one field is wanted") }
        } else {
            given = FormatReader.fields.map { (Bytes($0), nil) }
        }
        var names: [Bytes] = []
        for (text, value) in given {
            do throws(PluginError) {
                try addField(text, &names)
            } catch {
                throw value?.error(error.message) ?? error
            }
        }
        return "}"
    }

    /// `variable`, or `name=variable`.
    private mutating func addField(_ text: Bytes, _ names: inout [Bytes]) throws(PluginError) {
        let equals = text.firstIndex(of: UInt8(ascii: "="))
        let name = text[0..<(equals ?? text.count)]
        let variable = equals.map { text[$0 + 1..<text.count] } ?? text
        guard !name.isEmpty, LineWriter.plainRun(name.start, name.count) == name.count else {
            throw PluginError("a name of visible characters without quotation marks is wanted")
        }
        guard !names.contains(name) else {
            throw PluginError("\"\(String(name))\" is there already")
        }
        let literal = host.memory.join([names.isEmpty ? "{\"" : ",\"", name, "\":"])
        names.append(name)
        try add(variable, literal)
    }

    // MARK: Templates

    /// Compiles a text with `$name` and `${name}`.
    ///
    /// - Returns: what stands behind the last variable.
    private mutating func compile(_ text: Bytes) throws(PluginError) -> Bytes {
        guard text.count <= FormatReader.templateBytesMax, !text.isEmpty else {
            throw PluginError("1 to \(FormatReader.templateBytesMax) bytes are wanted")
        }
        for offset in text.indices where text[offset] < 0x20 && text[offset] != 0x09 {
            throw PluginError("a control character would divide the line")
        }
        var start = 0
        while let offset = text[start..<text.count].firstIndex(of: UInt8(ascii: "$")) {
            let dollar = start + offset
            let (name, end) = try FormatReader.variable(text, after: dollar)
            try add(name, text[start..<dollar])
            start = end
        }
        return text[start..<text.count]
    }

    private static func variable(
        _ text: Bytes,
        after dollar: Int
    ) throws(PluginError) -> (name: Bytes, end: Int) {
        var at = dollar + 1
        if at < text.count, text[at] == UInt8(ascii: "{") {
            let rest = text[at + 1..<text.count]
            guard let close = rest.firstIndex(of: UInt8(ascii: "}")) else {
                throw PluginError("\"${\" is not closed")
            }
            return (rest[0..<close], at + close + 2)
        }
        while at < text.count, isNameByte(text[at]) { at += 1 }
        guard at > dollar + 1 else { throw PluginError("\"$\" without a name") }
        return (text[dollar + 1..<at], at)
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}

// MARK: Variables

extension FormatReader {
    private mutating func add(_ name: Bytes, _ literal: Bytes) throws(PluginError) {
        guard items.count < FormatReader.itemsMax else {
            throw PluginError("there are more than \(FormatReader.itemsMax) variables")
        }
        var item = Item(literal: literal, variable: .pid)
        item.showsSecrets = sensitive.contains(name)
        if item.showsSecrets { shown.append(name) }
        if let known = Variable.allCases.first(where: { !$0.isFamily && Bytes($0.name) == name }) {
            item.variable = known
        } else {
            try complete(&item, name)
        }
        items.append(item)
    }

    /// A variable whose name goes on behind what its family begins with.
    private mutating func complete(_ item: inout Item, _ name: Bytes) throws(PluginError) {
        let families = Variable.allCases.filter { $0.isFamily }
        guard let family = families.first(where: { name.hasPrefix(Bytes($0.name)) }),
            name.count > Bytes(family.name).count
        else { throw FormatReader.unknown(name) }
        item.variable = family
        let rest = name.dropFirst(Bytes(family.name).count)
        switch family {
        case .requestField, .responseField:
            item.field = try FieldName(reading: FormatReader.fieldName(rest, host))
            let secret = FormatReader.isSecret(item.field)
            if secret, !item.showsSecrets { throw FormatReader.secret(name) }
            if family == .requestField, item.field.id == .host { item.variable = .host }
            if family == .responseField { item.place = try place(of: item.field) }
        case .cookie:
            guard rest.isToken else {
                throw PluginError("no name of a cookie: \"\(String(rest))\"")
            }
            item.name = rest
            if !item.showsSecrets { throw FormatReader.secret(name) }
        case .attribute: item.bytesAttribute = try host.bytesAttribute(rest)
        default: item.numberAttribute = try host.numberAttribute(rest)
        }
    }

    private mutating func place(of field: FieldName) throws(PluginError) -> UInt8 {
        if let known = responseFields.firstIndex(of: field) { return UInt8(known) }
        guard responseFields.count < FormatReader.responseFieldsMax else {
            throw PluginError(
                "there are more than \(FormatReader.responseFieldsMax) fields of the response"
            )
        }
        responseFields.append(field)
        return UInt8(responseFields.count - 1)
    }

    /// `user_agent` is `user-agent`.
    private static func fieldName(_ name: Bytes, _ host: Host) -> Bytes {
        var text = ""
        for offset in name.indices {
            let byte = name[offset]
            text.unicodeScalars.append(Unicode.Scalar(byte == UInt8(ascii: "_") ? 0x2D : byte))
        }
        return host.memory.copy(text)
    }

    /// Fields whose values are credentials.
    private static func isSecret(_ field: FieldName) -> Bool {
        switch field.id {
        case .authorization, .proxyAuthorization, .cookie, .setCookie: true
        default: false
        }
    }

    private static func secret(_ name: Bytes) -> PluginError {
        let name = String(name)
        return PluginError("$\(name) holds credentials; to log it, name it in \"sensitive\"")
    }

    private static func unknown(_ name: Bytes) -> PluginError {
        let text = String(name)
        if let near = name.nearest(among: Variable.names) {
            return PluginError("unknown variable $\(text); did you mean $\(near)?")
        }
        return PluginError("unknown variable $\(text)")
    }

    /// Names in `sensitive` that no line has are slips.
    private func checkSensitive(_ configuration: ConfigurationValue) throws(PluginError) {
        for value in try configuration.array("sensitive") {
            let name = try value.string()
            guard shown.contains(name) else {
                throw value.error("no variable $\(String(name)) is in the line")
            }
        }
    }
}
