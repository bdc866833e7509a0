import SluiceSDK

/// What an instance does, read from its configuration.
package struct TracingConfiguration: BitwiseCopyable {
    /// How responses say which trace they belong to.
    struct ResponseFields: OptionSet, BitwiseCopyable {
        let rawValue: UInt8
        /// `traceresponse` (W3C Trace Context, level 2).
        static var traceResponse: ResponseFields { ResponseFields(rawValue: 1) }
        /// `Server-Timing: traceparent;desc="…"`, which scripts of a page can read.
        static var serverTiming: ResponseFields { ResponseFields(rawValue: 2) }
    }

    static let networksMax = 256
    static let resourcesMax = 32
    static let textBytesMax = 256
    static let nanosecondsMax = 3_600_000_000_000

    let ratio: SamplingRatio
    let parent: ParentRule
    /// Networks whose parents are followed; nil for all.
    let trusted: List<IPBlock>?
    let exportsErrors: Bool
    /// Nanoseconds from which on a request is slow; 0 for never.
    let slow: UInt64
    /// Nanoseconds from which on a call of a hook is slow; 0 for never.
    let slowHook: UInt64
    let readsB3: Bool
    let response: ResponseFields
    let query: QueryRule
    let export: ExportSettings

    init(_ value: ConfigurationValue, _ host: Host) throws(PluginError) {
        try value.allowKeys([
            "collector", "path", "encoding", "headers", "timeout", "service", "resource",
            "sampling", "slow_hook", "b3", "response", "query", "redact", "batch",
        ])
        export = try ExportSettings(value, host)
        let sampling = try value.member("sampling")
        try sampling?.allowKeys(["ratio", "parent", "trusted", "on_error", "slow"])
        ratio = SamplingRatio(try Self.ratio(sampling))
        parent = try Self.parent(sampling)
        trusted = try Self.trusted(sampling, host)
        exportsErrors = try sampling?.bool("on_error") ?? true
        slow = UInt64(
            try sampling?.duration("slow", in: 1_000_000...Self.nanosecondsMax) ?? 0
        )
        slowHook = UInt64(
            try value.duration("slow_hook", in: 0...Self.nanosecondsMax) ?? 1_000_000
        )
        readsB3 = try value.bool("b3") ?? false
        response = try Self.response(value)
        query = try Self.query(value, host)
    }

    /// Whether a client's parent is followed.
    func trusts(_ client: IPAddress?) -> Bool {
        guard let trusted else { return true }
        // Who comes by a Unix socket has been let in by its permissions.
        guard let client else { return true }
        for block in trusted where block.contains(client) { return true }
        return false
    }

    private static func ratio(_ sampling: ConfigurationValue?) throws(PluginError) -> Double {
        guard let value = try sampling?.member("ratio") else { return 1 }
        let ratio = try value.number()
        guard ratio >= 0, ratio <= 1 else { throw value.error("is not within 0 to 1") }
        return ratio
    }

    private static func parent(_ sampling: ConfigurationValue?) throws(PluginError) -> ParentRule {
        guard let value = try sampling?.member("parent") else { return .follow }
        switch try value.string() {
        case "follow": return .follow
        case "ratio": return .ratio
        case "restart": return .restart
        default: throw value.error("one of \"follow\", \"ratio\", \"restart\" is wanted")
        }
    }

    private static func trusted(
        _ sampling: ConfigurationValue?,
        _ host: Host
    ) throws(PluginError) -> List<IPBlock>? {
        guard let value = try sampling?.member("trusted") else { return nil }
        var blocks: [IPBlock] = []
        for network in try value.array() {
            guard blocks.count < networksMax else {
                throw value.error("more than \(networksMax) networks")
            }
            blocks.append(
                try network.naming { () throws(PluginError) in try IPBlock(network.string()) }
            )
        }
        return host.memory.list(blocks)
    }

    private static func response(_ value: ConfigurationValue) throws(PluginError) -> ResponseFields
    {
        var fields: ResponseFields = []
        for word in try value.array("response") {
            switch try word.string() {
            case "traceresponse": fields.insert(.traceResponse)
            case "server_timing": fields.insert(.serverTiming)
            default: throw word.error("one of \"traceresponse\", \"server_timing\" is wanted")
            }
        }
        return fields
    }

    private static func query(
        _ value: ConfigurationValue,
        _ host: Host
    ) throws(PluginError) -> QueryRule {
        var kind = QueryRule.Kind.redact
        if let word = try value.member("query") {
            switch try word.string() {
            case "redact": kind = .redact
            case "keep": kind = .keep
            case "drop": kind = .drop
            default: throw word.error("one of \"redact\", \"keep\", \"drop\" is wanted")
            }
        }
        var names = QueryRule.wellKnown
        if let list = try value.member("redact") {
            guard kind == .redact else { throw list.error("goes with query \"redact\"") }
            let more = try list.array()
            guard more.count <= QueryRule.namesMax else {
                throw list.error("more than \(QueryRule.namesMax) names")
            }
            for name in more {
                let text = try name.string()
                guard !text.isEmpty else { throw name.error("is empty") }
                names.append(text)
            }
        }
        return QueryRule(kind, names: host.memory.list(names))
    }
}

/// Where spans go, and when.
package struct ExportSettings: BitwiseCopyable {
    /// A field of the requests to the collector.
    struct Header: BitwiseCopyable {
        let name: Bytes
        /// Perhaps a secret: never logged.
        let value: Bytes
    }

    static let headersMax = 8
    static let secretBytesMax = 4_096
    /// Bytes of a batch: what the host takes as the body of a callout.
    static let bodyBytesMax = 1 << 20

    let collector: Bytes
    let path: Bytes
    let headers: List<Header>
    let timeout: UInt64
    let encoder: SpanEncoder
    let batchSize: Int
    let delay: UInt64
    let queueSize: Int
    let giveUp: UInt64

    init(_ value: ConfigurationValue, _ host: Host) throws(PluginError) {
        let collector = try value.required("collector")
        self.collector = try collector.string()
        if !host.isChecking, !Callouts<TracingFilter>(host).hasUpstream(self.collector) {
            throw collector.error(
                "the manifest has no upstream \"\(String(self.collector))\""
            )
        }
        path = try Self.path(value)
        headers = try Self.headers(value, host)
        timeout = UInt64(
            try value.duration("timeout", in: 100_000_000...60_000_000_000) ?? 5_000_000_000
        )
        encoder = SpanEncoder(try Self.encoding(value), try Self.source(value, host))
        let batch = try value.member("batch")
        try batch?.allowKeys(["size", "delay", "queue", "give_up"])
        batchSize = try batch?.integer("size", in: 1...4_096) ?? 512
        delay = UInt64(
            try batch?.duration("delay", in: 50_000_000...60_000_000_000) ?? 1_000_000_000
        )
        queueSize = try batch?.integer("queue", in: 64...65_536) ?? 2_048
        giveUp = UInt64(
            try batch?.duration("give_up", in: 1_000_000_000...TracingConfiguration.nanosecondsMax)
                ?? 60_000_000_000
        )
        guard batchSize <= queueSize else {
            throw PluginError(
                path: "batch.size",
                "\(batchSize) is more than batch.queue, \(queueSize)"
            )
        }
    }

    private static func path(_ value: ConfigurationValue) throws(PluginError) -> Bytes {
        guard let member = try value.member("path") else { return "/v1/traces" }
        let path = try member.string()
        guard path.hasPrefix("/") else { throw member.error("begins with \"/\"") }
        for offset in path.indices {
            guard path[offset] > 0x20, path[offset] < 0x7F, path[offset] != 0x23 else {
                throw member.error("has a character that no path has")
            }
        }
        return path
    }

    private static func encoding(_ value: ConfigurationValue) throws(PluginError) -> SpanEncoding {
        guard let member = try value.member("encoding") else { return .protobuf }
        switch try member.string() {
        case "protobuf": return .protobuf
        case "json": return .json
        default: throw member.error("one of \"protobuf\", \"json\" is wanted")
        }
    }

    private static func headers(
        _ value: ConfigurationValue,
        _ host: Host
    ) throws(PluginError) -> List<Header> {
        var headers: [Header] = []
        for item in try value.array("headers") {
            try item.allowKeys(["name", "value", "value_file"])
            guard headers.count < headersMax else {
                throw item.error("more than \(headersMax) fields")
            }
            let name = try item.required("name")
            let token = try name.string()
            let isOurs = ["host", "content-type", "content-length", "user-agent"]
                .contains { (own: StaticString) in token.equalsIgnoringCase(Bytes(own)) }
            _ = try name.naming { () throws(PluginError) in try FieldName(named: token) }
            guard !isOurs else { throw name.error("is set by the export itself") }
            headers.append(Header(name: token, value: try headerValue(item, host)))
        }
        return host.memory.list(headers)
    }

    private static func headerValue(
        _ item: ConfigurationValue,
        _ host: Host
    ) throws(PluginError) -> Bytes {
        if let member = try item.member("value") {
            guard try item.member("value_file") == nil else {
                throw item.error("has both value and value_file")
            }
            let text = try member.string()
            guard text.isFieldValue else { throw member.error("is no value of a field") }
            return text
        }
        let file = try item.required("value_file")
        // Without a folder the configuration is only checked.
        guard let path = host.path(try file.string()) else { return .empty }
        let contents = try file.naming { () throws(PluginError) in
            try host.memory.secret(of: path, limit: secretBytesMax)
        }
        let line = contents.prefix(contents.firstIndex(of: 0x0A) ?? contents.count)
        guard !line.isEmpty, line.isFieldValue else {
            throw file.error("\(String(path)): its first line is no value of a field")
        }
        return line
    }

    private static func source(
        _ value: ConfigurationValue,
        _ host: Host
    ) throws(PluginError) -> SpanSource {
        var attributes: [SpanSource.Attribute] = []
        var service: Bytes = "sluice"
        if let member = try value.member("service") { service = try text(member) }
        attributes.append(SpanSource.Attribute("service.name", service))
        attributes.append(SpanSource.Attribute("telemetry.sdk.name", "sluice"))
        attributes.append(SpanSource.Attribute("telemetry.sdk.language", "swift"))
        attributes.append(SpanSource.Attribute("telemetry.sdk.version", SpanSource.scopeVersion))
        let resource = try value.member("resource")
        var count = 0
        for member in try resource?.members() ?? [] {
            count += 1
            guard count <= TracingConfiguration.resourcesMax else {
                throw member.value.error(
                    "more than \(TracingConfiguration.resourcesMax) attributes"
                )
            }
            let isTaken = attributes.contains { $0.key == member.key }
            guard !member.key.isEmpty, !isTaken else {
                throw member.value.error("is empty, or set already: service.name by service")
            }
            attributes.append(SpanSource.Attribute(member.key, try text(member.value)))
        }
        return SpanSource(host.memory.list(attributes))
    }

    private static func text(_ value: ConfigurationValue) throws(PluginError) -> Bytes {
        let text = try value.string()
        guard !text.isEmpty, text.count <= TracingConfiguration.textBytesMax else {
            throw value.error("1 to \(TracingConfiguration.textBytesMax) bytes are wanted")
        }
        return text
    }
}

extension ConfigurationValue {
    /// The nanoseconds of a member, within bounds.
    func duration(
        _ key: StaticString,
        in range: ClosedRange<Int>
    ) throws(PluginError) -> Int? {
        guard let member = try member(key) else { return nil }
        let nanoseconds = try member.nanoseconds()
        guard range.contains(nanoseconds) else {
            throw member.error(
                "not within \(range.lowerBound / 1_000_000) to \(range.upperBound / 1_000_000) ms"
            )
        }
        return nanoseconds
    }
}
