import SluiceSDK

/// What the manifest says, compiled.
struct CompressionConfiguration {
    static let levelsOfGzip = 1...9
    static let levelsOfBrotli = 0...11
    static let levelsOfZstandard = 1...19
    static let minLengthByDefault = 512
    static let activeMaxByDefault = 1_024
    static let idleMaxByDefault = 8

    /// Codings of responses, best first, as numbers of `Coding`.
    let encodings: List<UInt8>
    let types: MediaTypes
    /// Bytes of a body, where its length is known, from which on it is encoded.
    let minLength: UInt64
    /// Whether what a cache in the chain stores has been encoded already.
    let isBeforeCache: Bool
    /// Whether origins are asked for plain bodies.
    let asksPlain: Bool
    let decodesResponses: Bool
    /// Limits of requests' bodies; nil when they are left as they are.
    let requestLimits: DecodingLimits?
    /// What 415 says that is taken.
    let decodable: Bytes
    let pool: StreamPool.Settings

    init(
        _ configuration: ConfigurationValue,
        _ host: Host,
        _ libraries: Libraries
    ) throws(PluginError) {
        try configuration.allowKeys([
            "encodings", "levels", "types", "min_length", "before_cache", "ask_plain",
            "decode_responses", "decode_requests", "max_streams", "pool",
        ])
        encodings = try Self.encodings(configuration.member("encodings"), host, libraries)
        types = try MediaTypes(configuration.member("types"), host)
        let minLength = try configuration.member("min_length")?.byteCount()
        self.minLength = UInt64(max(minLength ?? Self.minLengthByDefault, 0))
        isBeforeCache = try configuration.bool("before_cache") ?? false
        asksPlain = try configuration.bool("ask_plain") ?? false
        decodesResponses = try configuration.bool("decode_responses") ?? true
        requestLimits = try Self.requestLimits(configuration.member("decode_requests"))
        var names: [Bytes] = []
        for coding in Coding.allCases where libraries.has(coding) {
            names += names.isEmpty ? [coding.name] : [", ", coding.name]
        }
        decodable = host.memory.join(names)
        let activeMax = try configuration.integer("max_streams", in: 1...1_000_000)
        let idleMax = try configuration.integer("pool", in: 0...10_000)
        pool = StreamPool.Settings(
            levels: try Self.levels(configuration.member("levels")),
            activeMax: activeMax ?? Self.activeMaxByDefault,
            idleMax: idleMax ?? Self.idleMaxByDefault
        )
        if requestLimits == nil, encodings.isEmpty, !decodesResponses {
            throw PluginError("nothing is encoded and nothing decoded: leave the plugin out")
        }
    }

    /// The default is what this machine has; what is named must be there.
    private static func encodings(
        _ value: ConfigurationValue?,
        _ host: Host,
        _ libraries: Libraries
    ) throws(PluginError) -> List<UInt8> {
        var codings: [Coding] = []
        guard let value else {
            codings = [.zstandard, .brotli, .gzip].filter { libraries.has($0) }
            guard !codings.isEmpty else {
                throw PluginError(path: "encodings", "no library is there, not even libz.so.1")
            }
            return host.memory.list(codings.map { $0.rawValue })
        }
        for element in try value.array() {
            let name = try element.string()
            guard let coding = Coding(named: name), coding.name == name else {
                throw element.error(
                    "\"\(String(name))\" is none of \"gzip\", \"deflate\", \"br\", \"zstd\""
                )
            }
            guard !codings.contains(coding) else {
                throw element.error("\"\(String(name))\" stands here twice")
            }
            guard libraries.has(coding) else {
                throw element.error(
                    "\"\(String(name))\" needs \(Libraries.files(of: coding)), not found here"
                )
            }
            codings.append(coding)
        }
        return host.memory.list(codings.map { $0.rawValue })
    }

    private static func levels(_ value: ConfigurationValue?) throws(PluginError) -> Levels {
        var levels = Levels()
        guard let value else { return levels }
        try value.allowKeys(["gzip", "br", "zstd"])
        levels.gzip = try value.integer("gzip", in: levelsOfGzip) ?? levels.gzip
        levels.brotli = try value.integer("br", in: levelsOfBrotli) ?? levels.brotli
        levels.zstandard = try value.integer("zstd", in: levelsOfZstandard) ?? levels.zstandard
        return levels
    }

    /// `true`, `false`, or an object with limits.
    private static func requestLimits(
        _ value: ConfigurationValue?
    ) throws(PluginError) -> DecodingLimits? {
        var limits = DecodingLimits(bytesMax: 16 << 20, ratioMax: 100)
        guard let value else { return nil }
        if value.isBool { return try value.bool() ? limits : nil }
        try value.allowKeys(["max_size", "max_ratio"])
        if let size = try value.member("max_size") {
            let count = try size.byteCount()
            guard count > 0 else { throw size.error("at least one byte must be allowed") }
            limits.bytesMax = UInt64(count)
        }
        if let ratio = try value.integer("max_ratio", in: 1...100_000) {
            limits.ratioMax = UInt64(ratio)
        }
        return limits
    }
}
