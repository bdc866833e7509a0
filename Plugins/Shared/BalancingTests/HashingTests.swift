import Balancing
import SluiceSDK
import Testing

struct HashingTests {
    private func sum(_ text: StaticString) -> UInt32 {
        let crc = CRC32()
        defer { crc.deallocate() }
        return crc.of(Bytes(text))
    }

    @Test
    func `CRC-32 has the known sums`() {
        // The check value of the catalogue of CRCs, and what zlib says.
        #expect(sum("123456789") == 0xCBF4_3926)
        #expect(sum("") == 0)
        #expect(sum("a") == 0xE8B7_BE43)
        #expect(sum("The quick brown fox jumps over the lazy dog") == 0x414F_A339)
    }

    @Test
    func `eight bytes at a time give what one at a time gives`() {
        let crc = CRC32()
        defer { crc.deallocate() }
        let text: Bytes = "\u{1}\u{7F}0123456789abcdefghijklmnopqrstuvwxyz"
        for count in 0...text.count {
            var state = CRC32.initial
            for offset in 0..<count { state = crc.adding(text[offset], to: state) }
            #expect(crc.of(text.prefix(count)) == CRC32.sum(state))
        }
        var state = CRC32.initial
        for byte in [0x78, 0x56, 0x34, 0x12] as [UInt8] { state = crc.adding(byte, to: state) }
        #expect(crc.adding(word: 0x1234_5678, to: CRC32.initial) == state)
    }

    @Test
    func `the 64-bit hash never changes`() {
        // Proxies of different releases must agree: FNV-1a of "" and "a", mixed.
        #expect(hash(of: "") == mixed(0xCBF2_9CE4_8422_2325))
        #expect(hash(of: "a") == mixed(0xAF63_DC4C_8601_EC8C))
        #expect(mixed(0) == 0)
        #expect(mixed(1) == 0xB456_BCFC_34C2_CB2C)
    }
}
