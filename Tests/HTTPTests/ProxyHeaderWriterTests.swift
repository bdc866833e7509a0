import Testing

@testable import HTTP

/// Headers of the PROXY protocol that are written.
struct ProxyHeaderWriterTests {
    private func end(_ number: UInt128, _ port: UInt16) -> ProxyEndpoint {
        var made = ProxyEndpoint()
        made.number = number
        made.port = port
        return made
    }

    private func ipv4(_ number: UInt32, _ port: UInt16) -> ProxyEndpoint {
        end(0xffff << 32 | UInt128(number), port)
    }

    private func written(_ write: (UnsafeMutablePointer<UInt8>) -> Int) -> [UInt8] {
        // One byte more than may be written, to see that it is left alone.
        var bytes = [UInt8](repeating: 0xaa, count: ProxyHeaderWriter.bytesMax + 1)
        let count = bytes.withUnsafeMutableBufferPointer { buffer in
            buffer.baseAddress.map(write) ?? 0
        }
        #expect(bytes[count...].allSatisfy { $0 == 0xaa })
        return Array(bytes[..<count])
    }

    private func line(_ source: ProxyEndpoint, _ destination: ProxyEndpoint) -> String {
        text(
            written {
                ProxyHeaderWriter.writeLine(source: source, destination: destination, to: $0)
            }
        )
    }

    private func binary(_ source: ProxyEndpoint, _ destination: ProxyEndpoint) -> [UInt8] {
        written { ProxyHeaderWriter.writeBinary(source: source, destination: destination, to: $0) }
    }

    @Test func `lines of both families`() {
        #expect(
            line(ipv4(0xc000_0201, 56_324), ipv4(0xffff_ffff, 0))
                == "PROXY TCP4 192.0.2.1 255.255.255.255 56324 0\r\n"
        )
        #expect(
            line(end(0x2001_0db8 << 96 | 1, 1), end(.max, 65_535))
                == "PROXY TCP6 2001:db8::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 1 65535\r\n"
        )
        #expect(line(ProxyEndpoint(), ipv4(1, 1)) == "PROXY UNKNOWN\r\n")
        #expect(line(ipv4(1, 1), ProxyEndpoint()) == "PROXY UNKNOWN\r\n")
    }

    @Test func `an IPv4 client on an IPv6 address is written as IPv6`() {
        #expect(
            line(ipv4(0xc000_0201, 1), end(1, 2)) == "PROXY TCP6 ::ffff:c000:201 ::1 1 2\r\n"
        )
        let bytes = binary(ipv4(0xc000_0201, 1), end(1, 2))
        #expect(bytes[13] == 0x21)
        #expect(Array(bytes[26..<32]) == [0xff, 0xff, 192, 0, 2, 1])
    }

    /// RFC 5952 §4.
    @Test(
        arguments: [
            ([0, 0, 0, 0, 0, 0, 0, 0], "::"), ([0, 0, 0, 0, 0, 0, 0, 1], "::1"),
            ([1, 0, 0, 0, 0, 0, 0, 0], "1::"), ([1, 0, 2, 3, 4, 5, 6, 7], "1:0:2:3:4:5:6:7"),
            ([1, 0, 0, 2, 0, 0, 0, 3], "1:0:0:2::3"), ([1, 0, 0, 2, 3, 0, 0, 4], "1::2:3:0:0:4"),
            ([0, 0, 1, 0, 0, 0, 0, 0], "0:0:1::"),
            (
                [0xa, 0xab, 0xabc, 0xabcd, 1, 2, 3, 4],
                "a:ab:abc:abcd:1:2:3:4"
            ),
            ([0, 1, 2, 3, 4, 5, 6, 0], "0:1:2:3:4:5:6:0"),
            ([0, 0, 1, 2, 3, 4, 5, 6], "::1:2:3:4:5:6"),
        ] as [([UInt16], String)]
    )
    func `IPv6 addresses have the recommended form`(groups: [UInt16], expected: String) {
        let number = groups.reduce(UInt128(0)) { $0 << 16 | UInt128($1) }
        // The port tells a family that was set by hand, since "::ffff:..." is read as IPv4.
        #expect(line(end(number, 1), end(2, 2)) == "PROXY TCP6 \(expected) ::2 1 2\r\n")
    }

    @Test func `the longest line has no more bytes than the bound`() {
        let long = end(.max, 65_535)
        #expect(line(long, long).utf8.count == 104)
        #expect(ProxyHeaderWriter.bytesMax == 107)
    }

    @Test func `binary headers`() {
        let start: [UInt8] = [13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10]
        #expect(
            binary(ipv4(0xc000_0201, 0x1234), ipv4(0xc633_6402, 80))
                == start + [0x21, 0x11, 0, 12, 192, 0, 2, 1, 198, 51, 100, 2, 0x12, 0x34, 0, 80]
        )
        let six = binary(end(0x2001_0db8 << 96 | 1, 1), end(2, 0xfffe))
        #expect(Array(six[..<16]) == start + [0x21, 0x21, 0, 36])
        #expect(Array(six[16..<20]) == [0x20, 1, 0x0d, 0xb8])
        #expect(six.count == 52)
        #expect(
            Array(six[31...]) == [1] + [UInt8](repeating: 0, count: 15) + [2, 0, 1, 0xff, 0xfe]
        )
        #expect(binary(ProxyEndpoint(), ipv4(1, 1)) == start + [0x21, 0, 0, 0])
        #expect(written { ProxyHeaderWriter.writeLocal(to: $0) } == start + [0x20, 0, 0, 0])
    }

    @Test func `what is written is read back`() throws {
        let ends = [
            (ipv4(0xc000_0201, 1), ipv4(0x0a00_0001, 65_535)), (end(1, 80), end(.max - 1, 0)),
        ]
        for (source, destination) in ends {
            for bytes in [
                latin1(line(source, destination)), binary(source, destination),
            ] {
                var header = ProxyHeader()
                let outcome = try bytes.withUnsafeBufferPointer { buffer in
                    ProxyHeaderParser.parse(
                        try #require(buffer.baseAddress),
                        count: buffer.count,
                        versions: [.v1, .v2],
                        into: &header
                    )
                }
                #expect(outcome == .complete)
                #expect(header.byteCount == bytes.count)
                #expect(header.client == .address)
                #expect(header.source == source)
                #expect(header.destination == destination)
            }
        }
    }
}
