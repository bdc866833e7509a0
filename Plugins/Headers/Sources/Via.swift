import SluiceSDK

/// The field that names each proxy on the way (RFC 9110 §7.6.3).
struct Via {
    private let http10: OwnedBytes
    private let http11: OwnedBytes
    private let http2: OwnedBytes

    /// Nil when the configuration names nothing.
    init?(_ configuration: ConfigurationValue) throws(PluginError) {
        guard let value = try configuration.member("via") else { return nil }
        let name = try value.string()
        guard Via.isName(name) else {
            throw value.error("no host or pseudonym: \"\(String(name))\"")
        }
        http10 = OwnedBytes("1.0 \(String(name))")
        http11 = OwnedBytes("1.1 \(String(name))")
        http2 = OwnedBytes("2.0 \(String(name))")
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
        case 10: exchange.edits.append(.via, http10.bytes)
        case 20: exchange.edits.append(.via, http2.bytes)
        default: exchange.edits.append(.via, http11.bytes)
        }
    }

    /// Appends the version that we speak with origins.
    func addToResponse(_ exchange: borrowing Exchange<HeadersFilter>) {
        exchange.edits.append(.via, http11.bytes)
    }
}
