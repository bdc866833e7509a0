import SluiceSDK

/// A text to look for in bytes that come in pieces (Knuth, Morris and Pratt, 1977).
///
/// However it is cut, each byte of the input is looked at about once, and what must be remembered
/// between two pieces is one number.
struct Pattern: BitwiseCopyable {
    static let bytesMax = 256

    let text: Bytes
    /// For each length of a match that has begun: the next shorter one that may have begun as well.
    private let shorter: List<UInt16>

    init(_ text: Bytes, _ memory: InstanceMemory) throws(PluginError) {
        guard 1...Pattern.bytesMax ~= text.count else {
            throw PluginError("1 to \(Pattern.bytesMax) bytes are wanted, not \(text.count)")
        }
        var shorter: [UInt16] = [0]
        var length = 0
        for offset in 1..<max(text.count, 1) {
            while length > 0, text[offset] != text[length] { length = Int(shorter[length - 1]) }
            if text[offset] == text[length] { length += 1 }
            shorter.append(UInt16(length))
        }
        self.text = text
        self.shorter = memory.list(shorter)
    }

    /// How many bytes of the text have been seen when `byte` follows `matched` of them.
    func advance(_ matched: Int, _ byte: UInt8) -> Int {
        var length = matched
        while length > 0, text[length] != byte { length = Int(shorter[length - 1]) }
        return text[length] == byte ? length + 1 : 0
    }
}
