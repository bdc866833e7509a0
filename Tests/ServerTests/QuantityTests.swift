import Testing

@testable import Server

struct QuantityTests {
    @Test(arguments: [
        ("0s", 0), ("1ms", 1), ("250ms", 250), ("2s", 2_000), ("5m", 300_000), ("1h", 3_600_000),
        ("9223372036854775807ms", Int64.max),
    ])
    func `reads durations`(text: String, milliseconds: Int64) {
        #expect(Quantity.milliseconds(text) == milliseconds)
    }

    @Test(arguments: [
        "", "2", "s", "2 s", " 2s", "2S", "1.5s", "-1s", "+1s", "1d", "1h30m", "２s", "2s\n",
        "9223372036854775808ms", "9223372036854775807s",
    ])
    func `refuses other durations`(text: String) {
        #expect(Quantity.milliseconds(text) == nil)
    }

    @Test(arguments: [
        ("0B", 0), ("512B", 512), ("64KiB", 65_536), ("1MiB", 1_048_576), ("2GiB", 2_147_483_648),
        ("1TiB", 1_099_511_627_776), ("64KB", 64_000), ("1MB", 1_000_000), ("1GB", 1_000_000_000),
        ("1TB", 1_000_000_000_000),
    ])
    func `reads sizes`(text: String, bytes: Int64) {
        #expect(Quantity.bytes(text) == bytes)
    }

    @Test(arguments: ["", "1", "1k", "1K", "1kB", "1Ki", "1kib", "1 KiB", "-1B", "9999999TiB"])
    func `refuses other sizes`(text: String) {
        #expect(Quantity.bytes(text) == nil)
    }

    @Test func `writes what it reads`() {
        #expect(
            [0, 1, 1_500, 2_000, 60_000, 90_000, 86_400_000].map(Quantity.durationText)
                == ["0s", "1ms", "1500ms", "2s", "1m", "90s", "24h"]
        )
        #expect(
            [0, 1, 1_024, 65_535, 65_536, 1 << 20, 1 << 40].map(Quantity.sizeText)
                == ["0B", "1B", "1KiB", "65535B", "64KiB", "1MiB", "1TiB"]
        )
    }
}
