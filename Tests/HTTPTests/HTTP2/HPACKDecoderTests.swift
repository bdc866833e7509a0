import HTTP
import Testing

/// Rules and bounds of the decoder that the examples of the RFC do not show.
struct HPACKDecoderTests {
    private func outcome(_ digits: String, limits: HPACKLimits = HPACKLimits()) -> HPACKOutcome {
        var decoder = HPACKDecoder()
        return decode(hex(digits), with: &decoder, limits: limits).outcome
    }

    @Test(arguments: [
        // Index 0, one past the static table with nothing in the other, and a great one.
        ("80", HPACKError.badIndex), ("be", .badIndex), ("ffffffffff0f", .badIndex),
        ("7f0000", .badIndex), ("0f7000", .badIndex),
        // Five bytes may follow the first; what they say is compared, not cut.
        ("7f8080808000", .badIndex), ("7f808080808000", .integerTooLong),
        ("ffffffffffffff", .integerTooLong), ("ff80808080", .truncated),
        ("0004", .truncated), ("00ffffffffff7f", .truncated),
        // A string longer than the block, by one byte and by far.
        ("0002612f", .truncated), ("00016102", .truncated), ("000161027a", .truncated),
        // Nothing after the name, or after the first byte.
        ("000161", .truncated), ("40", .truncated), ("44", .truncated), ("10", .truncated),
        // Malformed Huffman strings in a name and in a value.
        ("0081fe0161", .badHuffman), ("04840000ffff", .badHuffman), ("0484ffffffff", .badHuffman),
        // A size update after a field, over the limit, and a third one.
        ("8220", .lateSizeUpdate), ("3fe21f", .sizeUpdateOverLimit),
        ("20203fe11f", .tooManySizeUpdates), ("3f", .truncated),
        ("3fffffffffff01", .integerTooLong),
    ])
    func `a malformed block is an error of the connection`(digits: String, error: HPACKError) {
        #expect(outcome(digits) == .invalid(error))
    }

    private static let letters = String(repeating: "61", count: 127)

    /// Each is odd and allowed.
    @Test(arguments: [
        "", "20", "3fe11f", "203fe11f", "3f00", "3f8000", "000000",
        // Empty strings in Huffman, and a length that wastes bytes.
        "0480", "008080", "047f00" + letters, "047f8000" + letters,
    ])
    func `an unusual block is fine`(digits: String) {
        #expect(outcome(digits) == .complete)
    }

    @Test
    func `every error has a reason`() {
        for error in HPACKError.allCases { #expect(!error.reason.description.isEmpty) }
    }

    @Test
    func `each index of the static table`() {
        var decoder = HPACKDecoder()
        let block = (1...61).map { UInt8(0x80 + $0) }
        let found = decode(block, with: &decoder)
        #expect(found.outcome == .complete)
        #expect(found.fields.count == 61)
        #expect(found.fields.first == HeaderField(":authority", ""))
        #expect(found.fields[15] == HeaderField("accept-encoding", "gzip, deflate"))
        #expect(found.fields.last == HeaderField("www-authenticate", ""))
    }

    // MARK: The dynamic table

    @Test
    func `a field larger than the table empties it and is still handed over`() {
        var decoder = HPACKDecoder()
        // A table of 64 bytes, an entry of 34, then one of 65 and one of 64.
        _ = decode(hex("3f21 4001 6101 62"), with: &decoder)
        var tableBytes = decoder.tableBytes
        #expect(tableBytes == 34)
        let value = String(repeating: "z", count: 32)
        let large = decode(hex("400161 20") + latin1(value), with: &decoder)
        #expect(large == DecodedBlock(outcome: .complete, fields: [HeaderField("a", value)]))
        tableBytes = decoder.tableBytes
        #expect(tableBytes == 0)
        _ = decode(hex("400161 1f") + latin1(String(value.dropLast())), with: &decoder)
        tableBytes = decoder.tableBytes
        #expect(tableBytes == 64)
    }

    /// RFC 7541 §4.4: the name may be that of an entry which the new one evicts.
    @Test
    func `a name outlives the entry that it comes from`() {
        var decoder = HPACKDecoder()
        let name = String(repeating: "n", count: 20)
        _ = decode(hex("3f4d 40 14") + latin1(name) + hex("01 61"), with: &decoder)
        // 108 bytes hold two entries of 53 and 54, and not the third.
        let fields = decode(hex("7e 02 6262 7f00 03 636363"), with: &decoder)
        #expect(fields.fields == [HeaderField(name, "bb"), HeaderField(name, "ccc")])
        #expect(decode(hex("be"), with: &decoder).fields == [HeaderField(name, "ccc")])
    }

    @Test
    func `the table may be made smaller and larger within the limit`() {
        var decoder = HPACKDecoder(tableBytesMax: 8_192)
        func update(_ digits: String) -> HPACKOutcome {
            decode(hex(digits), with: &decoder, tableBytesMax: 8_192).outcome
        }
        // 4,097 before the peer has acknowledged more.
        #expect(update("3fe21f") == .invalid(.sizeUpdateOverLimit))
        decoder.tableSizeAcknowledged(8_192)
        #expect(update("3fe13f") == .complete)
        #expect(update("3fe23f") == .invalid(.sizeUpdateOverLimit))
    }

    /// RFC 9113 §4.3.1.
    @Test
    func `a smaller limit must be confirmed by the next block`() {
        for (digits, expected) in [
            ("82", HPACKOutcome.invalid(.missingSizeUpdate)), ("", .invalid(.missingSizeUpdate)),
            ("3f4682", .invalid(.sizeUpdateOverLimit)), ("3f4582", .complete), ("2082", .complete),
        ] {
            var decoder = HPACKDecoder()
            decoder.tableSizeAcknowledged(100)
            #expect(decode(hex(digits), with: &decoder).outcome == expected)
            if expected == .complete {
                #expect(decode(hex("82"), with: &decoder).outcome == .complete)
            }
        }
        // A table that is no larger already needs none.
        var decoder = HPACKDecoder()
        _ = decode(hex("3f45"), with: &decoder)
        decoder.tableSizeAcknowledged(100)
        #expect(decode(hex("82"), with: &decoder).outcome == .complete)
    }

    @Test
    func `a reset forgets the connection`() {
        var decoder = HPACKDecoder()
        _ = decode(hex("3f45 4001610162"), with: &decoder)
        decoder.tableSizeAcknowledged(10)
        decoder.reset()
        #expect(decode(hex("be"), with: &decoder).outcome == .invalid(.badIndex))
        #expect(decode(hex("3fe11f"), with: &decoder).outcome == .complete)
    }

    // MARK: Bounds

    /// `:method: GET` counts 42.
    @Test(arguments: [(83, 1), (84, 2), (85, 2), (41, 0), (42, 1)])
    func `the list may have so many bytes`(bytesMax: Int, taken: Int) {
        var decoder = HPACKDecoder()
        let limits = HPACKLimits(listBytesMax: bytesMax)
        let found = decode(hex("8282"), with: &decoder, limits: limits)
        #expect(found.outcome == (taken < 2 ? .tooLarge : .complete))
        #expect(found.fields.count == taken)
    }

    @Test(arguments: [1, 2, 3])
    func `the list may have so many fields`(countMax: Int) {
        var decoder = HPACKDecoder()
        let limits = HPACKLimits(fieldCountMax: countMax)
        let found = decode(hex("8284"), with: &decoder, limits: limits)
        #expect(found.outcome == (countMax < 2 ? .tooLarge : .complete))
        #expect(found.fields.count == min(countMax, 2))
    }

    @Test
    func `a block that is too large still changes the table, and its faults still count`() {
        var decoder = HPACKDecoder()
        let limits = HPACKLimits(listBytesMax: 50)
        let found = decode(hex("82 4001610162"), with: &decoder, limits: limits)
        #expect(found.outcome == .tooLarge)
        #expect(decode(hex("be"), with: &decoder).fields == [HeaderField("a", "b")])
        let bad = decode(hex("82 82 80"), with: &decoder, limits: limits)
        #expect(bad.outcome == .invalid(.badIndex))
    }
}
