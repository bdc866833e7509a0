import SluiceSDK
import Testing

@testable import Discovery

/// What a `resolv.conf` says.
struct ResolverSettingsTests {
    static func settings(_ text: String) -> ResolverSettings {
        ResolverSettings(resolvConf: Array(text.utf8))
    }

    static func servers(_ text: String) -> [String] {
        settings(text).servers.map { String(decoding: $0.text, as: UTF8.self) }
    }

    static func candidates(_ name: String, _ text: String) -> [String] {
        settings(text).candidates(for: Array(name.utf8)).map(\.text)
    }

    @Test func `servers are taken in order, three at most`() {
        let text =
            "# a comment\nnameserver 10.0.0.1\n;nameserver 10.0.0.9\r\n"
            + "nameserver\t2001:db8::53 # more\nnameserver x\nnameserver\n"
            + "nameserver 10.0.0.3\nnameserver 10.0.0.4"
        #expect(Self.servers(text) == ["10.0.0.1:53", "[2001:db8::53]:53", "10.0.0.3:53"])
    }

    @Test func `without a server the machine's own is asked`() {
        #expect(Self.servers("") == ["127.0.0.1:53"])
        #expect(Self.servers("search example\n") == ["127.0.0.1:53"])
    }

    @Test func `options are read within their bounds`() {
        let settings = Self.settings("options timeout:3 attempts:4 rotate ndots:2 edns0 x:y\n")
        #expect(settings.timeoutNanoseconds == 3_000_000_000)
        #expect(settings.attempts == 4)
        #expect(settings.rotates)
        #expect(settings.dots == 2)
        let wild = Self.settings("options timeout:0 attempts:99 ndots:99999999999\n")
        #expect(wild.timeoutNanoseconds == 1_000_000_000)
        #expect(wild.attempts == 5)
        #expect(wild.dots == 15)
        let odd = Self.settings("options timeout: attempts:x ndots:-1\n")
        #expect(odd == Self.settings(""))
    }

    @Test func `a name without a dot is looked for in the search list first`() {
        let text = "search a.example b.example\n"
        #expect(
            Self.candidates("web", text) == ["web.a.example", "web.b.example", "web"]
        )
        #expect(
            Self.candidates("web.c", text) == ["web.c", "web.c.a.example", "web.c.b.example"]
        )
        #expect(Self.candidates("web.", text) == ["web"])
        #expect(Self.candidates("web.c", "options ndots:2\n" + text)[0] == "web.c.a.example")
        #expect(Self.candidates("web", "") == ["web"])
    }

    @Test func `the last list counts, six names at most`() {
        let text = "domain x.example\nsearch 1.e 2.e 3.e 4.e 5.e 6.e 7.e\n"
        #expect(Self.candidates("web", text).count == 7)
        #expect(!Self.candidates("web", text).contains("web.x.example"))
    }

    @Test(arguments: [
        ("app.example", true), ("_http._tcp.app.example.", true), ("a", true), ("", false),
        ("a..b", false), (".a", false), ("a b", false), ("ä.example", false), ("a/b", false),
        (String(repeating: "a", count: 63), true), (String(repeating: "a", count: 64), false),
        (String(repeating: "a.", count: 127), true), (String(repeating: "a.", count: 128), false),
    ])
    func `names are checked`(text: String, isName: Bool) {
        #expect((DomainName(text: Array(text.utf8)) != nil) == isName)
    }

    @Test(arguments: [
        ("192.0.2.1:80", "192.0.2.1:80"), ("[2001:DB8:0:0:0:0:0:1]:443", "[2001:db8::1]:443"),
        ("[::]:1", "[::]:1"), ("[1:0:0:2:0:0:0:3]:1", "[1:0:0:2::3]:1"),
        ("[1:2:3:4:5:6:7:0]:1", "[1:2:3:4:5:6:7:0]:1"), ("[1::]:65535", "[1::]:65535"),
        ("[::ffff:192.0.2.1]:80", "192.0.2.1:80"), ("[1:0:2:0:3:0:4:0]:9", "[1:0:2:0:3:0:4:0]:9"),
        ("unix:/run/a", "unix:/run/a"),
    ])
    func `addresses are always spelt the same`(text: String, wanted: String) {
        let address = Array(text.utf8).withBytes { DiscoveredPeer.address($0) }
        #expect(address.map { String(decoding: $0, as: UTF8.self) } == wanted)
        #expect(address.map { $0.withBytes { DiscoveredPeer.address($0) } } == address)
    }

    @Test(arguments: [
        "", "192.0.2.1", "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:65536", "192.0.2.1:080",
        "192.0.2.256:80", "2001:db8::1:80", "[2001:db8::1]", "[2001:db8::1]80", "[192.0.2.1]:80",
        "web:80", "[::1", "[::1]:", "[fe80::1%eth0]:80", "unix:", "unix:run", "unix:/",
        "unix:/a\nb", "192.0.2.1:80 ", " 192.0.2.1:80", "192.0.2.1:+80",
        "unix:/" + String(repeating: "a", count: 107),
    ])
    func `what is no address is none`(text: String) {
        #expect(Array(text.utf8).withBytes { DiscoveredPeer.address($0) } == nil)
    }
}
