import SluiceSDK

/// The field that names each proxy on the way (RFC 9110 §7.6.3).
struct Via {
    private let http10: Bytes
    private let http11: Bytes
    private let http2: Bytes

    /// Nil when the configuration names nothing.
    init?(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        guard let value = try configuration.member("via") else { return nil }
        let name = try value.string()
        guard Via.isName(name) else {
            throw value.error("no host or pseudonym: \"\(String(name))\"")
        }
        http10 = host.memory.join(["1.0 ", name])
        http11 = host.memory.join(["1.1 ", name])
        http2 = host.memory.join(["2.0 ", name])
    }

    /// A token, or a host with a port.
    private static func isName(_ name: Bytes) -> Bool {
        for offset in name.indices {
            let byte = name[offset]
            let isHost = byte == 0x3A || byte == 0x5B || byte == 0x5D
            guard isHost || name[offset..<offset + 1].isToken else { return false }
        }
        return !name.isEmpty
    }

    /// Appends the version that the client spoke.
    func addToRequest(_ exchange: borrowing Exchange<HeadersFilter>) {
        switch exchange.facts.httpVersion {
        case 10: exchange.edits.append(.via, http10)
        case 20: exchange.edits.append(.via, http2)
        default: exchange.edits.append(.via, http11)
        }
    }

    /// Appends the version that we speak with origins.
    func addToResponse(_ exchange: borrowing Exchange<HeadersFilter>) {
        exchange.edits.append(.via, http11)
    }
}
