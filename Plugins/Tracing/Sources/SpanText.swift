package import SluiceSDK

/// Texts of a span, in the order in which they lie in its record.
enum SpanText: Int, CaseIterable {
    case method, path, query, host, route, userAgent, client, upstream, peer, plugin, reason
    case state

    /// Bytes that are kept; the rest is cut.
    var bytesMax: Int {
        switch self {
        case .method: 24
        case .path: 480
        case .query: 256
        case .host: 128
        case .route: 64
        case .userAgent: 160
        case .client: 48
        case .upstream: 64
        case .peer: 64
        case .plugin: 40
        case .reason: 64
        case .state: TraceState.bytesMax
        }
    }
}

/// Copies texts of a request into a span: valid UTF-8 of a bounded length, as receivers want it.
package struct TextCopier: ~Copyable {
    /// U+FFFD, which stands for bytes that are no UTF-8.
    private static var replacement: Bytes { "\u{FFFD}" }

    private let start: UnsafeMutablePointer<UInt8>
    private let capacity: Int
    /// Bytes written.
    package private(set) var count = 0
    /// Whether something did not fit, and nothing more is taken.
    private var isCut = false

    /// - Parameter start: room for `capacity` bytes.
    package init(_ start: UnsafeMutablePointer<UInt8>, capacity: Int) {
        self.start = start
        self.capacity = capacity
    }

    /// Appends text, with U+FFFD for each byte that is no part of a character, and cuts it between
    /// characters.
    package mutating func append(_ text: Bytes) {
        var offset = 0
        while offset < text.count, !isCut {
            let length = Self.characterBytes(text, offset)
            append(whole: length > 0 ? text[offset..<offset + length] : Self.replacement)
            offset += max(length, 1)
        }
    }

    private mutating func append(whole character: Bytes) {
        guard character.count <= capacity - count else {
            isCut = true
            return
        }
        // Safe: there is room for all of it.
        for byte in character.indices { start[count + byte] = character[byte] }
        count += character.count
    }

    /// Bytes of the character at an offset; 0 when it is no UTF-8 (RFC 3629 §4).
    private static func characterBytes(_ text: Bytes, _ offset: Int) -> Int {
        let first = text[offset]
        if first < 0x80 { return 1 }
        let (length, second): (Int, ClosedRange<UInt8>) =
            switch first {
            case 0xC2...0xDF: (2, 0x80...0xBF)
            case 0xE0: (3, 0xA0...0xBF)
            case 0xED: (3, 0x80...0x9F)
            case 0xE1...0xEF: (3, 0x80...0xBF)
            case 0xF0: (4, 0x90...0xBF)
            case 0xF1...0xF3: (4, 0x80...0xBF)
            case 0xF4: (4, 0x80...0x8F)
            default: (0, 0...0)
            }
        guard length > 0, offset + length <= text.count, second.contains(text[offset + 1]) else {
            return 0
        }
        for next in 2..<4 where next < length {
            guard 0x80...0xBF ~= text[offset + next] else { return 0 }
        }
        return length
    }
}

/// What becomes of the values of a query in a span.
package struct QueryRule: BitwiseCopyable {
    /// What is done.
    package enum Kind: UInt8, BitwiseCopyable {
        /// Values of names that may be secrets are replaced.
        case redact
        /// All of it stays.
        case keep
        /// There is none.
        case drop
    }

    /// Names that a configuration may add.
    static let namesMax = 64
    /// What stands in place of a value, as the semantic conventions have it.
    static var redacted: Bytes { "REDACTED" }
    /// Names whose values are secrets more often than not; the first four are those of the semantic
    /// conventions.
    static var wellKnown: [Bytes] {
        [
            "AWSAccessKeyId", "Signature", "sig", "X-Goog-Signature", "X-Amz-Signature",
            "X-Amz-Credential", "X-Amz-Security-Token", "access_token", "id_token",
            "refresh_token", "token", "api_key", "apikey", "api-key", "key", "auth",
            "authorization", "client_secret", "secret", "password", "passwd", "pwd", "pass",
            "code", "session", "sessionid", "session_id", "sid", "jwt", "ticket", "otp",
            "SAMLRequest", "SAMLResponse",
        ]
    }

    private let kind: Kind
    private let names: List<Bytes>

    /// - Parameter names: whose values are replaced, in any case; valid for the instance.
    package init(_ kind: Kind, names: List<Bytes>) {
        self.kind = kind
        self.names = names
    }

    /// Copies a query, without its "?", as far as the rule lets it through.
    package func copy(_ query: Bytes, to copier: inout TextCopier) {
        switch kind {
        case .drop: return
        case .keep: copier.append(query)
        case .redact: redact(query, &copier)
        }
    }

    private func redact(_ query: Bytes, _ copier: inout TextCopier) {
        var rest = query
        while true {
            let end = rest.firstIndex(of: 0x26) ?? rest.count
            let pair = rest.prefix(end)
            let equals = pair.firstIndex(of: 0x3D)
            if let equals, isSecret(pair.prefix(equals)) {
                copier.append(pair.prefix(equals + 1))
                copier.append(Self.redacted)
            } else {
                copier.append(pair)
            }
            guard end < rest.count else { return }
            copier.append("&")
            rest = rest.dropFirst(end + 1)
        }
    }

    private func isSecret(_ name: Bytes) -> Bool {
        for secret in names where Self.matches(name, secret) { return true }
        return false
    }

    /// Whether a name is another one, in any case and with any of its characters as %41.
    private static func matches(_ name: Bytes, _ wanted: Bytes) -> Bool {
        var offset = 0
        for place in wanted.indices {
            guard offset < name.count else { return false }
            var byte = name[offset]
            offset += 1
            if byte == 0x25, offset + 2 <= name.count, let high = digit(name[offset]),
                let low = digit(name[offset + 1])
            {
                byte = high << 4 | low
                offset += 2
            }
            guard lowered(byte) == lowered(wanted[place]) else { return false }
        }
        return offset == name.count
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }

    private static func lowered(_ byte: UInt8) -> UInt8 {
        byte &- 0x41 < 26 ? byte | 0x20 : byte
    }
}
