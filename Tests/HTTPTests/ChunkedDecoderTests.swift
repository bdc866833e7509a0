import HTTP
import Testing

/// The chunked coding (RFC 9112 §7.1).
struct ChunkedDecoderTests {
    static let bodies: [(String, String)] = [
        ("0\r\n\r\n", ""), ("5\r\nhello\r\n0\r\n\r\n", "hello"),
        ("1\r\na\r\n1\r\nb\r\n2\r\ncd\r\n000\r\n\r\n", "abcd"),
        ("7\r\n0\r\n\r\n0\r\r\n2\r\n\r\n\r\n0\r\n\r\n", "0\r\n\r\n0\r\r\n"),
        ("5;a\r\nhello\r\n0;b=\"c\\\"\\\\d;e\"\t; f\t=g \t;h\r\n\r\n", "hello"),
        ("00000000000010;x=\"\u{E9}\t\"\r\n0123456789abcdef\r\n0\r\n\r\n", "0123456789abcdef"),
    ]

    static let withTrailers: [(String, String, Int)] = [
        ("0\r\nX: y\r\n\r\n", "", 3), ("3\r\nabc\r\n0;x\r\nX: y\r\nZ:\r\n\r\n", "abc", 13),
        ("0\r\n: \r\n\r\n", "", 3), ("0\r\n x\r\n", "", 3),
    ]

    static let refused: [(String, ChunkError)] = [
        ("\r\n", .badSize), ("g\r\n", .badSize), ("0x1\r\n", .badSize), ("+1\r\n", .badSize),
        ("-1\r\n", .badSize), (" 1\r\n", .badSize), ("1 \r\n", .badSize), ("1 2\r\n", .badSize),
        ("1\t\r\n", .badSize), ("1_0\r\n", .badSize), ("1\u{0}\r\n", .badSize),
        ("1,\r\n", .badSize), (";a\r\n", .badSize), ("\u{E9}", .badSize),
        ("8000000000000000\r\n", .sizeTooLarge), ("ffffffffffffffff\r\n", .sizeTooLarge),
        ("00000000000000000\r\n", .sizeTooLarge), ("10000000000000001\r\n", .sizeTooLarge),
        ("1;\r\n", .badExtension), ("1;;a\r\n", .badExtension), ("1;a=\r\n", .badExtension),
        ("1;a \r\n", .badExtension), ("1;a=b c\r\n", .badExtension), ("1;a=b \r\n", .badExtension),
        ("1;a=\"b\r\n", .badLineEnd), ("1;a=\"b\"c\r\n", .badExtension),
        ("1;a=\"\u{0}\"\r\n", .badExtension), ("1;a=\"\\\u{7F}\"\r\n", .badExtension),
        ("1;\u{E9}\r\n", .badExtension), ("1;a==b\r\n", .badExtension),
        ("1; =b\r\n", .badExtension),
        ("1\n", .badLineEnd), ("1\ra", .badLineEnd), ("\n", .badLineEnd), ("1;a\n", .badLineEnd),
        ("1;a\rb", .badLineEnd), ("1;a=\"\n\"\r\n", .badLineEnd), ("1;a=\"\\\r\n", .badLineEnd),
        ("1\r\naa", .badLineEnd), ("1\r\na\n", .badLineEnd), ("1\r\na\ra", .badLineEnd),
        ("1\r\na0\r\n\r\n", .badLineEnd), ("0\r\n\n", .badLineEnd), ("0\r\n\r\r", .badLineEnd),
        ("0\n", .badLineEnd), ("1\r\r\n", .badLineEnd),
    ]

    @Test(arguments: bodies)
    func `a body is the same in one piece, in two at every place, and byte by byte`(
        raw: String,
        data: String
    ) {
        let bytes = latin1(raw)
        let expected = Decoded(outcome: .done, data: latin1(data), consumed: bytes.count)
        #expect(decode(bytes) == expected)
        #expect(decode(bytes + latin1("GET /")) == expected)
        #expect(decodeByteByByte(bytes) == expected)
        for first in 0...bytes.count {
            #expect(decode(bytes, cutAt: [first]) == expected, "cut at \(first)")
            for second in stride(from: first, to: bytes.count, by: 3) {
                #expect(decode(bytes, cutAt: [first, second]) == expected)
            }
            guard first < bytes.count else { continue }
            let part = decode(Array(bytes[..<first]))
            #expect(part.outcome == .more)
            #expect(part.consumed == first)
        }
    }

    @Test(arguments: withTrailers)
    func `a trailer section is left to the caller`(raw: String, data: String, consumed: Int) {
        let bytes = latin1(raw)
        let expected = Decoded(outcome: .trailers, data: latin1(data), consumed: consumed)
        #expect(decode(bytes) == expected)
        #expect(decodeByteByByte(bytes) == expected)
        for cut in 0...bytes.count {
            #expect(decode(bytes, cutAt: [cut]) == expected)
        }
    }

    @Test(arguments: refused)
    func `a bad body is refused however it is cut`(raw: String, error: ChunkError) {
        let bytes = latin1(raw)
        let whole = decode(bytes)
        #expect(whole.outcome == .invalid(error))
        #expect(decodeByteByByte(bytes) == whole)
        for cut in 0...bytes.count {
            #expect(decode(bytes, cutAt: [cut]) == whole)
        }
        let after = decode(latin1("3\r\nabc\r\n") + bytes)
        #expect(after.outcome == .invalid(error))
        #expect(after.data.starts(with: latin1("abc")))
    }

    @Test
    func `each error has a cause`() {
        var caused = Set(ChunkedDecoderTests.refused.map { $0.1 })
        caused.formUnion([.lineTooLong, .extensionsTooLong])
        #expect(caused == Set(ChunkError.allCases))
    }

    @Test
    func `an outcome that ends the body is repeated`() {
        for (raw, outcome) in [
            ("0\r\n\r\n", ChunkedDecoder.Outcome.done), ("0\r\nX", .trailers),
            ("x", .invalid(.badSize)),
        ] {
            var decoder = ChunkedDecoder()
            for turn in 0..<2 {
                var bytes = latin1(raw)
                var consumed = -1
                var dataStart = -1
                var dataCount = -1
                let found = bytes.withUnsafeMutableBufferPointer { buffer in
                    buffer.baseAddress.map {
                        decoder.decode(
                            $0,
                            count: buffer.count,
                            consumed: &consumed,
                            dataStart: &dataStart,
                            dataCount: &dataCount
                        )
                    }
                }
                #expect(found == outcome)
                #expect(dataCount == 0)
                if turn == 1 { #expect(consumed == 0) }
            }
        }
    }

    @Test
    func `the greatest size is 2^63 - 1`() {
        var decoder = ChunkedDecoder()
        var bytes = latin1("7fffffffffffffff\r\nabc")
        var consumed = 0
        var dataStart = 0
        var dataCount = 0
        let outcome = bytes.withUnsafeMutableBufferPointer { buffer in
            buffer.baseAddress.map {
                decoder.decode(
                    $0,
                    count: buffer.count,
                    consumed: &consumed,
                    dataStart: &dataStart,
                    dataCount: &dataCount
                )
            }
        }
        #expect(outcome == .more)
        #expect(dataStart == 18)
        #expect(dataCount == 3)
        #expect(decoder.remainingInChunk == UInt64(Int64.max) - 3)
    }

    @Test
    func `data that stand alone are not moved`() {
        var bytes = latin1("5\r\nhello\r\n0\r\n\r\n")
        var decoder = ChunkedDecoder()
        var consumed = 0
        var dataStart = 0
        var dataCount = 0
        let before = bytes
        _ = bytes.withUnsafeMutableBufferPointer { buffer in
            buffer.baseAddress.map {
                decoder.decode(
                    $0,
                    count: buffer.count,
                    consumed: &consumed,
                    dataStart: &dataStart,
                    dataCount: &dataCount
                )
            }
        }
        #expect(bytes == before)
        #expect(dataStart == 3)
        #expect(dataCount == 5)
    }

    @Test(arguments: [-1, 0, 1])
    func `a size line may be as long as its bound`(excess: Int) {
        // "1;" and CRLF take four bytes.
        let name = String(repeating: "a", count: ChunkLimits.lineBytesMax - 4 + excess)
        let raw = "1;\(name)\r\nx\r\n0\r\n\r\n"
        #expect(decode(raw).outcome == (excess > 0 ? .invalid(.lineTooLong) : .done))
        #expect(decodeByteByByte(latin1(raw)) == decode(raw))
    }

    @Test(arguments: [-1, 0, 1])
    func `extensions of a body may be as long as their bound`(excess: Int) {
        // Sixteen lines with 1,000 bytes of extensions, and one with the rest.
        let line = "1;\(String(repeating: "a", count: 999))\r\nx\r\n"
        let rest = ChunkLimits.extensionBytesMax - 16_000 + excess
        let last = "0;\(String(repeating: "a", count: rest - 1))\r\n\r\n"
        let decoded = decode(String(repeating: line, count: 16) + last)
        #expect(decoded.outcome == (excess > 0 ? .invalid(.extensionsTooLong) : .done))
        #expect(decoded.data.count == 16)
    }

    @Test
    func `the decoder is small`() {
        #expect(MemoryLayout<ChunkedDecoder>.size <= 32)
    }

    @Test(arguments: [
        (1, "1\r\n"), (9, "9\r\n"), (10, "a\r\n"), (15, "f\r\n"), (16, "10\r\n"),
        (255, "ff\r\n"), (256, "100\r\n"), (65_536, "10000\r\n"), (0x1234_ABCD, "1234abcd\r\n"),
        (Int.max, "7fffffffffffffff\r\n"),
    ])
    func `sizes are written in hexadecimal digits`(size: Int, line: String) {
        let out = UnsafeMutablePointer<UInt8>.allocate(capacity: ChunkedEncoder.sizeLineBytesMax)
        defer { out.deallocate() }
        let count = ChunkedEncoder.writeSizeLine(size, to: out)
        #expect(text(UnsafeBufferPointer(start: out, count: count)) == line)
        #expect(count <= ChunkedEncoder.sizeLineBytesMax)
    }

    @Test
    func `what the encoder writes the decoder reads`() {
        var body: [UInt8] = []
        var data: [UInt8] = []
        let out = UnsafeMutablePointer<UInt8>.allocate(capacity: ChunkedEncoder.sizeLineBytesMax)
        defer { out.deallocate() }
        for size in [1, 2, 15, 16, 17, 255, 256, 4_095, 4_096, 70_000] {
            let chunk = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7) }
            let count = ChunkedEncoder.writeSizeLine(size, to: out)
            body += UnsafeBufferPointer(start: out, count: count)
            body += chunk + [0x0D, 0x0A]
            data += chunk
        }
        body += latin1(ChunkedEncoder.lastChunk.description)
        #expect(decode(body) == Decoded(outcome: .done, data: data, consumed: body.count))
    }
}
