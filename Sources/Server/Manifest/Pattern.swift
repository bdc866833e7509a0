internal import Proxy

/// Parsers of the short texts that a manifest matches requests with, and of its names.
enum Pattern {
    static let nameForm = TextForm(
        "name",
        expected: "a name",
        pattern: "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$"
    )

    /// What is wrong with the name of a plugin, an upstream or a route; nil if it is good.
    static func complaint(aboutName name: String) -> Complaint? {
        let isGood =
            1...ManifestLimits.nameBytesMax ~= name.utf8.count
            && name.unicodeScalars.allSatisfy { isWord($0) || $0 == "." || $0 == "-" }
            && name.unicodeScalars.first.map(isWord) == true
        return isGood
            ? nil
            : Complaint(
                "a name has 1 to \(ManifestLimits.nameBytesMax) of A-Z a-z 0-9 _ . - and does not"
                    + " begin with . or -"
            )
    }

    // MARK: Hosts

    static let hostForm = TextForm(
        "host",
        expected: "a host such as \"example.com\" or \"*.example.com\""
    )

    /// "example.com", "*.example.com", "192.0.2.1" or "[2001:db8::1]".
    static func host(_ text: String) throws(Complaint) -> HostPattern {
        if text == "*" { throw Complaint("leave the key out to match any host") }
        if text.hasPrefix("*.") {
            let suffix = String(text.dropFirst(2)).lowercased()
            guard Address.isName(suffix) else {
                throw Complaint("\(quote(text)) is not a host such as \"*.example.com\"")
            }
            return .suffix("." + suffix)
        }
        if text.hasPrefix("["), text.hasSuffix("]") {
            guard let groups = Address.ipv6Groups(text.dropFirst().dropLast()) else {
                throw Complaint("\(quote(text)) is not an IPv6 address in brackets")
            }
            return .exact("[" + Address.text(ofIPv6: groups) + "]")
        }
        if text.utf8.contains(UInt8(ascii: ":")) {
            throw Complaint("a host is matched without its port, and IPv6 in brackets")
        }
        guard Address.isName(text) else {
            throw Complaint(
                "\(quote(text)) is not a host such as \"example.com\" or \"*.example.com\""
            )
        }
        return .exact(text.lowercased())
    }

    // MARK: Paths

    static let pathForm = TextForm(
        "path",
        expected: "a path such as \"/exact\" or \"/prefix/*\"",
        pattern: "^/[^*?#\\s]*([/]\\*)?$|^/\\*$"
    )

    /// "/exact", "/prefix/*" or "/*".
    static func path(_ text: String) throws(Complaint) -> PathPattern {
        guard text.hasPrefix("/") else { throw Complaint("a path begins with \"/\"") }
        guard text.utf8.count <= ManifestLimits.patternBytesMax else {
            throw Complaint("a path has at most \(ManifestLimits.patternBytesMax) bytes")
        }
        let isPrefix = text.hasSuffix("/*")
        let literal = isPrefix ? String(text.dropLast()) : text
        for scalar in literal.unicodeScalars {
            switch scalar {
            case "*": throw Complaint("\"*\" stands only at the end, behind a \"/\"")
            case "?", "#": throw Complaint("a path is matched without its query and fragment")
            case "!"..."~": continue
            default:
                throw Complaint(
                    "\(quote(String(scalar))) cannot occur in a path; write it as %XX, as"
                        + " clients do"
                )
            }
        }
        if literal == "/", isPrefix { return .any }
        return isPrefix ? .prefix(literal) : .exact(literal)
    }

    // MARK: Methods and fields

    static let methodForm = TextForm(
        "method",
        expected: "a method such as \"GET\"",
        pattern: "^[!#$%&'*+.^_`|~0-9A-Z-]+$"
    )

    /// A method (RFC 9110 §9.1); methods are case-sensitive, and none in use has lower case.
    static func method(_ text: String) throws(Complaint) -> String {
        guard isToken(text), text.utf8.count <= 32 else {
            throw Complaint("\(quote(text)) is not a method such as \"GET\"")
        }
        guard text == text.uppercased() else {
            throw Complaint(
                "methods are upper case; did you mean \(quote(text.uppercased()))?"
            )
        }
        return text
    }

    /// A field name (RFC 9110 §5.1) in lower case.
    static func fieldName(_ text: String) throws(Complaint) -> String {
        guard isToken(text), text.utf8.count <= 256 else {
            throw Complaint("\(quote(text)) is not the name of a header field")
        }
        return text.lowercased()
    }

    /// A field value (RFC 9110 §5.5) without white space around it, as requests are compared.
    static func fieldValue(_ text: String) throws(Complaint) -> String {
        guard text.utf8.count <= ManifestLimits.patternBytesMax else {
            throw Complaint("a value has at most \(ManifestLimits.patternBytesMax) bytes")
        }
        let isGood =
            text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }
            && text.utf8.first.map(isBlank) != true && text.utf8.last.map(isBlank) != true
        guard isGood else {
            throw Complaint("a value has no control characters and no white space around it")
        }
        return text
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    /// RFC 9110 §5.6.2.
    private static func isToken(_ text: String) -> Bool {
        !text.isEmpty
            && text.unicodeScalars.allSatisfy {
                isWord($0) || "!#$%&'*+-.^`|~".unicodeScalars.contains($0)
            }
    }

    private static func isWord(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "A"..."Z", "a"..."z", "0"..."9", "_": true
        default: false
        }
    }

    // MARK: Plugins

    static let digestForm = TextForm(
        "SHA-256",
        expected: "64 hex digits",
        pattern: "^[0-9A-Fa-f]{64}$"
    )

    /// A SHA-256 in hex, in lower case.
    static func digest(_ text: String) throws(Complaint) -> String {
        guard text.utf8.count == 64, text.allSatisfy({ $0.isASCII && $0.isHexDigit }) else {
            throw Complaint("expected the 64 hex digits that sha256sum prints")
        }
        return text.lowercased()
    }

    static let onErrorForm = TextForm(
        "`\"open\"` or `\"closed:STATUS\"`",
        expected: "\"open\" or \"closed:STATUS\" with a status of 400 to 599",
        pattern: "^(open|closed:[45][0-9]{2})$"
    )

    static func onError(_ text: String) throws(Complaint) -> OnError {
        if text == "open" { return .open }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        if parts.count == 2, parts[0] == "closed", parts[1].utf8.count == 3,
            let status = UInt16(parts[1]), 400...599 ~= status
        {
            return .closed(status)
        }
        throw Complaint("expected \(onErrorForm.expected), found \(quote(text))")
    }
}
