import SluiceSDK

/// Which requests get a line.
struct Conditions: BitwiseCopyable {
    /// Names and values of `header` and `cookie`, each.
    static let pairsMax = 16
    /// Prefixes of `path_prefix`.
    static let prefixesMax = 32
    /// Nanoseconds of `min_duration`: an hour.
    static let durationMax = 3_600_000_000_000
    /// One request of so many, at most.
    static let sampleMax = 1_000_000

    /// A field or a cookie, and what it must be.
    struct Pair: BitwiseCopyable {
        var field: FieldName
        var name: Bytes
        /// Nil when it only must be there.
        var value: Bytes?
    }

    /// Statuses, a bit each for 0 to 599; nil for all.
    private var statuses: List<UInt64>?
    private var minDuration: UInt64 = 0
    private var prefixes: List<Bytes>
    private var fields: List<Pair>
    private var cookies: List<Pair>
    /// One line for so many requests.
    private var sample: UInt64 = 1
    private var keepsErrors = false

    /// Whether the request's path is looked at.
    var needsTarget: Bool { !prefixes.isEmpty }

    /// Reads `when`, `sample` and `keep_errors`.
    ///
    /// - Throws: what is wrong with a key.
    init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        var (prefixes, fields, cookies): ([Bytes], [Pair], [Pair]) = ([], [], [])
        if let when = try configuration.member("when") {
            try when.allowKeys(["status", "min_duration", "path_prefix", "header", "cookie"])
            if let list = try when.member("status") {
                statuses = host.memory.list(try Conditions.statuses(list))
            }
            if let value = try when.member("min_duration") {
                let nanoseconds = try value.nanoseconds()
                guard 1...Conditions.durationMax ~= nanoseconds else {
                    throw value.error("1ns to 1h is wanted")
                }
                minDuration = UInt64(nanoseconds)
            }
            prefixes = try Conditions.prefixes(when)
            fields = try Conditions.pairs(when, "header", isCookie: false)
            cookies = try Conditions.pairs(when, "cookie", isCookie: true)
        }
        self.prefixes = host.memory.list(prefixes)
        self.fields = host.memory.list(fields)
        self.cookies = host.memory.list(cookies)
        sample = UInt64(try configuration.integer("sample", in: 1...Conditions.sampleMax) ?? 1)
        keepsErrors = try configuration.bool("keep_errors") ?? false
        if keepsErrors, sample == 1 {
            throw PluginError(path: "keep_errors", "is of no use without \"sample\"")
        }
    }

    // MARK: Requests

    /// Whether a request that is over gets a line.
    @inline(__always)
    func hold(
        _ exchange: borrowing Exchange<AccessLogPlugin>,
        _ layout: Record.Layout
    ) -> Bool {
        let facts = exchange.facts
        if sample > 1, !isSampled(facts) { return false }
        if let statuses, !Conditions.contains(statuses, Line.status(facts)) { return false }
        if minDuration > 0, Line.duration(facts) < minDuration { return false }
        if !prefixes.isEmpty,
            !hasPrefix(exchange.context.target(layout, exchange.requestFields))
        {
            return false
        }
        for pair in fields {
            guard let value = exchange.requestFields.first(pair.field)?.value else { return false }
            if let wanted = pair.value, wanted != value { return false }
        }
        for pair in cookies {
            let value = LineFormat.cookie(pair.name, exchange.requestFields)
            if value.isEmpty { return false }
            if let wanted = pair.value, wanted != value { return false }
        }
        return true
    }

    /// Chosen by the request's number, so that logs with the same ratio have the same requests.
    private func isSampled(_ facts: Facts) -> Bool {
        if keepsErrors, Line.status(facts) >= 500 || facts.outcome != 0 { return true }
        return Conditions.mix(facts.requestNumber) % sample == 0
    }

    /// The finalizer of SplitMix64: numbers that follow each other have nothing in common.
    static func mix(_ number: UInt64) -> UInt64 {
        var mixed = number &+ 0x9E37_79B9_7F4A_7C15
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    private func hasPrefix(_ target: Bytes) -> Bool {
        for prefix in prefixes where target.hasPrefix(prefix) { return true }
        return false
    }

    static func contains(_ statuses: List<UInt64>, _ status: Int) -> Bool {
        status < 600 && statuses[status >> 6] >> UInt64(status & 63) & 1 != 0
    }

    // MARK: Configuration

    /// Bits of `["4xx", "503"]`.
    static func statuses(_ list: ConfigurationValue) throws(PluginError) -> [UInt64] {
        var words = [UInt64](repeating: 0, count: 10)
        let values = try list.array()
        if values.isEmpty { throw list.error("at least one status is wanted") }
        for value in values {
            let text = try value.string()
            let range: Range<Int>
            if text.count == 3, text[1] == UInt8(ascii: "x"), text[2] == UInt8(ascii: "x"),
                1...5 ~= text[0] &- 0x30
            {
                let first = Int(text[0] - 0x30) * 100
                range = first..<first + 100
            } else if text.count == 3, let number = text.decimal, number < 600 {
                range = Int(number)..<Int(number) + 1
            } else {
                throw value.error("a status as \"404\" or a class as \"4xx\" is wanted")
            }
            for status in range { words[status >> 6] |= 1 << UInt64(status & 63) }
        }
        return words
    }

    private static func prefixes(_ when: ConfigurationValue) throws(PluginError) -> [Bytes] {
        var prefixes: [Bytes] = []
        for value in try when.array("path_prefix") {
            let prefix = try value.string()
            guard prefix.hasPrefix("/") else { throw value.error("a path begins with \"/\"") }
            guard prefixes.count < prefixesMax else {
                throw value.error("there are more than \(prefixesMax)")
            }
            prefixes.append(prefix)
        }
        return prefixes
    }

    /// `["name", "name=value"]`.
    private static func pairs(
        _ when: ConfigurationValue,
        _ key: StaticString,
        isCookie: Bool
    ) throws(PluginError) -> [Pair] {
        var pairs: [Pair] = []
        for value in try when.array(key) {
            let text = try value.string()
            let equals = text.firstIndex(of: UInt8(ascii: "="))
            let name = text[0..<(equals ?? text.count)]
            guard name.isToken else { throw value.error("a name, or name=value, is wanted") }
            guard pairs.count < pairsMax else {
                throw value.error("there are more than \(pairsMax)")
            }
            let field = isCookie ? FieldName(.cookie) : try FieldName(reading: name)
            pairs.append(
                Pair(field: field, name: name, value: equals.map { text[$0 + 1..<text.count] })
            )
        }
        return pairs
    }
}
