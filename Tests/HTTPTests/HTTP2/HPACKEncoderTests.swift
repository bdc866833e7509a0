import Testing

@testable import HTTP

/// What the encoder chooses, and that the peer's decoder follows.
struct HPACKEncoderTests {
    /// Encodes a block and decodes it on the other side.
    private func pass(
        _ fields: [HeaderField],
        _ encoder: inout HPACKEncoder,
        _ decoder: inout HPACKDecoder
    ) -> [UInt8] {
        let block = encode(fields, with: &encoder)
        let found = decode(block, with: &decoder)
        #expect(found.outcome == .complete)
        #expect(
            found.fields.map { "\($0.name): \($0.value)" }
                == fields.map { "\($0.name): \($0.value)" }
        )
        let tables = (encoder.tableBytes, decoder.tableBytes)
        #expect(tables.0 == tables.1)
        return block
    }

    @Test
    func `a warm connection needs one byte a field`() {
        var encoder = HPACKEncoder()
        var decoder = HPACKDecoder()
        let fields = [
            HeaderField(":status", "200"), HeaderField("server", "sluice"),
            HeaderField("content-type", "text/html; charset=utf-8"), HeaderField("vary", "accept"),
            HeaderField("grpc-status", "0"), HeaderField(":status", "302"),
        ]
        #expect(pass(fields, &encoder, &decoder).count > 30)
        #expect(pass(fields, &encoder, &decoder).count == fields.count)
    }

    @Test
    func `several values of one name are found`() {
        var encoder = HPACKEncoder()
        var decoder = HPACKDecoder()
        let types = ["text/html", "text/css", "image/png", "application/json", "font/woff2"]
        let fields = types.map { HeaderField("content-type", $0) }
        _ = pass(fields, &encoder, &decoder)
        #expect(pass(fields, &encoder, &decoder).count == fields.count)
    }

    @Test(arguments: [
        (":method", "GET", UInt8(0x82)), (":method", "POST", 0x83), (":path", "/", 0x84),
        (":path", "/index.html", 0x85), (":scheme", "http", 0x86), (":scheme", "https", 0x87),
        (":status", "200", 0x88), (":status", "204", 0x89), (":status", "206", 0x8A),
        (":status", "304", 0x8B), (":status", "400", 0x8C), (":status", "404", 0x8D),
        (":status", "500", 0x8E), ("accept-encoding", "gzip, deflate", 0x90),
    ])
    func `the static table's fields are indices`(name: String, value: String, code: UInt8) {
        var encoder = HPACKEncoder()
        #expect(encode([HeaderField(name, value)], with: &encoder) == [code])
    }

    /// RFC 7541 §7.1.3.
    @Test(arguments: ["authorization", "proxy-authorization", "cookie", "set-cookie"])
    func `credentials are never indexed, short or long`(name: String) {
        var encoder = HPACKEncoder()
        var decoder = HPACKDecoder()
        for value in ["", "a", String(repeating: "secret", count: 20)] {
            for _ in 0..<3 {
                let block = pass([HeaderField(name, value)], &encoder, &decoder)
                #expect(block[0] & 0xF0 == 0x10)
            }
        }
        let tableBytes = encoder.tableBytes
        #expect(tableBytes == 0)
    }

    /// RFC 7541 §6.2.3.
    @Test(arguments: [":method", "server", "x-anything"])
    func `what came as never indexed goes as never indexed`(name: String) {
        var encoder = HPACKEncoder()
        var decoder = HPACKDecoder()
        let field = HeaderField(name, "GET", isNeverIndexed: true)
        let block = encode([field], with: &encoder)
        #expect(decode(block, with: &decoder).fields == [field])
    }

    @Test(arguments: [
        ":path", "date", "content-length", "etag", "last-modified", "location", "age", "expires",
        "x-request-id", "traceparent", "x-forwarded-for", "grpc-timeout", "if-none-match",
    ])
    func `fields that change with each message stay out of the table`(name: String) {
        var encoder = HPACKEncoder()
        var decoder = HPACKDecoder()
        for _ in 0..<3 { _ = pass([HeaderField(name, "a-long-value")], &encoder, &decoder) }
        let tableBytes = encoder.tableBytes
        #expect(tableBytes == 0)
    }

    @Test
    func `an unknown field is indexed when it comes again`() {
        var encoder = HPACKEncoder()
        var decoder = HPACKDecoder()
        let field = HeaderField("x-deployment", "blue-2024")
        #expect(pass([field], &encoder, &decoder)[0] == 0)
        #expect(pass([field], &encoder, &decoder)[0] == 0x40)
        #expect(pass([field], &encoder, &decoder) == [0xBE])
        // Its name serves other values, which are as often new.
        #expect(pass([HeaderField("x-deployment", "green-24")], &encoder, &decoder)[0] == 0x0F)
    }

    @Test(arguments: [7, 8])
    func `a short value of an unknown field stays out of the table`(count: Int) {
        var encoder = HPACKEncoder()
        let field = HeaderField("x-flag", String(repeating: "1", count: count))
        for _ in 0..<3 { _ = encode([field], with: &encoder) }
        let tableBytes = encoder.tableBytes
        #expect((tableBytes > 0) == (count >= HPACKEncoder.repeatedValueBytesMin))
    }

    /// `server` counts 38 with no value.
    @Test(arguments: [2_010, 2_011])
    func `a field of more than half the table stays out of it`(count: Int) {
        var encoder = HPACKEncoder()
        var decoder = HPACKDecoder()
        let field = HeaderField("server", String(repeating: "s", count: count))
        _ = pass([field], &encoder, &decoder)
        let tableBytes = encoder.tableBytes
        #expect((tableBytes > 0) == (count + 38 <= 2_048))
    }

    @Test(arguments: [
        ("x", "\u{FF}\u{FF}", "0001 7802 ffff"), ("x", "aaaaa", "0001 7884 18c6 31ff"),
    ])
    func `Huffman is used where it is shorter`(name: String, value: String, code: String) {
        var encoder = HPACKEncoder()
        #expect(encode([HeaderField(name, value)], with: &encoder) == hex(code))
    }

    // MARK: The table's size

    /// RFC 7541 §4.2: the smallest size since the last block, and the last one.
    @Test(arguments: [
        ([UInt32](), ""), ([4_096], ""), ([8_192], ""), ([0], "20"), ([100], "3f45"),
        ([0, 4_096], "203fe11f"), ([100, 200, 150], "3f453f77"), ([200, 100], "3f45"),
        ([.max], ""), ([0, .max], "203fe11f"),
    ])
    func `a changed limit is answered by the next block`(limits: [UInt32], code: String) {
        var encoder = HPACKEncoder()
        var decoder = HPACKDecoder()
        let field = HeaderField("server", "sluice")
        _ = pass([field], &encoder, &decoder)
        for limit in limits { encoder.setTableLimit(limit) }
        let block = pass([field], &encoder, &decoder)
        #expect(block.starts(with: hex(code)))
        #expect(pass([], &encoder, &decoder).isEmpty)
    }

    @Test
    func `a table of our own choice is told to the peer`() {
        var small = HPACKEncoder(tableBytesMax: 100)
        #expect(encode([], with: &small) == hex("3f45"))
        small.reset()
        #expect(encode([], with: &small) == hex("3f45"))
        var none = HPACKEncoder(tableBytesMax: 0)
        #expect(encode([HeaderField("server", "a")], with: &none).starts(with: hex("20 0f")))
        #expect(encode([], with: &none).isEmpty)
        var large = HPACKEncoder(tableBytesMax: 8_192)
        #expect(encode([], with: &large).isEmpty)
        large.setTableLimit(65_536)
        #expect(encode([], with: &large) == hex("3fe13f"))
    }

    @Test
    func `a reset forgets the connection`() {
        var encoder = HPACKEncoder()
        var decoder = HPACKDecoder()
        let field = HeaderField("server", "sluice")
        let block = pass([field], &encoder, &decoder)
        _ = pass([field], &encoder, &decoder)
        encoder.reset()
        decoder.reset()
        #expect(pass([field], &encoder, &decoder) == block)
    }
}
