import Testing

@testable import TinyUFO

struct KeyHashTests {
    private static let hash = KeyHash(low: 0x0706_0504_0302_0100, high: 0x0f0e_0d0c_0b0a_0908)

    /// SipHash-1-3 of 0, 1, 2 … with the key 0 … 15, as other implementations have it.
    @Test(arguments: [
        (0, 0xabac_0158_050f_c4dc), (1, 0xc9f4_9bf3_7d57_ca93), (2, 0x82cb_9b02_4dc7_d44d),
        (3, 0x8bf8_0ab8_e7dd_f7fb), (4, 0xcf75_5760_88d3_8328),
    ])
    func `agrees with others`(count: Int, expected: UInt64) {
        let bytes = (0..<count).map { UInt8($0) }
        #expect(bytes.withUnsafeBytes { Self.hash($0) } == expected)
    }

    @Test func `every byte counts, and the seed`() {
        let other = KeyHash(low: 1, high: 2)
        for count in 0...40 {
            var bytes = [UInt8](repeating: 7, count: count)
            let plain = bytes.withUnsafeBytes { Self.hash($0) }
            #expect(bytes.withUnsafeBytes { other($0) } != plain)
            for at in bytes.indices {
                bytes[at] ^= 1
                #expect(bytes.withUnsafeBytes { Self.hash($0) } != plain)
                bytes[at] ^= 1
            }
        }
    }
}
