/// An address as the manifest writes it, checked but not resolved.
enum Address: Equatable {
    /// Four bytes.
    case ipv4([UInt8], port: UInt16)
    /// Eight groups.
    case ipv6([UInt16], port: UInt16)
    /// Path of a socket's file, absolute or relative to the working folder.
    case unix(String)
    /// A host name in lower case.
    case name(String, port: UInt16)

    /// What an address is for: a listener takes no names, but port 0 and "any address".
    enum Role {
        case listener
        case peer
    }

    /// Bytes of a Unix socket's path: `sun_path` is 108 bytes with its NUL (unix(7)).
    static let unixPathBytesMax = 107

    /// Parses "192.0.2.1:80", "[2001:db8::1]:80", "unix:/path", for a peer "name:80", and for a
    /// listener ":80" or "*:80", which are "[::]:80".
    ///
    /// - Parameter folder: where relative paths start.
    init(_ text: String, for role: Role, folder: String) throws(Complaint) {
        if text.hasPrefix("unix:") {
            self = try Address.unix(text, folder: folder)
            return
        }
        guard let colon = text.utf8.lastIndex(of: UInt8(ascii: ":")),
            !text.hasSuffix("]")
        else {
            let example = text.utf8.count <= 64 && !text.isEmpty ? text : "192.0.2.1"
            throw Complaint("\(quote(text)) needs a port, as in \(quote(example + ":8080"))")
        }
        let host = text[..<colon]
        let port = try Address.port(text[text.utf8.index(after: colon)...], in: text, for: role)
        if host.hasPrefix("["), host.hasSuffix("]") {
            guard let groups = Address.ipv6Groups(host.dropFirst().dropLast()) else {
                throw Complaint("\(quote(text)): not an IPv6 address without zone")
            }
            self = .ipv6(groups, port: port)
        } else if host.utf8.contains(UInt8(ascii: ":")) {
            throw Complaint("\(quote(text)): an IPv6 address needs brackets, as in \"[::1]:80\"")
        } else if let bytes = Address.ipv4Bytes(host) {
            self = .ipv4(bytes, port: port)
        } else if role == .listener, host.isEmpty || host == "*" {
            self = .ipv6(Array(repeating: 0, count: 8), port: port)
        } else {
            self = try Address.named(String(host), port: port, in: text, for: role)
        }
    }

    /// One spelling for each address, so that equal addresses have equal texts.
    var text: String {
        switch self {
        case .ipv4(let bytes, let port):
            bytes.map { "\($0)" }.joined(separator: ".") + ":\(port)"
        case .ipv6(let groups, let port): "[\(Address.text(ofIPv6: groups))]:\(port)"
        case .unix(let path): "unix:" + path
        case .name(let name, let port): "\(name):\(port)"
        }
    }

    // MARK: Parts

    private static func unix(_ text: String, folder: String) throws(Complaint) -> Address {
        let path = String(text.dropFirst("unix:".count))
        guard !path.isEmpty, !path.hasSuffix("/") else {
            throw Complaint("\(quote(text)) needs the path of a file, as in \"unix:/run/app.sock\"")
        }
        guard !path.hasPrefix("@") else {
            throw Complaint("\(quote(text)): abstract sockets are not supported; give a path")
        }
        guard !path.utf8.contains(0) else { throw Complaint("a path cannot contain a NUL") }
        let resolved = ManifestPath.resolve(path, in: folder)
        guard resolved.utf8.count <= unixPathBytesMax else {
            throw Complaint(
                "\(quote(resolved)) has \(resolved.utf8.count) bytes; the path of a Unix socket has"
                    + " at most \(unixPathBytesMax)"
            )
        }
        return .unix(resolved)
    }

    private static func named(
        _ name: String,
        port: UInt16,
        in text: String,
        for role: Role
    ) throws(Complaint) -> Address {
        let lastLabel = name.split(separator: ".").last ?? ""
        if !lastLabel.isEmpty,
            lastLabel.utf8.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 })
        {
            throw Complaint("\(quote(text)): not an IPv4 address")
        }
        guard isName(name) else { throw Complaint("\(quote(text)): not an address with a port") }
        guard role == .peer else {
            throw Complaint(
                "\(quote(text)): a listener takes no name; give an address such as"
                    + " \"127.0.0.1:\(port)\" or \"[::1]:\(port)\""
            )
        }
        return .name(name.lowercased(), port: port)
    }

    private static func port(
        _ digits: Substring,
        in text: String,
        for role: Role
    ) throws(Complaint) -> UInt16 {
        let isNumber =
            1...5 ~= digits.utf8.count
            && digits.utf8.allSatisfy { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
        guard isNumber, let port = UInt16(digits), role == .listener || port > 0 else {
            throw Complaint(
                "\(quote(text)): the port is a number from \(role == .listener ? 0 : 1) to 65535"
            )
        }
        return port
    }

    /// The bytes of a dotted quad without leading zeros, which some systems read as octal.
    static func ipv4Bytes(_ text: Substring) -> [UInt8]? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        let bytes = parts.compactMap { part -> UInt8? in
            let isPlain =
                1...3 ~= part.utf8.count
                && part.utf8.allSatisfy { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
                && (part == "0" || !part.hasPrefix("0"))
            return isPlain ? UInt8(part) : nil
        }
        return parts.count == 4 && bytes.count == 4 ? bytes : nil
    }

    /// The groups of an IPv6 address (RFC 4291 §2.2), without zone.
    static func ipv6Groups(_ text: Substring) -> [UInt16]? {
        guard let gap = gap(in: text) else {
            guard let groups = plainGroups(text), groups.count == 8 else { return nil }
            return groups
        }
        let before = text[..<gap]
        let after = text[text.utf8.index(gap, offsetBy: 2)...]
        guard let head = before.isEmpty ? [] : plainGroups(before, mayEndInIPv4: false),
            let tail = after.isEmpty ? [] : plainGroups(after),
            head.count + tail.count <= 7
        else { return nil }
        return head + Array(repeating: 0, count: 8 - head.count - tail.count) + tail
    }

    /// Where "::" stands.
    private static func gap(in text: Substring) -> Substring.Index? {
        var index = text.utf8.startIndex
        while index < text.utf8.endIndex {
            if text[index...].hasPrefix("::") { return index }
            index = text.utf8.index(after: index)
        }
        return nil
    }

    private static func plainGroups(_ text: Substring, mayEndInIPv4: Bool = true) -> [UInt16]? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        var groups: [UInt16] = []
        for (index, part) in parts.enumerated() {
            if mayEndInIPv4, index == parts.count - 1, let bytes = ipv4Bytes(part) {
                groups.append(UInt16(bytes[0]) << 8 | UInt16(bytes[1]))
                groups.append(UInt16(bytes[2]) << 8 | UInt16(bytes[3]))
                continue
            }
            guard 1...4 ~= part.utf8.count, part.allSatisfy({ $0.isASCII && $0.isHexDigit }),
                let group = UInt16(part, radix: 16)
            else { return nil }
            groups.append(group)
        }
        return groups
    }

    /// The recommended text of an IPv6 address (RFC 5952 §4).
    static func text(ofIPv6 groups: [UInt16]) -> String {
        var longest = 0..<0
        var index = 0
        while index < groups.count {
            let zeros = groups[index...].prefix { $0 == 0 }.count
            if zeros > max(1, longest.count) { longest = index..<(index + zeros) }
            index += max(1, zeros)
        }
        func write(_ part: ArraySlice<UInt16>) -> String {
            part.map { String($0, radix: 16) }.joined(separator: ":")
        }
        if longest.isEmpty { return write(groups[...]) }
        return write(groups[..<longest.lowerBound]) + "::" + write(groups[longest.upperBound...])
    }

    /// Whether a text is a host name: labels of letters, digits, "-" and "_" (which names of
    /// containers have, though RFC 952 forbids it), without a dot at the end.
    static func isName(_ text: String) -> Bool {
        guard 1...253 ~= text.utf8.count else { return false }
        return text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
            1...63 ~= label.utf8.count && !label.hasPrefix("-") && !label.hasSuffix("-")
                && label.unicodeScalars.allSatisfy {
                    "a"..."z" ~= $0 || "A"..."Z" ~= $0 || "0"..."9" ~= $0 || $0 == "-" || $0 == "_"
                }
        }
    }
}
