/// A body of a message that a test sends.
public enum EngineBody: Sendable, ExpressibleByStringLiteral {
    /// No body.
    case none
    /// Pieces of a known length, each sent by itself.
    case pieces([String])
    /// The same of an unknown length: the chunked coding, a chunk for each piece.
    case chunks([String])
    /// Bytes of a known length.
    case bytes([UInt8])
    /// The same in pieces of a size, 1 or more.
    case split([UInt8], size: Int, isChunked: Bool)

    /// A text of a known length.
    public init(stringLiteral text: String) { self = .pieces([text]) }

    /// The fields that say how long it is.
    var framing: String {
        switch self {
        case .none: ""
        case .pieces(let pieces):
            "Content-Length: \(pieces.reduce(0) { $0 + $1.utf8.count })\r\n"
        case .bytes(let bytes), .split(let bytes, _, false): "Content-Length: \(bytes.count)\r\n"
        case .chunks, .split: "Transfer-Encoding: chunked\r\n"
        }
    }

    /// What is sent behind the head, piece by piece.
    var pieces: [[UInt8]] {
        switch self {
        case .none: []
        case .pieces(let pieces): pieces.map { Array($0.utf8) }
        case .bytes(let bytes): [bytes]
        case .chunks(let pieces):
            pieces.filter { !$0.isEmpty }.map { Self.chunk(Array($0.utf8)) }
                + [Array("0\r\n\r\n".utf8)]
        case .split(let bytes, let size, let isChunked):
            Self.split(bytes, size).map { isChunked ? Self.chunk($0) : $0 }
                + (isChunked ? [Array("0\r\n\r\n".utf8)] : [])
        }
    }

    private static func chunk(_ bytes: [UInt8]) -> [UInt8] {
        Array("\(String(bytes.count, radix: 16))\r\n".utf8) + bytes + Array("\r\n".utf8)
    }

    private static func split(_ bytes: [UInt8], _ size: Int) -> [[UInt8]] {
        stride(from: 0, to: bytes.count, by: max(size, 1)).map {
            Array(bytes[$0..<min($0 + max(size, 1), bytes.count)])
        }
    }
}

/// A message that a test received.
public struct EngineMessage: Sendable {
    /// "HTTP/1.1 200 OK", or "GET / HTTP/1.1".
    public let startLine: String
    /// Fields in order, names in lower case.
    public let fields: [(name: String, value: String)]
    /// The bytes of the body that have come, without framing.
    public let body: [UInt8]
    /// Fields behind a body in the chunked coding, names in lower case.
    public private(set) var trailers: [(name: String, value: String)] = []
    /// Whether the message is whole.
    public let isComplete: Bool
    /// Bytes of the message on the connection, as far as they have come.
    let length: Int

    /// The body as text.
    public var text: String { String(decoding: body, as: UTF8.self) }

    /// The status of a response; 0 for a request.
    public var status: Int {
        startLine.hasPrefix("HTTP/") ? Int(startLine.split(separator: " ")[1]) ?? 0 : 0
    }

    /// The method of a request.
    public var method: String { String(startLine.split(separator: " ")[0]) }

    /// The target of a request.
    public var path: String { String(startLine.split(separator: " ")[1]) }

    /// The value of a field, in lower case; several are joined with ", ".
    public subscript(_ name: String) -> String? {
        let values = fields.filter { $0.name == name }.map(\.value)
        return values.isEmpty ? nil : values.joined(separator: ", ")
    }

    /// Reads the first message; nil while its head is not whole.
    ///
    /// - Parameters:
    ///   - isClosed: whether no more bytes come.
    ///   - hasBody: false for the answer of a HEAD.
    init?(_ bytes: ArraySlice<UInt8>, isClosed: Bool, hasBody: Bool = true) {
        guard let end = Self.headEnd(bytes) else { return nil }
        let text = String(decoding: bytes[bytes.startIndex..<end - 4], as: UTF8.self)
        // A line's end is one character.
        let lines = text.split(separator: "\r\n", omittingEmptySubsequences: false)
        guard lines[0].split(separator: " ").count > 1 else { return nil }
        startLine = String(lines[0])
        fields = lines.dropFirst().map { Self.field($0) }
        let isResponse = lines[0].hasPrefix("HTTP/")
        let status = isResponse ? Int(lines[0].split(separator: " ")[1]) ?? 0 : 0
        let rest = bytes[end...]
        let head = fields
        func value(_ name: String) -> String? { head.first { $0.name == name }?.value }
        if !hasBody || status / 100 == 1 || status == 204 || status == 304 {
            (body, isComplete, length) = ([], true, end - bytes.startIndex)
        } else if value("transfer-encoding")?.lowercased() == "chunked" {
            let decoded = Self.decode(rest)
            body = decoded.body
            isComplete = decoded.end != nil
            trailers = decoded.trailers
            length = (decoded.end ?? bytes.endIndex) - bytes.startIndex
        } else if let count = value("content-length").flatMap({ Int($0) }) {
            let part = Array(rest.prefix(count))
            (body, isComplete) = (part, part.count == count)
            length = end - bytes.startIndex + part.count
        } else if isResponse {
            (body, isComplete, length) = (Array(rest), isClosed, bytes.count)
        } else {
            (body, isComplete, length) = ([], true, end - bytes.startIndex)
        }
    }

    private static func field(_ line: Substring) -> (name: String, value: String) {
        let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let value = parts.count > 1 ? parts[1].drop { $0 == " " } : ""
        return (parts[0].lowercased(), String(value))
    }

    private static func headEnd(_ bytes: ArraySlice<UInt8>) -> Int? {
        let mark = Array("\r\n\r\n".utf8)
        guard bytes.count >= 4 else { return nil }
        return (bytes.startIndex...bytes.endIndex - 4)
            .first { bytes[$0..<$0 + 4].elementsEqual(mark) }.map { $0 + 4 }
    }

    /// The chunked coding: what has come of the body, and where the message ends if it does.
    private static func decode(
        _ bytes: ArraySlice<UInt8>
    ) -> (body: [UInt8], trailers: [(name: String, value: String)], end: Int?) {
        var body: [UInt8] = []
        var trailers: [(name: String, value: String)] = []
        var rest = bytes
        while let line = takeLine(&rest) {
            let digits = line.prefix { $0 != UInt8(ascii: ";") }
            guard let count = Int(String(decoding: digits, as: UTF8.self), radix: 16) else { break }
            if count == 0 {
                // Trailer fields, up to an empty line.
                while let trailer = takeLine(&rest) {
                    if trailer.isEmpty { return (body, trailers, rest.startIndex) }
                    trailers.append(field(Substring(String(decoding: trailer, as: UTF8.self))))
                }
                break
            }
            body += rest.prefix(count)
            guard rest.count >= count + 2 else { break }
            rest = rest.dropFirst(count + 2)
        }
        return (body, [], nil)
    }

    private static func takeLine(_ bytes: inout ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        guard let end = bytes.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
        let line = bytes[..<end].dropLast()
        bytes = bytes[(end + 1)...]
        return line
    }
}
