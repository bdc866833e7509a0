internal import Proxy
internal import Sys

extension ProxyProtocolSettings: Defaulted {
    static var defaults: Self { ProxyProtocolSettings() }
}

/// `proxy_protocol` of a listener.
extension Table where Root == ProxyProtocolSettings {
    static let proxyProtocol = Table(
        "proxy_protocol",
        at: "listeners[].proxy_protocol",
        keys: [
            Key(
                required: "trusted",
                \.trusted,
                .list(of: .trustedSender, 1...ManifestLimits.trustedMax),
                "Proxies whose headers are believed: networks, addresses, or `\"unix:\"` for a"
                    + " Unix socket. Connections from elsewhere are closed at once."
            ),
            Key(
                "versions",
                \.versions,
                .proxyProtocolVersions,
                "Versions that are accepted: `\"v1\"` is text, `\"v2\"` is binary. Another: the"
                    + " connection is closed."
            ),
        ]
    )
}

extension Table where Root == ListenerSettings {
    /// A listener that trusts nobody who can reach it would refuse every connection.
    @Sendable
    static func checkTrusted(
        _ node: Node,
        _ settings: ListenerSettings,
        _ reader: inout ManifestReader
    ) {
        guard let trusted = node.member("proxy_protocol")?.member("trusted"),
            let senders = settings.proxyProtocol?.trusted, !senders.isEmpty,
            senders.count == trusted.elements.count, settings.address != ""
        else { return }
        let isUnix = settings.address.hasPrefix("unix:")
        for (index, sender) in senders.enumerated() where isUnix != (sender == .unix) {
            reader.inside(.key("proxy_protocol")) { reader in
                reader.inside(.key("trusted")) { reader in
                    reader.inside(.index(index)) {
                        $0.report(
                            isUnix
                                ? "a Unix socket's clients have no address; trust \"unix:\""
                                : "\"unix:\" is for a listener on a Unix socket",
                            at: trusted.elements[index]
                        )
                    }
                }
            }
        }
    }
}

extension ValueKind where Value == TrustedSender {
    static let trustedSender = ValueKind.parsed(
        .init(
            "network",
            expected: "a network such as \"10.0.0.0/8\", an address, or \"unix:\""
        )
    ) { text, _ throws(Complaint) in
        text == "unix:" ? .unix : .network(try Pattern.network(text))
    }
}

extension ValueKind where Value == [ProxyProtocolVersion] {
    static let proxyProtocolVersions: ValueKind = {
        let all = ProxyProtocolVersion.allCases
        let list = ValueKind.list(of: .words(all.map { ($0.rawValue, $0) }), 1...all.count)
        return ValueKind(
            form: list.form,
            text: { "[" + $0.map { quote($0.rawValue) }.joined(separator: ", ") + "]" },
            read: list.read
        )
    }()
}

extension Pattern {
    /// "10.0.0.0/8", "2001:db8::/32", or an address alone.
    static func network(_ text: String) throws(Complaint) -> IPNetwork {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        let address = parts[0]
        let bytes =
            Address.ipv4Bytes(address)
            ?? Address.ipv6Groups(address)?.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xff)] }
        guard let bytes else {
            throw Complaint(
                "\(quote(text)) is not a network such as \"10.0.0.0/8\" or \"2001:db8::/32\""
            )
        }
        if bytes.count == 16, bytes.prefix(10).allSatisfy({ $0 == 0 }), bytes[10] == 0xff,
            bytes[11] == 0xff
        {
            // An IPv4 client of an IPv6 socket counts as IPv4: this would match nothing.
            throw Complaint("\(quote(text)): write an IPv4 network as such, as in \"10.0.0.0/8\"")
        }
        guard parts.count == 2 else {
            guard let network = IPNetwork(bytes) else { throw Complaint("not an address") }
            return network
        }
        let digits = parts[1]
        let isNumber =
            1...3 ~= digits.utf8.count
            && digits.utf8.allSatisfy { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
            && (digits == "0" || !digits.hasPrefix("0"))
        guard isNumber, let bits = Int(digits), bits <= bytes.count * 8 else {
            throw Complaint(
                "\(quote(text)): the prefix is a number from 0 to \(bytes.count * 8)"
            )
        }
        guard let network = IPNetwork(bytes, prefixBits: bits) else {
            throw Complaint("\(quote(text)): the address has bits behind its prefix of \(bits)")
        }
        return network
    }
}
