import Sys
import Testing

@testable import Reactor

struct LogLineTests {
    private func line(_ capacity: Int = 1_000, _ body: (inout LogLine) -> Void) -> String {
        let buffer = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity + 1)
        defer { buffer.deallocate() }
        buffer[capacity] = 0xAA
        var line = LogLine(buffer: buffer, capacity: capacity)
        body(&line)
        #expect(buffer[capacity] == 0xAA, "written past the end")
        return String(
            decoding: UnsafeBufferPointer(start: buffer, count: line.count),
            as: UTF8.self
        )
    }

    @Test(arguments: [
        (0, "1970-01-01T00:00:00Z"), (951_782_399, "2000-02-28T23:59:59Z"),
        (951_782_400, "2000-02-29T00:00:00Z"), (951_868_800, "2000-03-01T00:00:00Z"),
        (1_709_164_800, "2024-02-29T00:00:00Z"), (1_735_689_599, "2024-12-31T23:59:59Z"),
        (1_735_689_600, "2025-01-01T00:00:00Z"), (1_772_323_199, "2026-02-28T23:59:59Z"),
        (1_772_323_200, "2026-03-01T00:00:00Z"), (1_795_260_900, "2026-11-21T11:35:00Z"),
        (4_107_542_400, "2100-03-01T00:00:00Z"), (253_402_300_799, "9999-12-31T23:59:59Z"),
    ])
    func `an instant is written`(seconds: UInt64, text: String) {
        #expect(line { $0.time(seconds) } == text)
    }

    @Test(arguments: [
        ("plain /path?a=b~", "plain /path?a=b~"), ("a\"b\\c", "a\\x22b\\x5cc"),
        ("\r\n\t\u{0}\u{1f}", "\\x0d\\x0a\\x09\\x00\\x1f"), ("\u{7f}", "\\x7f"),
        ("\u{e9}", "\\xc3\\xa9"), ("", ""),
    ])
    func `bytes from outside are escaped`(text: String, expected: String) {
        let bytes = Array(text.utf8)
        #expect(line { $0.escaped(bytes, bytes.count) } == expected)
        #expect(line { $0.escaped(text) } == expected)
    }

    @Test(arguments: [4, 5, 6])
    func `long bytes from outside are cut`(count: Int) {
        let bytes = [UInt8](repeating: UInt8(ascii: "a"), count: count)
        let expected = String(repeating: "a", count: min(count, 5)) + (count > 5 ? "..." : "")
        #expect(line { $0.escaped(bytes, count, most: 5) } == expected)
    }

    @Test(arguments: 0...12)
    func `a line ends at its bound`(capacity: Int) {
        let whole = "text 12 \\x01"
        let cut = line(capacity) {
            $0.text("te")
            $0.text(String("xt "))
            $0.number(12)
            $0.text(" ")
            $0.escaped([1], 1)
        }
        #expect(cut == String(whole.prefix(capacity)))
    }

    @Test(arguments: [
        ("192.0.2.1", "192.0.2.1:80"), ("2001:db8::1", "[2001:db8::1]:80"),
        ("::ffff:1.2.3.4", "1.2.3.4:80"),
    ])
    func `an address has its port`(host: String, text: String) throws {
        let ip = try #require(SocketAddress(numericHost: host, port: 80)).ip
        #expect(line { $0.address(ip, port: 80) } == text)
    }

    @Test
    func `a Unix socket has no port`() {
        #expect(line { $0.address(IPAddress(), port: 0) } == "unix:")
    }

    @Test
    func `numbers are written`() {
        for number in [0, 9, 10, -1, Int.max, Int.min] {
            #expect(line { $0.number(number) } == String(number))
        }
    }
}
