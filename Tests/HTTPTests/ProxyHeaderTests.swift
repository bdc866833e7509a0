import Testing

@testable import HTTP

/// Headers of the PROXY protocol: what is read of them, and what is refused.
struct ProxyHeaderTests {
    /// What a parser makes of bytes; as text, so that tables can hold it.
    private func read(_ bytes: [UInt8], _ versions: ProxyVersions = [.v1, .v2]) -> String {
        var header = ProxyHeader()
        let outcome = bytes.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.map {
                ProxyHeaderParser.parse($0, count: bytes.count, versions: versions, into: &header)
            }
        }
        switch outcome {
        case .complete?: break
        case .incomplete?, nil: return "incomplete"
        case .invalid(let error)?: return "\(error)"
        }
        switch header.client {
        case .connection: return "connection \(header.byteCount)"
        case .unix: return "unix \(header.byteCount)"
        case .address:
            return "\(text(header.source)) \(text(header.destination)) \(header.byteCount)"
        }
    }

    private func text(_ end: ProxyEndpoint) -> String {
        let digits = end.family == 4 ? UInt128(UInt32(truncatingIfNeeded: end.number)) : end.number
        return "\(end.family)/" + String(digits, radix: 16) + "/\(end.port)"
    }

    static let signature: [UInt8] = [13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10]

    /// A binary header: command, family, and what is behind the length.
    static func binary(_ command: UInt8, _ family: UInt8, _ rest: [UInt8]) -> [UInt8] {
        signature + [command, family, UInt8(rest.count >> 8), UInt8(rest.count & 255)] + rest
    }

    static let ipv4Block: [UInt8] = [192, 0, 2, 1, 198, 51, 100, 2, 0x12, 0x34, 0, 80]
    static let ipv6Block: [UInt8] =
        [0x20, 1, 0xd, 0xb8] + [UInt8](repeating: 0, count: 11) + [1]
        + [0x20, 1, 0xd, 0xb8] + [UInt8](repeating: 0, count: 11) + [2] + [0, 1, 0xff, 0xff]

    // MARK: Version 1

    @Test(arguments: [
        ("TCP4 192.0.2.1 198.51.100.2 56324 443", "4/c0000201/56324 4/c6336402/443"),
        ("TCP4 0.0.0.0 255.255.255.255 0 65535", "4/0/0 4/ffffffff/65535"),
        ("TCP6 2001:db8::1 ::1 1 2", "6/20010db8000000000000000000000001/1 6/1/2"),
        ("TCP6 1:2:3:4:5:6:7:8 :: 1 2", "6/10002000300040005000600070008/1 6/0/2"),
        (
            "TCP6 1:2:3:4:5:6:7:: ::2:3:4:5:6:7:8 1 2",
            "6/10002000300040005000600070000/1 6/2000300040005000600070008/2"
        ),
        (
            "TCP6 FFFF:FFFF:FFFF:FFFF:FFFF:FFFF:FFFF:FFFF fe80:: 1 2",
            "6/ffffffffffffffffffffffffffffffff/1 6/fe800000000000000000000000000000/2"
        ),
        ("TCP6 ::ffff:192.0.2.1 ::FFFF:c633:6402 1 2", "4/c0000201/1 4/c6336402/2"),
        (
            "TCP6 64:ff9b::192.0.2.1 1:2:3:4:5:6:1.2.3.4 1 2",
            "6/64ff9b0000000000000000c0000201/1 6/10002000300040005000601020304/2"
        ),
        ("UNKNOWN", "connection"), ("UNKNOWN ", "connection"),
        ("UNKNOWN 1.2.3.4 \u{1} nonsense", "connection"),
    ])
    func `lines`(line: String, expected: String) {
        let bytes = latin1("PROXY \(line)\r\n")
        #expect(read(bytes) == expected + " \(bytes.count)")
        #expect(read(bytes + latin1("GET / HTTP/1.1\r\n\r\n")) == expected + " \(bytes.count)")
        #expect(read(bytes, .v1) == expected + " \(bytes.count)")
        #expect(read(bytes, .v2) == "versionNotAccepted")
    }

    @Test(arguments: [
        ("TCP5 1.2.3.4 1.2.3.4 1 2", ProxyHeaderError.badProtocol), ("", .badProtocol),
        ("TCP4", .badProtocol), ("tcp4 1.2.3.4 1.2.3.4 1 2", .badProtocol),
        (" TCP4 1.2.3.4 1.2.3.4 1 2", .badProtocol), ("UNKNOWNS", .badProtocol),
        ("unknown", .badProtocol), ("UDP4 1.2.3.4 1.2.3.4 1 2", .badProtocol),
        ("TCP4 1.2.3 1.2.3.4 1 2", .badAddress), ("TCP4 1.2.3.4.5 1.2.3.4 1 2", .badAddress),
        ("TCP4 1.2.3.256 1.2.3.4 1 2", .badAddress), ("TCP4 1.2.3.04 1.2.3.4 1 2", .badAddress),
        ("TCP4 1.2.3.00 1.2.3.4 1 2", .badAddress), ("TCP4 1.2..4 1.2.3.4 1 2", .badAddress),
        ("TCP4 1.2.3.4  1.2.3.4 1 2", .badAddress), ("TCP4  1.2.3.4 1.2.3.4 1 2", .badAddress),
        ("TCP4 1.2.3.4", .badAddress), ("TCP4 1.2.3.4 ", .badAddress), ("TCP4 ", .badAddress),
        ("TCP4 1.2.3.4 1.2.3.4", .badAddress), ("TCP4 ::1 ::1 1 2", .badAddress),
        ("TCP4 1.2.3.4 ::1 1 2", .badAddress), ("TCP4 a.b.c.d 1.2.3.4 1 2", .badAddress),
        ("TCP4 +1.2.3.4 1.2.3.4 1 2", .badAddress), ("TCP6 1.2.3.4 ::1 1 2", .badAddress),
        ("TCP6 1:2:3:4:5:6:7 ::1 1 2", .badAddress), ("TCP6 1::2::3 ::1 1 2", .badAddress),
        ("TCP6 1:2:3:4:5:6:7:8:9 ::1 1 2", .badAddress), ("TCP6 ::: ::1 1 2", .badAddress),
        ("TCP6 1:2:3:4::5:6:7:8 ::1 1 2", .badAddress), ("TCP6 12345:: ::1 1 2", .badAddress),
        ("TCP6 :1:2:3:4:5:6:7 ::1 1 2", .badAddress), ("TCP6 g:: ::1 1 2", .badAddress),
        ("TCP6 1:2:3:4:5:6:7: ::1 1 2", .badAddress), ("TCP6 fe80::1%eth0 ::1 1 2", .badAddress),
        ("TCP6 [::1] ::1 1 2", .badAddress), ("TCP6 1:2:3:4:5:6:7:1.2.3.4 ::1 1 2", .badAddress),
        ("TCP6 ::1.2.3.4:1 ::1 1 2", .badAddress), ("TCP6 ::1.2.3 ::1 1 2", .badAddress),
        ("TCP6  ::1 1 2", .badAddress),
        ("TCP4 1.2.3.4 1.2.3.4 ", .badPort), ("TCP4 1.2.3.4 1.2.3.4 1", .badPort),
        ("TCP4 1.2.3.4 1.2.3.4 1 ", .badPort), ("TCP4 1.2.3.4 1.2.3.4 1  2", .badPort),
        ("TCP4 1.2.3.4 1.2.3.4 65536 2", .badPort), ("TCP4 1.2.3.4 1.2.3.4 1 65536", .badPort),
        ("TCP4 1.2.3.4 1.2.3.4 01 2", .badPort), ("TCP4 1.2.3.4 1.2.3.4 1 00", .badPort),
        ("TCP4 1.2.3.4 1.2.3.4 1 2 ", .badPort), ("TCP4 1.2.3.4 1.2.3.4 1 2 3", .badPort),
        ("TCP4 1.2.3.4 1.2.3.4 -1 2", .badPort), ("TCP4 1.2.3.4 1.2.3.4 1 2\t", .badPort),
        ("TCP4 1.2.3.4 1.2.3.4 99999999999999999999 2", .badPort),
        ("TCP4 1.2.3.4 1.2.3.4 1 2\n", .badLineEnd), ("TCP4 1.2.3.4 1.2.3.4 1 2\r", .badLineEnd),
        ("UNKNOWN a\rb", .badLineEnd), ("UNKNOWN a\nb", .badLineEnd),
    ])
    func `bad lines are refused`(line: String, error: ProxyHeaderError) {
        #expect(read(latin1("PROXY \(line)\r\n")) == "\(error)")
    }

    @Test(arguments: [
        "GET / HTTP/1.1\r\n", "PROX", "PROXZ", "PROXY\tTCP4", "PROXY\r\n", "proxy ", " PROXY ",
        "\r\nPROXY ", "\u{16}\u{3}\u{1}", "PRI * HTTP/2.0\r\n", "POST /",
    ])
    func `what begins as something else is refused at the first byte that differs`(text: String) {
        let bytes = latin1(text)
        let good =
            [Array("PROXY ".utf8), Self.signature].map { start in
                zip(bytes, start).prefix { $0 == $1 }.count
            }.max() ?? 0
        for count in 1...bytes.count {
            #expect(read(Array(bytes[..<count])) == (count > good ? "noHeader" : "incomplete"))
        }
    }

    @Test func `a line has 107 bytes at most`() {
        let line = latin1("PROXY UNKNOWN " + String(repeating: "x", count: 91))
        #expect(line.count == 105)
        #expect(read(line + [13, 10]) == "connection 107")
        #expect(read(line + [13]) == "incomplete")
        #expect(read(line + [120, 13]) == "lineTooLong")
        #expect(read(line + [120, 13, 10]) == "lineTooLong")
        #expect(read(line + [120]) == "incomplete")
        #expect(read(line + [120, 120]) == "lineTooLong")
    }

    // MARK: Version 2

    static let good: [(bytes: [UInt8], expected: String)] = [
        (binary(0x21, 0x11, ipv4Block), "4/c0000201/4660 4/c6336402/80 28"),
        (binary(0x21, 0x12, ipv4Block), "4/c0000201/4660 4/c6336402/80 28"),
        (
            binary(0x21, 0x21, ipv6Block),
            "6/20010db8000000000000000000000001/1 6/20010db8000000000000000000000002/65535 52"
        ),
        (binary(0x21, 0x31, .init(repeating: 0x2f, count: 216)), "unix 232"),
        (binary(0x21, 0x32, .init(repeating: 0, count: 216)), "unix 232"),
        (binary(0x20, 0, []), "connection 16"), (binary(0x21, 0, []), "connection 16"),
        // What LOCAL and UNSPEC bring has no form: it is stepped over.
        (binary(0x20, 0x11, ipv4Block), "connection 28"),
        (binary(0x20, 0xff, [1, 2, 3]), "connection 19"), (binary(0x20, 0x21, []), "connection 16"),
        (binary(0x21, 0x00, [3, 0, 4, 1]), "connection 20"),
        (binary(0x21, 0x10, ipv4Block), "connection 28"), (binary(0x21, 0x02, []), "connection 16"),
        // Entries of types that are not known, one of them empty.
        (
            binary(0x21, 0x11, ipv4Block + [0x04, 0, 0, 0xee, 0, 2, 7, 7]),
            "4/c0000201/4660 4/c6336402/80 36"
        ),
    ]

    @Test(arguments: good)
    func `binary headers`(bytes: [UInt8], expected: String) {
        #expect(read(bytes) == expected)
        #expect(read(bytes + latin1("GET /")) == expected)
        #expect(read(bytes, .v2) == expected)
        #expect(read(bytes, .v1) == "versionNotAccepted")
    }

    @Test(arguments: [
        (binary(0x11, 0x11, ipv4Block), ProxyHeaderError.badVersion),
        (binary(0x31, 0x11, ipv4Block), .badVersion), (binary(0x01, 0x11, ipv4Block), .badVersion),
        (binary(0x22, 0x11, ipv4Block), .badCommand), (binary(0x2f, 0x11, ipv4Block), .badCommand),
        (binary(0x21, 0x41, ipv4Block), .badFamily), (binary(0x21, 0x13, ipv4Block), .badFamily),
        (binary(0x21, 0x40, []), .badFamily), (binary(0x21, 0x03, []), .badFamily),
        (binary(0x21, 0x11, Array(ipv4Block.dropLast())), .addressesCut),
        (binary(0x21, 0x11, []), .addressesCut),
        (binary(0x21, 0x21, Array(ipv6Block.dropLast())), .addressesCut),
        (binary(0x21, 0x31, .init(repeating: 0, count: 215)), .addressesCut),
        (binary(0x21, 0x11, ipv4Block + [4]), .badTLV),
        (binary(0x21, 0x11, ipv4Block + [4, 0]), .badTLV),
        (binary(0x21, 0x11, ipv4Block + [4, 0, 1]), .badTLV),
        (binary(0x21, 0x11, ipv4Block + [4, 0, 1, 0, 0]), .badTLV),
        (binary(0x21, 0x11, ipv4Block + [4, 1, 0, 0]), .badTLV),
        (binary(0x21, 0x11, ipv4Block + [3, 0, 4, 1, 2, 3, 4]), .badChecksum),
        (binary(0x21, 0x11, ipv4Block + [3, 0, 3, 1, 2, 3]), .badChecksum),
        (binary(0x21, 0x11, ipv4Block + [3, 0, 0]), .badChecksum),
    ])
    func `bad binary headers are refused`(bytes: [UInt8], error: ProxyHeaderError) {
        #expect(read(bytes) == "\(error)")
        // Nor does more that follows make them good.
        #expect(read(bytes + [0, 0, 0, 0]) == "\(error)")
    }

    @Test func `a binary header has 4096 bytes at most`() {
        func header(_ count: Int) -> [UInt8] {
            let padding = count - 16 - 12 - 3
            return Self.binary(
                0x21,
                0x11,
                Self.ipv4Block + [4, UInt8(padding >> 8), UInt8(padding & 255)]
                    + [UInt8](repeating: 0, count: padding)
            )
        }
        #expect(read(header(4_095)) == "4/c0000201/4660 4/c6336402/80 4095")
        #expect(read(header(4_096)) == "4/c0000201/4660 4/c6336402/80 4096")
        #expect(read(header(4_097)) == "tooLong")
        // It is refused by its length, before the rest has come.
        #expect(read(Array(header(4_097)[..<16])) == "tooLong")
        #expect(read(Self.signature + [0x20, 0, 0xff, 0xff]) == "tooLong")
    }

    // MARK: Checksum

    @Test func `the checksum is CRC32C`() {
        // The check value of the sum's own definition.
        var sum = CRC32C()
        for byte in "123456789".utf8 { sum.add(byte) }
        #expect(sum.value == 0xe306_9283)
    }

    /// A header with a right checksum, with an entry before and one behind it.
    private func summed() -> [UInt8] {
        let front: [UInt8] = Self.ipv4Block + [0xe0, 0, 1, 9, 3, 0, 4]
        var bytes = Self.binary(0x21, 0x11, front + [0, 0, 0, 0] + [4, 0, 2, 5, 5])
        var sum = CRC32C()
        for byte in bytes { sum.add(byte) }
        for index in 0..<4 {
            bytes[16 + front.count + index] =
                UInt8(truncatingIfNeeded: sum.value >> (24 - 8 * UInt32(index)))
        }
        return bytes
    }

    @Test func `a right checksum is accepted, and each bit counts`() {
        let good = summed()
        #expect(read(good) == "4/c0000201/4660 4/c6336402/80 \(good.count)")
        // Beginning with the addresses: what is in front of them breaks other rules.
        for index in 16..<good.count {
            for bit in 0..<8 {
                var bad = good
                bad[index] ^= 1 << UInt8(bit)
                let isEntry = index >= 28
                let outcome = read(bad)
                #expect(outcome == "badChecksum" || isEntry && outcome != "incomplete")
                // The type of the sum itself: without it there is nothing to check.
                if index != 32 { #expect(outcome == "badChecksum" || outcome == "badTLV") }
            }
        }
    }

    @Test func `two checksums are refused`() {
        let good = summed()
        let entry = Array(good[32..<39])
        let twice = Self.binary(0x21, 0x11, Self.ipv4Block + entry + entry)
        #expect(read(twice) == "badChecksum")
    }

    // MARK: Splits

    @Test func `every header is incomplete at each split, and then the same`() {
        let lines = ["TCP4 1.2.3.4 5.6.7.8 9 10", "TCP6 ::1 2001:db8::1 1 2", "UNKNOWN"].map {
            latin1("PROXY \($0)\r\n")
        }
        for bytes in lines + Self.good.map(\.bytes) + [summed()] {
            for count in 0..<bytes.count {
                #expect(read(Array(bytes[..<count])) == "incomplete", "\(count) of \(bytes)")
            }
            #expect(!["incomplete", "noHeader"].contains(read(bytes)))
        }
    }

    @Test func `a bad header is never taken for a good one on its way`() {
        for line in ["TCP4 1.2.3.4 1.2.3.4 1 65536", "UNKNOWNS", "TCP4 1.2.3.4 1.2.3.4 1 2\n"] {
            let bytes = latin1("PROXY \(line)\r\n")
            for count in 1...bytes.count {
                #expect(!read(Array(bytes[..<count])).contains(" "))
            }
        }
    }

    @Test func `random bytes are no header, and none is read past its end`() {
        var generator = Xorshift(state: 0x9e37_79b9_7f4a_7c15)
        for _ in 0..<20_000 {
            let count = Int(generator.next() % 64)
            let tail = (0..<count).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
            // Half of them behind a good start, so that they come further than the first byte.
            let start = generator.next() % 2 == 0 ? Self.signature + [0x21] : latin1("PROXY TCP4 ")
            let bytes = start + tail
            let outcome = read(bytes)
            if let length = outcome.split(separator: " ").last.flatMap({ Int($0) }) {
                #expect(length <= bytes.count)
            }
        }
    }
}

/// Numbers that are the same in each run.
private struct Xorshift {
    var state: UInt64

    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }
}
