import SluiceSDK
import Testing

struct IPAddressTests {
    @Test
    func `reads both families`() {
        #expect(IPAddress("192.0.2.1") == IPAddress(v4: 0xC000_0201))
        #expect(IPAddress("::ffff:192.0.2.1") == IPAddress(v4: 0xC000_0201))
        #expect(IPAddress("::") == IPAddress(high: 0, low: 0))
        #expect(IPAddress("::1") == IPAddress(high: 0, low: 1))
        #expect(IPAddress("2001:db8::1") == IPAddress(high: 0x2001_0DB8_0000_0000, low: 1))
        #expect(IPAddress("2001:DB8::") == IPAddress(high: 0x2001_0DB8_0000_0000, low: 0))
        #expect(
            IPAddress("1:2:3:4:5:6:7:8")
                == IPAddress(high: 0x0001_0002_0003_0004, low: 0x0005_0006_0007_0008)
        )
        #expect(
            IPAddress("1:2:3::7:8") == IPAddress(high: 0x0001_0002_0003_0000, low: 0x0007_0008)
        )
        #expect(IPAddress("1:2:3:4:5:6:7::") == IPAddress("1:2:3:4:5:6:7:0"))
    }

    @Test(arguments: [
        "", "1", "1.2.3", "1.2.3.4.5", "256.0.0.1", "01.2.3.4", "1.2.3.", ".1.2.3", "1.2.3.4 ",
        ":", ":::", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::",
        "12345::", "g::", "1:", ":1", "::1%eth0", "1:2:3:4:5:6:7:1.2.3.4", "1.2.3.4::",
    ])
    func `refuses what is no address`(text: String) {
        #expect(withBytes(text) { IPAddress($0) } == nil)
    }

    @Test
    func `a block contains its addresses`() throws {
        let ten = try IPBlock("10.0.0.0/8")
        #expect(ten.contains(IPAddress(v4: 0x0AFF_FFFF)))
        #expect(!ten.contains(IPAddress(v4: 0x0B00_0000)))
        #expect(!ten.contains(IPAddress(high: 0, low: 0x0A00_0001)))
        let all = try IPBlock("0.0.0.0/0")
        #expect(all.contains(IPAddress(v4: 0)))
        #expect(!all.contains(IPAddress(high: 0, low: 1)))
        #expect(try IPBlock("::/0").contains(IPAddress(v4: 1)))
        let documentation = try IPBlock("2001:db8::/32")
        #expect(documentation.contains(IPAddress(high: 0x2001_0DB8_FFFF_FFFF, low: .max)))
        #expect(!documentation.contains(IPAddress(high: 0x2001_0DB9_0000_0000, low: 0)))
        let one = try IPBlock("::1")
        #expect(one.contains(IPAddress(high: 0, low: 1)))
        #expect(!one.contains(IPAddress(high: 0, low: 2)))
        let half = try IPBlock("2001:db8:0:1::/64")
        #expect(half.contains(IPAddress(high: 0x2001_0DB8_0000_0001, low: 7)))
        #expect(!half.contains(IPAddress(high: 0x2001_0DB8_0000_0000, low: 7)))
        #expect(try IPBlock("fe80::1/128").contains(IPAddress(high: 0xFE80 << 48, low: 1)))
    }

    @Test(arguments: ["10.0.0.0/33", "10.0.0.1/8", "::1/129", "10.0.0.0/", "10.0.0.0/8/8", "x/8"])
    func `refuses what is no block`(text: String) {
        #expect(throws: PluginError.self) {
            try withBytes(text) { bytes throws(PluginError) in try IPBlock(bytes) }
        }
    }
}

/// Runs something on the bytes of a text, which are valid only meanwhile.
func withBytes<Result, Failure: Error>(
    _ text: String,
    _ body: (Bytes) throws(Failure) -> Result
) throws(Failure) -> Result {
    // Room for one byte more, as an empty array has no address.
    let bytes = Array(text.utf8) + [0]
    let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: bytes.count)
    defer { memory.deallocate() }
    for (index, byte) in bytes.enumerated() { (memory + index).initialize(to: byte) }
    return try body(Bytes(memory, count: bytes.count - 1))
}
