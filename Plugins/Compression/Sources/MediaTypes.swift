import SluiceSDK

/// Media types that are worth compressing: `text/css`, `text/*`, `application/*+json`.
struct MediaTypes: BitwiseCopyable {
    static let countMax = 256

    /// Text, and what is much like it.
    ///
    /// Images, films, archives and WOFF fonts are compressed in themselves.
    static var byDefault: [Bytes] {
        [
            "text/*", "application/json", "application/*+json", "application/xml",
            "application/*+xml",
            "application/javascript", "application/x-javascript", "application/ecmascript",
            "application/x-ndjson", "application/graphql", "application/wasm", "application/yaml",
            "application/toml", "application/sql", "application/vnd.ms-fontobject", "font/ttf",
            "font/otf", "font/collection", "image/svg+xml", "image/bmp", "image/x-icon",
            "image/vnd.microsoft.icon",
        ]
    }

    /// A name, or what stands before and behind its asterisk.
    private struct Pattern: BitwiseCopyable {
        let head: Bytes
        let tail: Bytes
        let isExact: Bool

        func matches(_ name: Bytes) -> Bool {
            if isExact { return name.equalsIgnoringCase(head) }
            return name.count > head.count + tail.count
                && name.prefix(head.count).equalsIgnoringCase(head)
                && name.dropFirst(name.count - tail.count).equalsIgnoringCase(tail)
        }
    }

    private let patterns: List<Pattern>

    init(_ value: ConfigurationValue?, _ host: Host) throws(PluginError) {
        var patterns: [Pattern] = []
        if let value {
            for element in try value.array() {
                let text = try element.string()
                guard let pattern = Self.pattern(text) else {
                    throw element.error(
                        "no media type: \"\(String(text))\"; \"text/css\", \"text/*\" and "
                            + "\"application/*+json\" are"
                    )
                }
                patterns.append(pattern)
            }
            guard patterns.count <= Self.countMax else {
                throw value.error("\(patterns.count) types; up to \(Self.countMax) are taken")
            }
        } else {
            patterns = Self.byDefault.compactMap { Self.pattern($0) }
        }
        self.patterns = host.memory.list(patterns)
    }

    /// Whether a Content-Type is among them, whatever its parameters are.
    func contains(_ contentType: Bytes) -> Bool {
        let end = contentType.firstIndex(of: UInt8(ascii: ";")) ?? contentType.count
        let name = contentType.prefix(end).trimmed
        for pattern in patterns where pattern.matches(name) { return true }
        return false
    }

    /// Type, slash, subtype; the subtype may be or begin with an asterisk.
    private static func pattern(_ text: Bytes) -> Pattern? {
        guard let slash = text.firstIndex(of: UInt8(ascii: "/")) else { return nil }
        let subtype = text.dropFirst(slash + 1)
        guard text.prefix(slash).isToken, subtype.isToken else { return nil }
        guard text.prefix(slash).firstIndex(of: UInt8(ascii: "*")) == nil else { return nil }
        guard let star = subtype.firstIndex(of: UInt8(ascii: "*")) else {
            return Pattern(head: text, tail: .empty, isExact: true)
        }
        let tail = subtype.dropFirst(1)
        guard star == 0, tail.firstIndex(of: UInt8(ascii: "*")) == nil,
            tail.isEmpty || tail[0] == UInt8(ascii: "+")
        else { return nil }
        return Pattern(head: text.prefix(slash + 1), tail: tail, isExact: false)
    }
}
