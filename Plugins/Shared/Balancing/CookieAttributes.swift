import SluiceSDK

/// The name and the attributes of a cookie (RFC 6265 §4.1), as a configuration has them.
struct CookieAttributes {
    /// When the attribute Secure is set.
    enum Secure {
        case always
        case never
        /// Where the client's connection is TLS.
        case overTLS
    }

    let name: Bytes
    let secure: Secure
    private let path: Bytes
    private let domain: Bytes?
    /// In seconds; nil lets the cookie end with the browser.
    private let maxAge: Int?
    private let isHTTPOnly: Bool
    private let sameSite: Bytes?

    /// Nanoseconds of `max_age`: a second to 400 days, beyond which browsers do not go.
    private static var ages: ClosedRange<Int> { 1_000_000_000...34_560_000_000_000_000 }

    /// - Throws: which key is wrong, or which do not go together.
    init(_ value: ConfigurationValue) throws(PluginError) {
        name = try value.string("cookie") ?? "sluice_peer"
        path = try Self.text(value, "path") ?? "/"
        domain = try Self.text(value, "domain")
        maxAge = try value.member("max_age").map { age throws(PluginError) in
            let nanoseconds = try age.nanoseconds()
            guard Self.ages.contains(nanoseconds) else {
                throw age.error("is not within 1s to 9600h")
            }
            return nanoseconds / 1_000_000_000
        }
        secure = try Self.secure(value)
        isHTTPOnly = try value.bool("http_only") ?? true
        sameSite = try Self.sameSite(value)
        try check(value)
    }

    private func check(_ value: ConfigurationValue) throws(PluginError) {
        guard name.isToken, name.count <= StickyConfiguration.textBytesMax else {
            throw PluginError(path: value.path + ".cookie", "no name of a cookie")
        }
        if !path.hasPrefix("/") {
            throw PluginError(path: value.path + ".path", "does not begin with /")
        }
        if sameSite == "None", secure != .always {
            throw PluginError(
                path: value.path + ".same_site",
                "browsers take \"none\" with secure: true only"
            )
        }
        // What browsers ask of these names: draft-ietf-httpbis-rfc6265bis §4.1.3.
        let isHost = name.prefix(min(7, name.count)).equalsIgnoringCase("__Host-")
        let isSecure = name.prefix(min(9, name.count)).equalsIgnoringCase("__Secure-")
        if isHost || isSecure, secure != .always {
            throw PluginError(path: value.path + ".cookie", "this name needs secure: true")
        }
        if isHost, domain != nil || path != "/" {
            throw PluginError(path: value.path + ".cookie", "this name needs path / and no domain")
        }
    }

    /// A value of an attribute: no semicolon and no control character (RFC 6265 §4.1.1).
    private static func text(
        _ value: ConfigurationValue,
        _ key: StaticString
    ) throws(PluginError) -> Bytes? {
        guard let member = try value.member(key) else { return nil }
        let text = try member.string()
        guard !text.isEmpty, text.count <= StickyConfiguration.textBytesMax,
            text.isFieldValue, text.firstIndex(of: 0x3B) == nil
        else { throw member.error("can't stand in a cookie") }
        return text
    }

    private static func secure(_ value: ConfigurationValue) throws(PluginError) -> Secure {
        guard let member = try value.member("secure") else { return .overTLS }
        if member.isBool { return try member.bool() ? .always : .never }
        guard member.isString, try member.string() == "auto" else {
            throw member.error("true, false or \"auto\" is wanted")
        }
        return .overTLS
    }

    private static func sameSite(_ value: ConfigurationValue) throws(PluginError) -> Bytes? {
        guard let member = try value.member("same_site") else { return "Lax" }
        switch try member.string() {
        case "lax": return "Lax"
        case "strict": return "Strict"
        case "none": return "None"
        case "omit": return nil
        default: throw member.error("there are lax, strict, none and omit")
        }
    }

    /// What follows the value.
    func text(isSecure: Bool) -> String {
        var text = "; Path=" + String(path)
        if let domain { text += "; Domain=" + String(domain) }
        if let maxAge { text += "; Max-Age=\(maxAge)" }
        if isSecure { text += "; Secure" }
        if isHTTPOnly { text += "; HttpOnly" }
        if let sameSite { text += "; SameSite=" + String(sameSite) }
        return text
    }
}
