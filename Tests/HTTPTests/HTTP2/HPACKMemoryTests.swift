import Testing

@testable import HTTP

/// Memory of the tables: taken for what is in them, given back when a connection rests.
struct HPACKMemoryTests {
    private func passes(
        _ fields: [HeaderField],
        _ encoder: inout HPACKEncoder,
        _ decoder: inout HPACKDecoder
    ) -> Int {
        let block = encode(fields, with: &encoder)
        let found = decode(block, with: &decoder)
        #expect(found == DecodedBlock(outcome: .complete, fields: fields))
        let tables = (encoder.tableBytes, decoder.tableBytes)
        #expect(tables.0 == tables.1)
        return block.count
    }

    private let fields = [
        HeaderField("server", "sluice"), HeaderField("content-type", "text/html; charset=utf-8"),
        HeaderField("vary", "accept"), HeaderField("grpc-status", "0"),
    ]

    @Test func `tables take nothing before the first field`() {
        var encoder = HPACKEncoder()
        var decoder = HPACKDecoder()
        #expect((encoder.memoryBytes, decoder.memoryBytes) == (0, 0))
        _ = passes([HeaderField(":status", "200")], &encoder, &decoder)
        #expect(decoder.memoryBytes == 0)
    }

    @Test func `a table grows with what is in it, and no further than its size`() {
        var encoder = HPACKEncoder(tableBytesMax: 1_000)
        var decoder = HPACKDecoder()
        encoder.setTableLimit(4_096)
        var before = 0
        for round in 0..<100 {
            _ = passes(
                [HeaderField("content-type", String(repeating: "x", count: 10 + round))],
                &encoder,
                &decoder
            )
            let memory = decoder.memoryBytes
            #expect(memory >= before)
            before = memory
        }
        // The entries' bytes, twice, and 12 or 16 bytes a slot.
        #expect(before <= 2_048 + 32 * 16)
    }

    @Test func `what compresses stays when memory is given back`() {
        var encoder = HPACKEncoder()
        var decoder = HPACKDecoder()
        #expect(passes(fields, &encoder, &decoder) > 40)
        #expect(passes(fields, &encoder, &decoder) == fields.count)
        let before = (encoder.memoryBytes, decoder.memoryBytes)
        encoder.releaseIdleMemory()
        decoder.releaseIdleMemory()
        let after = (encoder.memoryBytes, decoder.memoryBytes)
        #expect(after.0 < before.0 / 4 && after.1 < before.1)
        #expect(after.0 < 300 && after.1 < 300)
        #expect(passes(fields, &encoder, &decoder) == fields.count)
        // The newest entry of a name is the one that is found.
        let types = [HeaderField("content-type", "a/b"), HeaderField("content-type", "c/d")]
        _ = passes(types, &encoder, &decoder)
        encoder.releaseIdleMemory()
        #expect(passes(types + fields, &encoder, &decoder) == types.count + fields.count)
    }

    @Test func `an empty table holds nothing`() {
        var encoder = HPACKEncoder()
        var decoder = HPACKDecoder()
        _ = passes(fields, &encoder, &decoder)
        encoder.setTableLimit(0)
        _ = passes([HeaderField(":status", "200")], &encoder, &decoder)
        #expect(decoder.tableBytes == 0)
        encoder.releaseIdleMemory()
        decoder.releaseIdleMemory()
        #expect((encoder.memoryBytes, decoder.memoryBytes) == (0, 0))
        encoder.setTableLimit(4_096)
        _ = passes(fields, &encoder, &decoder)
        #expect(passes(fields, &encoder, &decoder) == fields.count)
    }

    @Test func `fields without a byte are entries too`() {
        var encoder = HPACKEncoder()
        var decoder = HPACKDecoder()
        let empty = [HeaderField("", ""), HeaderField("vary", "")]
        for _ in 0..<3 {
            let block = encode(empty, with: &encoder, indexing: .incremental)
            #expect(decode(block, with: &decoder).fields == empty)
            encoder.releaseIdleMemory()
            decoder.releaseIdleMemory()
        }
        #expect(decoder.tableBytes > 0)
    }

    /// Both sides agree whatever is given back and when: sizes that evict, move and grow.
    @Test(arguments: [0, 64, 300, 4_096, 65_536])
    func `giving back changes no block`(tableBytes: Int) {
        var random = SeededGenerator(state: UInt64(tableBytes) &+ 7)
        var plain = HPACKEncoder(tableBytesMax: tableBytes)
        var encoder = HPACKEncoder(tableBytesMax: tableBytes)
        var decoder = HPACKDecoder(tableBytesMax: tableBytes)
        decoder.tableSizeAcknowledged(max(tableBytes, 4_096))
        plain.setTableLimit(UInt32(max(tableBytes, 4_096)))
        encoder.setTableLimit(UInt32(max(tableBytes, 4_096)))
        let names = ["vary", "etag", "x-one", "x-two", "content-type", "cache-control"]
        for _ in 0..<2_000 {
            let fields = (0..<Int.random(in: 1...6, using: &random)).map { _ in
                HeaderField(
                    names[Int.random(in: 0..<names.count, using: &random)],
                    String(
                        repeating: "v",
                        count: Int.random(
                            in: 0...(Bool.random(using: &random) ? 9 : 200),
                            using: &random
                        )
                    )
                )
            }
            let block = encode(fields, with: &encoder, indexing: .incremental)
            #expect(block == encode(fields, with: &plain, indexing: .incremental))
            let found = decode(block, with: &decoder, tableBytesMax: max(tableBytes, 4_096))
            #expect(found.fields == fields)
            if Int.random(in: 0..<4, using: &random) == 0 { encoder.releaseIdleMemory() }
            if Int.random(in: 0..<4, using: &random) == 0 { decoder.releaseIdleMemory() }
        }
    }
}
