import CSluice
import Testing

@testable import PluginHost

struct KeyedHashTests {
    /// Of the key 00 01 ...
    ///
    /// 0f and the message 00 01 ...; from the authors' reference, and for the longer ones from
    /// `openssl mac -macopt size:16 SIPHASH`.
    @Test(arguments: [
        (0, "a3817f04ba25a8e66df67214c7550293"), (1, "da87c1d86b99af44347659119b22fc45"),
        (7, "a1f1ebbed8dbc153c0b84aa61ff08239"), (8, "3b62a9ba6258f5610f83e264f31497b4"),
        (9, "264499060ad9baabc47f8b02bb6d71ed"), (15, "5493e99933b0a8117e08ec0f97cfc3d9"),
        (63, "5150d1772f50834a503e069a973fbd7c"),
    ])
    func `it is SipHash`(count: Int, expected: String) {
        let hash = KeyedHash(key: (0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908))
        let message = (0..<count).map { UInt8($0) }
        let (low, high) = message.withUnsafeBufferPointer { hash.hash($0.baseAddress, count) }
        var text = ""
        for word in [low, high] {
            for byte in 0..<8 {
                let digits = String(word >> UInt64(8 * byte) & 0xff, radix: 16)
                text += digits.count == 1 ? "0" + digits : digits
            }
        }
        #expect(text == expected)
    }

    @Test
    func `the process's key is its own`() {
        let functions = SharedTables.functions.pointee
        var key = sluice_key()
        functions.hash128(sluice_slice("abc"), &key)
        var again = sluice_key()
        functions.hash128(sluice_slice("abc"), &again)
        #expect((key.low, key.high) == (again.low, again.high))
        let known = KeyedHash(key: (0, 0)).hash(sluice_slice("abc").ptr, 3)
        #expect((key.low, key.high) != known)
        functions.hash128(sluice_slice(), &again)
        #expect((key.low, key.high) != (again.low, again.high))
    }

    @Test
    func `places are spread evenly`() {
        let hash = KeyedHash.process
        for step in [1, 64, 4_096, 1 << 32] as [UInt64] {
            var counts = [Int](repeating: 0, count: 64)
            for index in 0..<6_400 as Range<UInt64> {
                counts[Int(hash.spread(index &* step, 0) % 64)] += 1
                counts[Int(hash.spread(7, index &* step) % 64)] += 1
            }
            // 200 expected, with a deviation of 14.
            #expect(counts.allSatisfy { 120...280 ~= $0 }, "step \(step): \(counts)")
        }
    }
}
