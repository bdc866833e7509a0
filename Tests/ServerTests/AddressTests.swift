import Testing

@testable import Server

struct AddressTests {
    private func parse(_ text: String, _ role: Address.Role) -> String {
        do throws(Complaint) {
            return try Address(text, for: role, folder: "/etc/sluice").text
        } catch {
            return "! " + error.message
        }
    }

    @Test(arguments: [
        ("0.0.0.0:80", "0.0.0.0:80"), ("192.0.2.1:65535", "192.0.2.1:65535"),
        ("[::]:80", "[::]:80"), ("[2001:DB8:0:0:0:0:0:1]:80", "[2001:db8::1]:80"),
        ("[1:2:3:4:5:6:7:8]:1", "[1:2:3:4:5:6:7:8]:1"), ("[1::]:1", "[1::]:1"),
        ("[1:0:0:2:0:0:0:3]:1", "[1:0:0:2::3]:1"), ("[1:0:2:3:4:5:6:7]:1", "[1:0:2:3:4:5:6:7]:1"),
        ("[::ffff:192.0.2.1]:1", "[::ffff:c000:201]:1"), ("unix:/run/a.sock", "unix:/run/a.sock"),
        ("unix:a.sock", "unix:/etc/sluice/a.sock"), ("unix:../a:1", "unix:/etc/sluice/../a:1"),
    ])
    func `reads addresses of both roles`(text: String, expected: String) {
        #expect(parse(text, .listener) == expected)
        #expect(parse(text, .peer) == expected)
    }

    @Test(arguments: [
        (":8080", "[::]:8080"), ("*:8080", "[::]:8080"), ("127.0.0.1:0", "127.0.0.1:0"),
    ])
    func `reads addresses of listeners alone`(text: String, expected: String) {
        #expect(parse(text, .listener) == expected)
        #expect(parse(text, .peer).hasPrefix("! "))
    }

    @Test(arguments: [
        ("localhost:80", "localhost:80"), ("App-1.Example.com:8080", "app-1.example.com:8080"),
        ("my_container:1", "my_container:1"), ("1.2.3.example:1", "1.2.3.example:1"),
        (String(repeating: "a", count: 63) + ":1", String(repeating: "a", count: 63) + ":1"),
    ])
    func `reads names of peers alone`(text: String, expected: String) {
        #expect(parse(text, .peer) == expected)
        #expect(parse(text, .listener).contains("a listener takes no name"))
    }

    @Test(arguments: [
        ("", "\"\" needs a port, as in \"192.0.2.1:8080\""),
        ("192.0.2.1", "\"192.0.2.1\" needs a port, as in \"192.0.2.1:8080\""),
        ("[::1]", "\"[::1]\" needs a port, as in \"[::1]:8080\""),
        ("::1:80", "\"::1:80\": an IPv6 address needs brackets, as in \"[::1]:80\""),
        ("2001:db8::1", "\"2001:db8::1\": an IPv6 address needs brackets, as in \"[::1]:80\""),
        ("192.0.2.1:", "\"192.0.2.1:\": the port is a number from 1 to 65535"),
        ("192.0.2.1:65536", "\"192.0.2.1:65536\": the port is a number from 1 to 65535"),
        ("192.0.2.1:+80", "\"192.0.2.1:+80\": the port is a number from 1 to 65535"),
        ("192.0.2.1:http", "\"192.0.2.1:http\": the port is a number from 1 to 65535"),
        ("192.0.2.256:1", "\"192.0.2.256:1\": not an IPv4 address"),
        ("192.0.2:1", "\"192.0.2:1\": not an IPv4 address"),
        ("192.0.2.01:1", "\"192.0.2.01:1\": not an IPv4 address"),
        ("[1:2]:80", "\"[1:2]:80\": not an IPv6 address without zone"),
        ("[1::2::3]:80", "\"[1::2::3]:80\": not an IPv6 address without zone"),
        ("[:::]:80", "\"[:::]:80\": not an IPv6 address without zone"),
        ("[1:2:3:4:5:6:7:8::]:80", "\"[1:2:3:4:5:6:7:8::]:80\": not an IPv6 address without zone"),
        ("[fe80::1%eth0]:80", "\"[fe80::1%eth0]:80\": not an IPv6 address without zone"),
        ("[192.0.2.1::]:80", "\"[192.0.2.1::]:80\": not an IPv6 address without zone"),
        ("http://a:80", "\"http://a:80\": an IPv6 address needs brackets, as in \"[::1]:80\""),
        ("a b:80", "\"a b:80\": not an address with a port"),
        ("a..b:80", "\"a..b:80\": not an address with a port"),
        ("-a:80", "\"-a:80\": not an address with a port"),
        ("unix:", "\"unix:\" needs the path of a file, as in \"unix:/run/app.sock\""),
        ("unix:/run/", "\"unix:/run/\" needs the path of a file, as in \"unix:/run/app.sock\""),
        ("unix:@a", "\"unix:@a\": abstract sockets are not supported; give a path"),
    ])
    func `says what is wrong with others`(text: String, message: String) {
        #expect(parse(text, .peer) == "! " + message)
    }

    @Test func `bounds the path of a socket`() {
        func path(_ count: Int) -> String { "unix:/" + String(repeating: "a", count: count - 1) }
        #expect(parse(path(106), .listener) == path(106))
        #expect(parse(path(107), .listener) == path(107))
        #expect(parse(path(108), .listener).contains("has 108 bytes"))
        // "/etc/sluice/" counts.
        #expect(parse("unix:" + String(repeating: "a", count: 95), .listener).hasPrefix("unix:"))
        #expect(parse("unix:" + String(repeating: "a", count: 96), .listener).contains("108 bytes"))
    }
}
