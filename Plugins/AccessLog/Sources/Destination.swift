internal import CAccessLog
import SluiceSDK

/// Where lines go.
struct Destination {
    /// What it is.
    enum Kind: Equatable {
        /// A file that is added to, with the mode that a new one gets.
        case file(path: String, mode: UInt32)
        case standardOutput
        /// A socket of this machine.
        case unix(path: String, isStream: Bool)
        /// An address and a port.
        case network(host: String, port: UInt16, isStream: Bool)
    }

    /// How a line stands among others.
    enum Framing: Equatable {
        /// With a line feed behind it.
        case lines
        /// Each in a packet of its own, without one.
        case packets
        /// Its length before it (RFC 6587 §3.4.1).
        case counted
    }

    let kind: Kind
    let framing: Framing

    /// As the log and the metrics name it.
    var name: String {
        switch kind {
        case .file(let path, _): path
        case .standardOutput: "standard output"
        case .unix(let path, let isStream): (isStream ? "unix-stream:" : "unix:") + path
        case .network(let host, let port, let isStream):
            (isStream ? "tcp:" : "udp:") + (host.utf8.contains(0x3A) ? "[\(host)]" : host)
                + ":\(port)"
        }
    }

    var isFile: Bool {
        if case .file = kind { return true }
        return false
    }

    var isSocket: Bool {
        switch kind {
        case .file, .standardOutput: false
        case .unix, .network: true
        }
    }

    /// Milliseconds that a connection may take.
    private static let connectMilliseconds: Int32 = 1_000

    /// Opens it: a descriptor, or a negative errno.
    func open(_ identity: inout accesslog_identity) -> Int32 {
        switch kind {
        case .file(let path, let mode): accesslog_open(path, mode, &identity)
        case .standardOutput: accesslog_standard_output()
        case .unix(let path, let isStream):
            accesslog_connect_unix(path, isStream ? 1 : 0, Destination.connectMilliseconds)
        case .network(let host, let port, let isStream):
            accesslog_connect_ip(host, port, isStream ? 1 : 0, Destination.connectMilliseconds)
        }
    }

    /// The message of a result below 0.
    static func message(_ result: Int64) -> String {
        result == Int64(ACCESSLOG_IRREGULAR)
            ? "no regular file" : String(cString: accesslog_error(result))
    }
}

/// Reads `output`.
struct DestinationReader {
    /// Bytes of a path of a socket (unix(7)).
    static let socketPathMax = 107
    private static let facilities: [StaticString] = [
        "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron",
        "authpriv", "ftp", "ntp", "audit", "alert", "clock", "local0", "local1", "local2",
        "local3", "local4", "local5", "local6", "local7",
    ]
    private static let severities: [StaticString] = [
        "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
    ]

    let destination: Destination
    /// Nil of lines without a header.
    let syslog: SyslogHeader?

    init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        let output = try configuration.required("output")
        if output.isString {
            guard try output.string() == "stdout" else {
                throw output.error("\"stdout\" or an object is wanted")
            }
            destination = Destination(kind: .standardOutput, framing: .lines)
            syslog = nil
            return
        }
        try output.allowKeys([
            "file", "mode", "unix", "syslog", "facility", "severity", "app_name", "hostname",
        ])
        let given = [
            try output.member("file"), try output.member("unix"), try output.member("syslog"),
        ].compactMap { $0 }
        guard given.count == 1, let value = given.first else {
            throw output.error("one of \"file\", \"unix\" and \"syslog\" is wanted")
        }
        if try output.member("file") == nil, let stray = try output.member("mode") {
            throw stray.error("is of no use without \"file\"")
        }
        if let target = try output.member("syslog") {
            destination = try DestinationReader.syslog(target, host)
            syslog = try DestinationReader.header(output, host)
            return
        }
        for key: StaticString in ["facility", "severity", "app_name", "hostname"] {
            if let stray = try output.member(key) {
                throw stray.error("is of no use without \"syslog\"")
            }
        }
        syslog = nil
        let text = try value.string()
        if text.isEmpty { throw value.error("a path is wanted") }
        let path = String(host.path(text) ?? text)
        if try output.member("unix") != nil {
            try DestinationReader.checkSocket(value, path)
            destination = Destination(kind: .unix(path: path, isStream: true), framing: .lines)
        } else {
            let mode = try DestinationReader.mode(output)
            destination = Destination(kind: .file(path: path, mode: mode), framing: .lines)
        }
    }

    private static func checkSocket(
        _ value: ConfigurationValue,
        _ path: String
    ) throws(PluginError) {
        guard path.utf8.count <= socketPathMax else {
            throw value.error("a socket's path has up to \(socketPathMax) bytes")
        }
    }

    /// Octal digits: "0640".
    private static func mode(_ output: ConfigurationValue) throws(PluginError) -> UInt32 {
        guard let value = try output.member("mode") else { return 0o640 }
        let text = String(try value.string())
        guard let mode = UInt32(text, radix: 8), mode & 0o600 == 0o600, mode <= 0o666,
            mode & 0o111 == 0
        else { throw value.error("octal digits from \"0600\" to \"0666\" are wanted") }
        return mode
    }

    // MARK: Syslog

    /// "unix:/dev/log", "unix-stream:/path", "udp:192.0.2.1:514", "tcp:[2001:db8::1]:601".
    private static func syslog(
        _ value: ConfigurationValue,
        _ host: Host
    ) throws(PluginError) -> Destination {
        let text = try value.string()
        let colon = text.firstIndex(of: UInt8(ascii: ":")) ?? text.count
        let (scheme, rest) = (text[0..<colon], text[min(colon + 1, text.count)..<text.count])
        let isStream = scheme == "tcp" || scheme == "unix-stream"
        let framing: Destination.Framing = isStream ? .counted : .packets
        if scheme == "unix" || scheme == "unix-stream" {
            if rest.isEmpty { throw value.error("a path is missing") }
            let path = String(host.path(rest) ?? rest)
            try checkSocket(value, path)
            return Destination(kind: .unix(path: path, isStream: isStream), framing: framing)
        }
        guard scheme == "udp" || scheme == "tcp" else {
            throw value.error(
                "\"unix:\", \"unix-stream:\", \"udp:\" or \"tcp:\" and where it is are wanted"
            )
        }
        guard let (address, port) = endpoint(rest) else {
            throw value.error("an address and a port are wanted, as \"udp:192.0.2.1:514\"")
        }
        return Destination(
            kind: .network(host: address, port: port, isStream: isStream),
            framing: framing
        )
    }

    private static func endpoint(_ text: Bytes) -> (String, UInt16)? {
        var at = text.count
        while at > 0, text[at - 1] != UInt8(ascii: ":") { at -= 1 }
        guard at > 1, let port = text[at..<text.count].decimal, 1...65_535 ~= port else {
            return nil
        }
        var address = text[0..<at - 1]
        if address.count > 2, address[0] == UInt8(ascii: "[") {
            guard address[address.count - 1] == UInt8(ascii: "]") else { return nil }
            address = address[1..<address.count - 1]
        } else if address.firstIndex(of: UInt8(ascii: ":")) != nil {
            return nil
        }
        let host = String(address)
        return accesslog_is_address(host) == 1 ? (host, UInt16(port)) : nil
    }

    private static func header(
        _ output: ConfigurationValue,
        _ host: Host
    ) throws(PluginError) -> SyslogHeader {
        let facility = try place(output, "facility", facilities, standard: 23)
        let severity = try place(output, "severity", severities, standard: 6)
        let appName = try word(output, "app_name", SyslogHeader.appNameBytesMax) ?? "sluice"
        let hostname =
            try word(output, "hostname", SyslogHeader.hostnameBytesMax)
            ?? FormatReader.hostname(host)
        return SyslogHeader(
            priority: facility * 8 + severity,
            hostname: hostname,
            appName: appName,
            processID: Int(accesslog_pid()),
            host.memory
        )
    }

    private static func place(
        _ output: ConfigurationValue,
        _ key: StaticString,
        _ names: [StaticString],
        standard: Int
    ) throws(PluginError) -> Int {
        guard let value = try output.member(key) else { return standard }
        let text = try value.string()
        if let place = names.firstIndex(where: { Bytes($0) == text }) { return place }
        let near = text.nearest(among: names) ?? names[standard]
        throw value.error("no \(key): \"\(String(text))\"; did you mean \"\(near)\"?")
    }

    private static func word(
        _ output: ConfigurationValue,
        _ key: StaticString,
        _ limit: Int
    ) throws(PluginError) -> Bytes? {
        guard let value = try output.member(key) else { return nil }
        let text = try value.string()
        let isVisible = text.indices.allSatisfy { 0x21...0x7E ~= text[$0] }
        guard 1...limit ~= text.count, isVisible else {
            throw value.error("1 to \(limit) visible ASCII characters are wanted")
        }
        return text
    }
}
