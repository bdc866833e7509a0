import Testing

@testable import HTTP

/// The examples of RFC 7541 Appendix C.
struct HPACKVectorTests {
    /// One block, its fields, and what the table counts after it.
    struct Example: Sendable {
        var block: String
        var fields: [HeaderField]
        var tableBytes: Int
    }

    // MARK: C.1

    @Test(arguments: [
        (10, UInt8(0x1F), "0a"), (1_337, 0x1F, "1f9a0a"), (42, 0xFF, "2a"),
        (0, 0x7F, "00"), (126, 0x7F, "7e"), (127, 0x7F, "7f00"), (254, 0x7F, "7f7f"),
        (255, 0x7F, "7f8001"), (4_294_967_295, 0x0F, "0ff0ffffff0f"),
    ])
    func `C.1: integers`(value: Int, prefix: UInt8, code: String) {
        var out = [UInt8](repeating: 0, count: HPACKInteger.encodedBytesMax)
        let count = HPACKInteger.encode(value, prefix: prefix, pattern: 0, to: &out)
        #expect(Array(out[..<count]) == hex(code))
        var at = 0
        let found = withExactCopy(hex(code)) {
            HPACKInteger.decode($0, count: hex(code).count, at: &at, prefix: prefix)
        }
        #expect(found == value)
        #expect(at == hex(code).count)
    }

    // MARK: C.2

    @Test(arguments: [
        Example(
            block: "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
            fields: [HeaderField("custom-key", "custom-header")],
            tableBytes: 55
        ),
        Example(
            block: "040c 2f73 616d 706c 652f 7061 7468",
            fields: [HeaderField(":path", "/sample/path")],
            tableBytes: 0
        ),
        Example(
            block: "1008 7061 7373 776f 7264 0673 6563 7265 74",
            fields: [HeaderField("password", "secret", isNeverIndexed: true)],
            tableBytes: 0
        ),
        Example(block: "82", fields: [HeaderField(":method", "GET")], tableBytes: 0),
    ])
    func `C.2: representations`(example: Example) {
        var decoder = HPACKDecoder()
        expect([example], from: &decoder)
    }

    // MARK: C.3 to C.6

    private static let first = [
        HeaderField(":method", "GET"), HeaderField(":scheme", "http"), HeaderField(":path", "/"),
        HeaderField(":authority", "www.example.com"),
    ]
    private static let second = first + [HeaderField("cache-control", "no-cache")]
    private static let third = [
        HeaderField(":method", "GET"), HeaderField(":scheme", "https"),
        HeaderField(":path", "/index.html"), HeaderField(":authority", "www.example.com"),
        HeaderField("custom-key", "custom-value"),
    ]

    private static let plainRequests = [
        Example(
            block: "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
            fields: first,
            tableBytes: 57
        ),
        Example(block: "8286 84be 5808 6e6f 2d63 6163 6865", fields: second, tableBytes: 110),
        Example(
            block: "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
            fields: third,
            tableBytes: 164
        ),
    ]

    private static let codedRequests = [
        Example(
            block: "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
            fields: first,
            tableBytes: 57
        ),
        Example(block: "8286 84be 5886 a8eb 1064 9cbf", fields: second, tableBytes: 110),
        Example(
            block: "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
            fields: third,
            tableBytes: 164
        ),
    ]

    private static func answer(_ status: String, second: Int) -> [HeaderField] {
        [
            HeaderField(":status", status), HeaderField("cache-control", "private"),
            HeaderField("date", "Mon, 21 Oct 2013 20:13:\(second) GMT"),
            HeaderField("location", "https://www.example.com"),
        ]
    }

    private static let lastAnswer =
        answer("200", second: 22) + [
            HeaderField("content-encoding", "gzip"),
            HeaderField(
                "set-cookie",
                "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"
            ),
        ]

    private static let plainResponses = [
        Example(
            block: """
                4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133
                2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70
                6c65 2e63 6f6d
                """,
            fields: answer("302", second: 21),
            tableBytes: 222
        ),
        Example(
            block: "4803 3330 37c1 c0bf",
            fields: answer("307", second: 21),
            tableBytes: 222
        ),
        Example(
            block: """
                88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d
                54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049
                5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e
                3d31
                """,
            fields: lastAnswer,
            tableBytes: 215
        ),
    ]

    private static let codedResponses = [
        Example(
            block: """
                4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6
                2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3
                """,
            fields: answer("302", second: 21),
            tableBytes: 222
        ),
        Example(
            block: "4883 640e ffc1 c0bf",
            fields: answer("307", second: 21),
            tableBytes: 222
        ),
        Example(
            block: """
                88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab
                77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f
                9587 3160 65c0 03ed 4ee5 b106 3d50 07
                """,
            fields: lastAnswer,
            tableBytes: 215
        ),
    ]

    @Test func `C.3: requests without Huffman`() {
        var decoder = HPACKDecoder()
        expect(Self.plainRequests, from: &decoder)
    }

    @Test func `C.4: requests with Huffman`() {
        var decoder = HPACKDecoder()
        expect(Self.codedRequests, from: &decoder)
        var encoder = HPACKEncoder()
        expect(Self.codedRequests, from: &encoder)
    }

    /// The examples assume that both sides agreed on 256 bytes; here the peer says so first.
    @Test func `C.5: responses without Huffman, with eviction`() {
        var decoder = HPACKDecoder()
        #expect(decode(hex("3fe101"), with: &decoder).outcome == .complete)
        expect(Self.plainResponses, from: &decoder)
    }

    @Test func `C.6: responses with Huffman, with eviction`() {
        var decoder = HPACKDecoder()
        #expect(decode(hex("3fe101"), with: &decoder).outcome == .complete)
        expect(Self.codedResponses, from: &decoder)
        var encoder = HPACKEncoder()
        encoder.setTableLimit(256)
        #expect(encode([], with: &encoder) == hex("3fe101"))
        var examples = Self.codedResponses
        // `307` has three bytes either way, and here it stays as it is.
        examples[1].block = "4803 3330 37c1 c0bf"
        expect(examples, from: &encoder)
    }

    // MARK: Helpers

    private func expect(_ examples: [Example], from decoder: inout HPACKDecoder) {
        for example in examples {
            let found = decode(hex(example.block), with: &decoder)
            #expect(found == DecodedBlock(outcome: .complete, fields: example.fields))
            let tableBytes = decoder.tableBytes
            #expect(tableBytes == example.tableBytes)
        }
    }

    /// The examples index every field, which the encoder's own rules do not.
    private func expect(_ examples: [Example], from encoder: inout HPACKEncoder) {
        for example in examples {
            let block = encode(example.fields, with: &encoder, indexing: .incremental)
            #expect(block == hex(example.block))
            let tableBytes = encoder.tableBytes
            #expect(tableBytes == example.tableBytes)
        }
    }
}
