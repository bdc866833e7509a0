package import SluiceSDK

/// What is checked, and how.
package struct HealthConfiguration: BitwiseCopyable {
    /// Names; empty for all.
    let upstreams: List<Bytes>
    /// Percent of healthy peers below which all are used; 0 is off.
    let panic: Int
    let active: ActiveRules?
    let passive: OutlierRules?

    init(_ value: ConfigurationValue, _ host: Host) throws(PluginError) {
        try value.allowKeys(["upstreams", "panic", "active", "passive"])
        var names: [Bytes] = []
        for name in try value.array("upstreams") { names.append(try name.string()) }
        upstreams = host.memory.list(names)
        panic = try value.integer("panic", in: 0...100) ?? 0
        active = try value.member("active").map { active throws(PluginError) in
            try ActiveRules(active, host)
        }
        passive = try value.member("passive").map { passive throws(PluginError) in
            try OutlierRules(passive)
        }
        if active == nil, passive == nil {
            throw value.error("active or passive is needed; there is nothing to do without")
        }
    }

    func covers(_ upstream: Bytes) -> Bool {
        if upstreams.isEmpty { return true }
        for name in upstreams where name == upstream { return true }
        return false
    }

    /// How often workers look what is due.
    var tick: UInt64 {
        let ejection = passive.map { min(max($0.ejectNanoseconds / 10, 10_000_000), 100_000_000) }
        return min(active?.times.tick ?? .max, ejection ?? .max)
    }
}

/// Checks of the plugin's own.
package struct ActiveRules: BitwiseCopyable {
    let times: CheckTimes
    let timeout: UInt64
    let rise: Int
    let fall: Int
    /// Before the first check has ended.
    let isHealthyAtFirst: Bool
    let expectation: Expectation
    /// All of it but its peer.
    let speaks: ProbeRequest.ProbeProtocol
    let port: Int
    let method: Bytes
    let path: Bytes
    let host: Bytes
    let body: Bytes
    let tls: CheckTLS

    private static let keys: [StaticString] = [
        "type", "interval", "jitter", "timeout", "rise", "fall", "initial", "port", "method",
        "path", "host", "service", "status", "body", "tls",
    ]
    /// Nanoseconds of an interval: 10 ms to a day.
    private static let intervals = 10_000_000...86_400_000_000_000
    /// Nanoseconds of a timeout: 1 ms to a minute.
    private static let timeouts = 1_000_000...60_000_000_000

    init(_ value: ConfigurationValue, _ host: Host) throws(PluginError) {
        try value.allowKeys(Self.keys)
        let kind = try Kind(value)
        times = CheckTimes(
            interval: UInt64(try value.time("interval", 2_000_000_000, in: Self.intervals)),
            jitter: try value.integer("jitter", in: 0...50) ?? 10
        )
        timeout = UInt64(try value.time("timeout", 1_000_000_000, in: Self.timeouts))
        rise = try value.integer("rise", in: 1...100) ?? 2
        fall = try value.integer("fall", in: 1...100) ?? 3
        isHealthyAtFirst =
            try value.word("initial", ["healthy", "unhealthy"], or: "healthy") == "healthy"
        port = try value.integer("port", in: 1...65_535) ?? 0
        try kind.refuse(others: value)
        self.host = try value.string("host") ?? .empty
        tls = try CheckTLS(value, host)
        speaks = kind.speaks
        expectation = Expectation(
            kind.expects,
            host.memory.list(try Self.statuses(value)),
            body: try value.string("body") ?? .empty
        )
        if kind == .grpc {
            method = "POST"
            path = Bytes(GRPCHealth.path)
            let message = GRPCHealth.request(try value.string("service") ?? .empty)
            body = message.withUnsafeBufferPointer { message in
                // Safe: it is copied before the closure returns, and it is never empty.
                host.memory.join([
                    Bytes(message.baseAddress.unsafelyUnwrapped, count: message.count)
                ])
            }
        } else {
            method = try value.string("method") ?? "GET"
            path = try value.string("path") ?? "/"
            body = .empty
            guard path.hasPrefix("/") else {
                throw try value.required("path").error("a path begins with \"/\"")
            }
        }
    }

    private static func statuses(
        _ value: ConfigurationValue
    ) throws(PluginError) -> [Expectation.StatusRange] {
        let list = try value.array("status")
        if list.isEmpty { return [Expectation.StatusRange(200, 299)] }
        var ranges: [Expectation.StatusRange] = []
        for one in list {
            guard one.isString else {
                let status = try one.integer(in: 200...599)
                ranges.append(Expectation.StatusRange(status, status))
                continue
            }
            let text = try one.string()
            guard text.count == 7, text[3] == UInt8(ascii: "-"), let first = status(text.prefix(3)),
                let last = status(text.dropFirst(4)), first <= last
            else { throw one.error("a status or a range such as \"200-299\" is wanted") }
            ranges.append(Expectation.StatusRange(first, last))
        }
        return ranges
    }

    private static func status(_ digits: Bytes) -> Int? {
        var value = 0
        for index in digits.indices {
            guard digits[index] >= 0x30, digits[index] <= 0x39 else { return nil }
            value = value * 10 + Int(digits[index] - 0x30)
        }
        return (200...599).contains(value) ? value : nil
    }

    /// What a check does.
    private enum Kind {
        case tcp
        case http
        case http2
        case grpc

        init(_ value: ConfigurationValue) throws(PluginError) {
            let word = try value.word("type", ["http", "http2", "grpc", "tcp"], or: "http")
            self =
                word == "tcp" ? .tcp : word == "grpc" ? .grpc : word == "http2" ? .http2 : .http
        }

        var speaks: ProbeRequest.ProbeProtocol {
            switch self {
            case .tcp: .tcp
            case .http: .http1
            case .http2, .grpc: .http2
            }
        }

        var expects: Expectation.Kind {
            switch self {
            case .tcp: .connection
            case .http, .http2: .http
            case .grpc: .grpc
            }
        }

        /// Keys that say nothing for this kind are mistakes.
        func refuse(others value: ConfigurationValue) throws(PluginError) {
            let request: [StaticString] = ["method", "path", "status", "body"]
            var others: [StaticString] =
                switch self {
                case .tcp: request + ["host", "service"]
                case .http, .http2: ["service"]
                case .grpc: request
                }
            while let key = others.popLast() {
                if let found = try value.member(key) {
                    throw found.error("has no meaning for this type of check")
                }
            }
        }
    }
}

/// How checks speak TLS.
package enum CheckTLS: BitwiseCopyable {
    case upstream
    case off
    case own(ProbeTLSContext)

    init(_ value: ConfigurationValue, _ host: Host) throws(PluginError) {
        guard let tls = try value.member("tls") else {
            self = .upstream
            return
        }
        guard tls.isObject else {
            let word = try value.word("tls", ["upstream", "off"], or: "upstream")
            self = word == "off" ? .off : .upstream
            return
        }
        try tls.allowKeys(["server_name", "verify", "ca"])
        let verifies = try tls.word("verify", ["full", "none"], or: "full") == "full"
        let ca = try tls.string("ca").flatMap { host.path($0) } ?? .empty
        let name = try tls.string("server_name") ?? .empty
        self = .own(
            try tls.naming { () throws(PluginError) in
                try Probes<HealthChecker>(host).tls(
                    serverName: name,
                    verifies: verifies,
                    authorities: ca
                )
            }
        )
    }

    var probe: ProbeTLS {
        switch self {
        case .upstream: .upstream
        case .off: .off
        case .own(let context): .own(context)
        }
    }
}

extension OutlierRules {
    /// Nanoseconds: 10 ms to a day.
    private static let durations = 10_000_000...86_400_000_000_000

    init(_ value: ConfigurationValue) throws(PluginError) {
        self.init()
        try value.allowKeys([
            "consecutive", "rate", "window", "requests", "eject", "eject_max", "ejected_max",
        ])
        consecutive = try value.integer("consecutive", in: 0...1_000_000) ?? consecutive
        rate = try value.integer("rate", in: 0...100) ?? rate
        requestsMin = try value.integer("requests", in: 1...1_000_000) ?? requestsMin
        ejectedPercentMax = try value.integer("ejected_max", in: 0...100) ?? ejectedPercentMax
        windowNanoseconds = UInt64(
            try value.time("window", Int(windowNanoseconds), in: Self.durations)
        )
        ejectNanoseconds = UInt64(
            try value.time("eject", Int(ejectNanoseconds), in: Self.durations)
        )
        ejectNanosecondsMax = UInt64(
            try value.time("eject_max", Int(ejectNanosecondsMax), in: Self.durations)
        )
        guard ejectNanosecondsMax >= ejectNanoseconds else {
            throw value.error("eject_max is less than eject")
        }
        guard consecutive > 0 || rate > 0 else {
            throw value.error("consecutive and rate are both 0; one is needed")
        }
    }
}

extension ConfigurationValue {
    /// Nanoseconds of a member, or those that it has by default.
    fileprivate func time(
        _ key: StaticString,
        _ otherwise: Int,
        in range: ClosedRange<Int>
    ) throws(PluginError) -> Int {
        guard let value = try member(key) else { return otherwise }
        let nanoseconds = try value.nanoseconds()
        guard range.contains(nanoseconds) else {
            throw value.error("it is too short or too long")
        }
        return nanoseconds
    }

    /// One of some words.
    fileprivate func word(
        _ key: StaticString,
        _ words: [StaticString],
        or otherwise: StaticString
    ) throws(PluginError) -> Bytes {
        guard let value = try member(key) else { return Bytes(otherwise) }
        let text = try value.string()
        for word in words where text == Bytes(word) { return text }
        throw value.error("it is none of the words that it may be")
    }
}
