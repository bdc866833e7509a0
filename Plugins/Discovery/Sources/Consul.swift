import SluiceSDK

/// A service of Consul's catalog.
struct ConsulSource: Equatable {
    /// An upstream of the manifest: agents or servers of Consul.
    let upstream: [UInt8]
    let service: [UInt8]
    /// Empty for any.
    let tag: [UInt8]
    /// Empty for the agent's.
    let datacenter: [UInt8]
    /// A key of the service's metadata, or of its node's, that says where a peer is; or empty.
    let zoneKey: [UInt8]
    /// For how long an answer may be held back until something changes.
    let waitNanoseconds: UInt64

    /// What is asked with an index, or without one for an answer at once.
    func path(index: UInt64) -> [UInt8] {
        var path = Array("/v1/health/service/".utf8) + Self.escaped(service)
        path += Array("?passing=1".utf8)
        if !tag.isEmpty { path += Array("&tag=".utf8) + Self.escaped(tag) }
        if !datacenter.isEmpty { path += Array("&dc=".utf8) + Self.escaped(datacenter) }
        if index > 0 {
            let milliseconds = waitNanoseconds / 1_000_000
            path += Array("&index=\(index)&wait=\(milliseconds)ms".utf8)
        }
        return path
    }

    /// The time for all of it: Consul adds up to a sixteenth to a wait, so that not all clients
    /// come at once.
    func timeoutNanoseconds(index: UInt64) -> UInt64 {
        guard index > 0 else { return Self.timeoutAtOnce }
        return min(waitNanoseconds + waitNanoseconds / 16 + Self.timeoutSpare, Self.timeoutMost)
    }

    /// For an answer that is not held back.
    static let timeoutAtOnce: UInt64 = 10_000_000_000
    private static let timeoutSpare: UInt64 = 1_500_000_000
    /// What the host allows a callout.
    private static let timeoutMost: UInt64 = 60_000_000_000

    /// All but unreserved characters as "%20" (RFC 3986 §2.1).
    private static func escaped(_ text: [UInt8]) -> [UInt8] {
        let digits = Array("0123456789ABCDEF".utf8)
        var escaped: [UInt8] = []
        for byte in text {
            let small = byte | 0x20
            let isLetter = small &- 0x61 < 26
            let isDigit = byte &- 0x30 < 10
            if isLetter || isDigit || byte == 0x2D || byte == 0x2E || byte == 0x5F || byte == 0x7E {
                escaped.append(byte)
            } else {
                escaped += [0x25, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return escaped
    }
}

/// The index of a blocking query: what of the catalog the last answer showed.
struct ConsulIndex: Equatable {
    /// 0 when the next question is to be answered at once; it is never sent.
    private(set) var value: UInt64 = 0

    /// Takes the index of an answer.
    ///
    /// One that goes backwards, as after a restore of the servers, begins anew; one that is missing
    /// or 0 is a fault of the server, and counts as 1, so that the next question waits, too.
    mutating func take(_ header: UInt64?) {
        let index = max(header ?? 1, 1)
        value = index < value ? 0 : index
    }

    /// After a failure nothing is known: the next answer is to come at once.
    mutating func reset() { value = 0 }
}

/// What Consul answers to `/v1/health/service`.
enum ConsulAnswer {
    /// Bytes that an answer may have: what the host allows a callout.
    static let bytesMax = 1 << 20

    /// The peers of an answer.
    ///
    /// An instance whose address is no IP address is left out with a note: one that is registered
    /// wrongly must not keep news of all others away.
    ///
    /// - Throws: when it is not what Consul answers, or nothing of it is of use.
    static func refresh(
        _ body: [UInt8],
        _ source: ConsulSource
    ) throws(RefreshFailure) -> Refresh {
        let root: JSONElement
        do {
            root = try JSONReader.read(body)
        } catch {
            throw RefreshFailure("the answer's line \(error.line): \(error.message)")
        }
        guard case .array(let entries) = root.value else {
            throw RefreshFailure("the answer is \(root.value.kind), not an array")
        }
        var refresh = Refresh(peers: [], seconds: 0)
        var leftOut = 0
        for entry in entries {
            guard let service = entry.value.member("Service")?.value,
                case .object = service
            else { throw RefreshFailure("an entry of the answer has no \"Service\"") }
            if let peer = peer(service, entry.value, source) {
                refresh.peers.append(peer)
            } else {
                leftOut += 1
                if refresh.note.isEmpty { refresh.note = problem(service) }
            }
        }
        guard leftOut == 0 || !refresh.peers.isEmpty else { throw RefreshFailure(refresh.note) }
        return refresh
    }

    private static func peer(
        _ service: JSONValue,
        _ entry: JSONValue,
        _ source: ConsulSource
    ) -> DiscoveredPeer? {
        let node = entry.member("Node")?.value ?? .null
        // The node's address is that of a service which has none of its own.
        let own = text(service, "Address")
        let host = own.isEmpty ? text(node, "Address") : own
        guard case .integer(let port) = service.member("Port")?.value, port > 0, port <= 65_535,
            let address = host.withBytes({ IPAddress($0) }),
            let weight = weight(service, entry)
        else { return nil }
        return DiscoveredPeer(
            address: SocketAddress(address, UInt16(port)).text,
            weight: weight,
            zone: zone(service, node, source.zoneKey)
        )
    }

    /// `Weights.Passing`, or `Weights.Warning` of an instance with a check that warns; nil for an
    /// instance that shall get nothing.
    private static func weight(_ service: JSONValue, _ entry: JSONValue) -> Int? {
        var key: StaticString = "Passing"
        if case .array(let checks) = entry.member("Checks")?.value {
            for check in checks
            where text(check.value, "Status").withBytes({ $0 == "warning" }) {
                key = "Warning"
            }
        }
        guard let weights = service.member("Weights")?.value,
            case .integer(let weight) = weights.member(key)?.value
        else { return 1 }
        return weight > 0 ? min(weight, DiscoveredPeer.weightMax) : nil
    }

    private static func zone(_ service: JSONValue, _ node: JSONValue, _ key: [UInt8]) -> [UInt8] {
        guard !key.isEmpty else { return [] }
        for holder in [service, node] {
            guard case .object(let members) = holder.member("Meta")?.value else { continue }
            for member in members where member.key == key {
                guard case .string(let zone) = member.element.value,
                    zone.count <= DiscoveredPeer.zoneBytesMax,
                    zone.withBytes({ $0.isFieldValue })
                else { continue }
                return zone
            }
        }
        return []
    }

    private static func problem(_ service: JSONValue) -> String {
        let name = text(service, "ID")
        let address = text(service, "Address")
        return "left out: instance \"\(String(decoding: name, as: UTF8.self))\" at \""
            + String(decoding: address, as: UTF8.self)
            + "\" has no IP address, port or weight"
    }

    private static func text(_ value: JSONValue, _ key: StaticString) -> [UInt8] {
        if case .string(let text) = value.member(key)?.value { return text }
        return []
    }
}
