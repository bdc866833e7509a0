/// What the first bytes of a connection say about its protocol.
public enum PrefaceMatch: Sendable {
    /// They begin with the whole preface of HTTP/2.
    case whole
    /// All of them are a part of it.
    case part
    case none
}

extension H2Connection {
    /// Compares the first bytes of a client's connection with the preface (RFC 9113 §3.4).
    ///
    /// Safe: reads `count` bytes.
    public static func matchPreface(
        _ bytes: UnsafePointer<UInt8>,
        _ count: Int
    ) -> PrefaceMatch {
        let preface = preface
        let length = min(count, preface.utf8CodeUnitCount)
        for at in 0..<length where bytes[at] != preface.utf8Start[at] { return .none }
        return length == preface.utf8CodeUnitCount ? .whole : .part
    }
}
