import SluiceSDK

/// A content coding (RFC 9110 §8.4.1).
enum Coding: UInt8, CaseIterable {
    case gzip = 0
    /// The zlib format of RFC 1950, as RFC 9110 §8.4.1.2 wants it; deflate without its wrapper,
    /// which some senders mean by the name, is refused.
    case deflate = 1
    /// RFC 7932.
    case brotli = 2
    /// RFC 8878, with windows of up to 8 MiB (RFC 9659).
    case zstandard = 3

    static let count = 4

    /// The name in fields and in the configuration.
    var name: Bytes {
        switch self {
        case .gzip: "gzip"
        case .deflate: "deflate"
        case .brotli: "br"
        case .zstandard: "zstd"
        }
    }

    /// The coding of a name, in any case; nil for those that are not known here.
    init?(named name: Bytes) {
        switch name.count {
        case 2 where name.equalsIgnoringCase("br"): self = .brotli
        case 4 where name.equalsIgnoringCase("gzip"): self = .gzip
        case 4 where name.equalsIgnoringCase("zstd"): self = .zstandard
        // RFC 9110 §8.4.1.3: the same as gzip.
        case 6 where name.equalsIgnoringCase("x-gzip"): self = .gzip
        case 7 where name.equalsIgnoringCase("deflate"): self = .deflate
        default: return nil
        }
    }
}

/// The elements between the commas of a field's value, without blanks; empty ones are left out
/// (RFC 9110 §5.6.1.2).
struct Elements: Sequence, IteratorProtocol {
    private var rest: Bytes
    private let separator: UInt8
    private var isOver = false

    init(_ list: Bytes, separatedBy separator: UInt8 = UInt8(ascii: ",")) {
        rest = list
        self.separator = separator
    }

    mutating func next() -> Bytes? {
        while !isOver {
            let end = rest.firstIndex(of: separator) ?? rest.count
            let element = rest.prefix(end).trimmed
            if end == rest.count { isOver = true } else { rest = rest.dropFirst(end + 1) }
            if !element.isEmpty { return element }
        }
        return nil
    }
}

extension Fields {
    /// Whether a field that is a list of names has this one, in any of its lines.
    func list(_ id: FieldID, has member: Bytes) -> Bool {
        guard contains(id) else { return false }
        for field in self where field.id == id {
            for element in Elements(field.value) where element.equalsIgnoringCase(member) {
                return true
            }
        }
        return false
    }
}
