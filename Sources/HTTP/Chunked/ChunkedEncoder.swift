/// Writes the parts of a chunked body that are not data (RFC 9112 §7.1).
public enum ChunkedEncoder {
    /// Bytes of the longest size line: 16 digits and CRLF.
    public static let sizeLineBytesMax = 18

    /// The last chunk and an empty trailer section.
    public static var lastChunk: StaticString { "0\r\n\r\n" }

    /// Writes the size in hexadecimal digits, and CRLF; returns the bytes written.
    ///
    /// After the data that follow the caller writes another CRLF.
    ///
    /// Safe: `out` has room for `sizeLineBytesMax` bytes; an `Int` has at most 16 digits.
    public static func writeSizeLine(_ size: Int, to out: UnsafeMutablePointer<UInt8>) -> Int {
        precondition(size > 0, "a chunk of \(size) bytes: an empty one would end the body")
        let count = (64 &- size.leadingZeroBitCount &+ 3) &>> 2
        var rest = size
        var at = count
        while at > 0 {
            at &-= 1
            let digit = UInt8(truncatingIfNeeded: rest & 15)
            out[at] = digit &+ (digit < 10 ? Byte.zero : 0x61 - 10)
            rest &>>= 4
        }
        out[count] = Byte.carriageReturn
        out[count &+ 1] = Byte.lineFeed
        return count &+ 2
    }
}
