import Glibc
import Sys
import Testing

struct SocketAddressTests {
    @Test(arguments: [
        ("127.0.0.1", 80, "127.0.0.1:80", AF_INET, 4), ("0.0.0.0", 0, "0.0.0.0:0", AF_INET, 4),
        ("255.255.255.255", 65_535, "255.255.255.255:65535", AF_INET, 4),
        ("::", 1, "[::]:1", AF_INET6, 6), ("::1", 8080, "[::1]:8080", AF_INET6, 6),
        ("2001:DB8:0:0:0:0:0:1", 443, "[2001:db8::1]:443", AF_INET6, 6),
        ("::ffff:192.0.2.1", 99, "192.0.2.1:99", AF_INET6, 4),
        ("::fffe:192.0.2.1", 99, "[::fffe:c000:201]:99", AF_INET6, 6),
        ("1::ffff:192.0.2.1", 99, "[1::ffff:c000:201]:99", AF_INET6, 6),
    ])
    func `an address is read and written`(
        host: String,
        port: UInt16,
        text: String,
        family: Int32,
        ipFamily: UInt8
    ) throws {
        let address = try #require(SocketAddress(numericHost: host, port: port))
        #expect(address.text == text)
        #expect(address.port == port)
        #expect(address.family == family)
        #expect(address.ip.family == ipFamily)
        #expect(!address.isUnix)
    }

    @Test(arguments: ["", "localhost", "256.0.0.1", "1.2.3.4.5", "[::1]", ":::", "1::2::3", "a b"])
    func `what is no numeric address is refused`(host: String) {
        #expect(SocketAddress(numericHost: host, port: 80) == nil)
    }

    @Test
    func `an IPv4 address inside IPv6 equals the plain one`() throws {
        let plain = try #require(SocketAddress(numericHost: "192.0.2.1", port: 1))
        let mapped = try #require(SocketAddress(numericHost: "::ffff:192.0.2.1", port: 2))
        #expect(plain.ip == mapped.ip)
        #expect(plain.ip.hashValue == mapped.ip.hashValue)
    }

    @Test
    func `the bytes of an address are in network order`() throws {
        let four = try #require(SocketAddress(numericHost: "1.2.3.4", port: 1)).ip
        #expect(four.low == 0x0403_0201)
        #expect(four.high == 0)
        let six = try #require(SocketAddress(numericHost: "102:304:506:708::f", port: 1)).ip
        #expect(six.low == 0x0807_0605_0403_0201)
        #expect(six.high == 0x0F00_0000_0000_0000)
    }

    @Test(arguments: [1, 106, 107])
    func `a path of up to 107 bytes is a Unix address`(count: Int) throws {
        let path = String(repeating: "p", count: count)
        let address = try #require(SocketAddress(unixPath: path))
        #expect(address.isUnix)
        #expect(address.text == "unix:" + path)
        #expect(address.port == 0)
        #expect(address.ip == IPAddress())
        #expect(address.ip.text == "unix:")
        #expect(Int(address.length) == 2 + count + 1)
    }

    @Test(arguments: ["", String(repeating: "p", count: 108), "a\u{0}b"])
    func `other paths are refused`(path: String) {
        #expect(SocketAddress(unixPath: path) == nil)
    }

    @Test
    func `every octet is written as inet_ntop does`() {
        for octet in UInt64(0)...255 {
            var ip = IPAddress()
            ip.family = 4
            ip.low = octet | 255 << 8 | octet << 16 | (255 - octet) << 24
            #expect(ip.text == "\(octet).255.\(octet).\(255 - octet)")
        }
    }

    @Test(arguments: [
        "::", "::1", "2001:db8::1", "1:2:3:4:5:6:7:8", "fe80::1:0:0:1",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::ffff:0:1.2.3.4", "::1.2.3.4",
    ])
    func `an IPv6 address is written within the bound`(text: String) throws {
        let ip = try #require(SocketAddress(numericHost: text, port: 0)).ip
        let block = UnsafeMutablePointer<UInt8>.allocate(capacity: IPAddress.textBytesMax)
        defer { block.deallocate() }
        let count = ip.write(to: block)
        #expect(count < IPAddress.textBytesMax)
        let written = String(
            decoding: UnsafeBufferPointer(start: block, count: count),
            as: UTF8.self
        )
        #expect(SocketAddress(numericHost: written, port: 0)?.ip == ip)
        #expect(written == ip.text)
    }

    @Test
    func `a name is resolved, and none has no address`() {
        let found = SocketAddress.resolve(name: "localhost", port: 81)
        #expect(found.contains { $0.text == "127.0.0.1:81" || $0.text == "[::1]:81" })
        #expect(SocketAddress.resolve(name: "", port: 81).isEmpty)
    }
}
