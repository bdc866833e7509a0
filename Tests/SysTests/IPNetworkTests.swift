import Sys
import Testing

struct IPNetworkTests {
    private func ip(_ text: String) throws -> IPAddress {
        try #require(SocketAddress(numericHost: text, port: 0)).ip
    }

    private func network(_ text: String, _ bits: Int?) throws -> IPNetwork? {
        let ip = try ip(text)
        let bytes = (0..<(ip.family == 4 ? 4 : 16)).map { index in
            UInt8(truncatingIfNeeded: (index < 8 ? ip.low : ip.high) >> UInt64(index % 8 * 8))
        }
        return IPNetwork(bytes, prefixBits: bits)
    }

    @Test(arguments: [
        ("10.0.0.0", 8, ["10.0.0.0", "10.255.255.255"], ["9.255.255.255", "11.0.0.0", "a00::"]),
        ("192.0.2.128", 25, ["192.0.2.128", "192.0.2.255"], ["192.0.2.127", "192.0.3.128"]),
        ("192.0.2.1", 32, ["192.0.2.1", "::ffff:192.0.2.1"], ["192.0.2.0", "192.0.2.3"]),
        ("0.0.0.0", 0, ["0.0.0.0", "255.255.255.255"], ["::", "::1"]),
        ("0.0.0.0", 1, ["127.255.255.255"], ["128.0.0.0"]),
        ("2001:db8::", 32, ["2001:db8::", "2001:db8:ffff::1"], ["2001:db9::", "2001:db7::"]),
        ("2001:db8::", 64, ["2001:db8::ffff:0:0:1"], ["2001:db8:0:1::"]),
        ("2001:db8:0:0:8000::", 65, ["2001:db8::8000:0:0:0"], ["2001:db8::7fff:0:0:0"]),
        ("::1", 128, ["::1"], ["::", "::2", "0.0.0.1"]), ("::", 0, ["::", "ff::"], ["1.2.3.4"]),
    ])
    func `contains what begins like it`(
        text: String,
        bits: Int,
        inside: [String],
        outside: [String]
    ) throws {
        let network = try #require(try network(text, bits))
        for text in inside { #expect(network.contains(try ip(text)), "\(text)") }
        for text in outside { #expect(!network.contains(try ip(text)), "\(text)") }
        #expect(!network.contains(IPAddress()))
        #expect(network.text == (try ip(text)).text + "/\(bits)")
    }

    @Test func `an address alone is a range of one`() throws {
        let single = try #require(try network("192.0.2.1", nil))
        #expect(single.prefixBits == 32)
        #expect(try #require(try network("::1", nil)).prefixBits == 128)
    }

    @Test(arguments: [
        ("192.0.2.1", 31), ("10.0.0.0", 6), ("0.0.0.1", 0), ("10.0.0.0", 33), ("10.0.0.0", -1),
        ("2001:db8::1", 127), ("2001:db8::", 28), ("::1", 64), ("::", 129),
    ])
    func `refuses bits behind the prefix, and a prefix out of range`(
        text: String,
        bits: Int
    ) throws {
        #expect(try network(text, bits) == nil)
    }

    @Test func `refuses what is no address`() {
        #expect(IPNetwork([]) == nil)
        #expect(IPNetwork([1, 2, 3]) == nil)
        #expect(IPNetwork([UInt8](repeating: 0, count: 8)) == nil)
    }
}
