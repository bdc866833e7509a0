import HTTP
import Testing

/// Random fields, cut blocks and random bytes: what is encoded comes back, and nothing traps.
struct HPACKFuzzTests {
    private static let names = [
        ":status", ":path", ":authority", "server", "content-type", "cookie", "date", "vary",
        "x-a", "x-b", "x-some-longer-name", "grpc-status", "x-request-id", "accept",
    ]

    private func randomField(_ random: inout SeededGenerator) -> HeaderField {
        let place = Int.random(in: 0..<Self.names.count, using: &random)
        let isOld = Int.random(in: 0..<3, using: &random) > 0
        let length = Int.random(in: 0..<10, using: &random) == 0 ? 1_500 : 24
        let seed = isOld ? UInt8.random(in: 0...5, using: &random) : 255
        let count = isOld ? Int(seed) * 7 : Int.random(in: 0...length, using: &random)
        let value = (0..<count).map { _ in
            isOld ? 0x61 + seed : UInt8.random(in: 0x21...0xFF, using: &random)
        }
        return HeaderField(
            Self.names[place],
            text(value),
            isNeverIndexed: Int.random(in: 0..<20, using: &random) == 0
        )
    }

    @Test(arguments: [UInt64(1), 2, 3, 4])
    func `random blocks come back while the limit changes`(seed: UInt64) {
        print("seed \(seed)")
        var random = SeededGenerator(state: seed)
        var encoder = HPACKEncoder()
        var decoder = HPACKDecoder()
        for _ in 0..<400 {
            if Int.random(in: 0..<10, using: &random) == 0 {
                encoder.setTableLimit(UInt32.random(in: 0...4_096, using: &random))
            }
            let fields = (0..<Int.random(in: 0...20, using: &random)).map { _ in
                randomField(&random)
            }
            let block = encode(fields, with: &encoder)
            let found = decode(block, with: &decoder)
            #expect(found.outcome == .complete)
            #expect(found.fields.map(\.name) == fields.map(\.name))
            #expect(found.fields.map(\.value) == fields.map(\.value))
            #expect(
                zip(fields, found.fields).allSatisfy { !$0.isNeverIndexed || $1.isNeverIndexed }
            )
            let tables = (encoder.tableBytes, decoder.tableBytes)
            #expect(tables.0 == tables.1)
        }
    }

    @Test
    func `a block that is cut short gives its first fields or an error`() {
        let fields = [
            HeaderField(":status", "200"), HeaderField("server", "sluice"),
            HeaderField("x-long", String(repeating: "\u{FF}", count: 200)),
            HeaderField("cookie", "a=b"), HeaderField("content-type", "text/plain"),
        ]
        var encoder = HPACKEncoder()
        let block = encode(fields, with: &encoder)
        var complete = 0
        for end in 0...block.count {
            var decoder = HPACKDecoder()
            let found = decode(Array(block[..<end]), with: &decoder)
            let values = fields.prefix(found.fields.count).map(\.value)
            #expect(found.fields.map(\.value) == values)
            if found.outcome == .complete { complete += 1 }
        }
        // Only between two fields is a shorter block a whole one.
        #expect(complete == fields.count + 1)
    }

    @Test(arguments: [UInt64(5), 6, 7, 8])
    func `random bytes do not trap`(seed: UInt64) {
        print("seed \(seed)")
        var random = SeededGenerator(state: seed)
        var complete = 0
        var decoder = HPACKDecoder()
        for _ in 0..<10_000 {
            let bytes = (0..<Int.random(in: 0...40, using: &random)).map { _ in
                let byte = UInt8.random(in: 0...255, using: &random)
                // Small lengths and indices more often than chance has them.
                return Bool.random(using: &random) ? byte : byte & 0xC7
            }
            // Mostly with what the blocks before left in the table.
            if Int.random(in: 0..<50, using: &random) == 0 { decoder.reset() }
            let limits = HPACKLimits(listBytesMax: 500, fieldCountMax: 10)
            if case .invalid = decode(bytes, with: &decoder, limits: limits).outcome { continue }
            complete += 1
        }
        #expect(complete > 200)
    }
}
