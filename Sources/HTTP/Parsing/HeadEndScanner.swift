/// Tells whether a head or a trailer section ends in the bytes received so far.
///
/// A head that arrives byte by byte would otherwise be parsed anew with each of them, which costs
/// the square of its length. The scanner looks at each byte once, and at the last two once more.
/// It takes LF CRLF and LF LF for an end; the parser then refuses the latter.
public struct HeadEndScanner {
    private var scanned = 0

    public init() {}

    /// Whether an end stands in `bytes[0..<count]`.
    ///
    /// Each call must bring the same bytes as the one before, and any number of new ones after
    /// them.
    ///
    /// Safe: reads below `count` only.
    public mutating func found(in bytes: UnsafePointer<UInt8>, count: Int) -> Bool {
        var at = scanned
        while at < count {
            let hits = Words.zeroes(in: bytes.word(at, end: count) ^ Words.each(Byte.lineFeed))
            if hits == 0 {
                at &+= 8
                continue
            }
            at &+= Words.firstIndex(hits)
            if isEnd(bytes, at: at, count: count) {
                scanned = at
                return true
            }
            at &+= 1
        }
        scanned = count > 2 ? max(scanned, count &- 2) : 0
        return false
    }

    private func isEnd(_ bytes: UnsafePointer<UInt8>, at: Int, count: Int) -> Bool {
        guard at &+ 1 < count else { return false }
        if bytes[at &+ 1] == Byte.lineFeed { return true }
        guard at &+ 2 < count else { return false }
        return bytes[at &+ 1] == Byte.carriageReturn && bytes[at &+ 2] == Byte.lineFeed
    }
}
