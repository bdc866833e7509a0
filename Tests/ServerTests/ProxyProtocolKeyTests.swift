import Proxy
import Sys
import Testing

@testable import Server

/// The keys of the PROXY protocol.
struct ProxyProtocolKeyTests {
    let fixture = ManifestFixture()

    private func network(_ bytes: [UInt8], _ bits: Int) throws -> TrustedSender {
        .network(try #require(IPNetwork(bytes, prefixBits: bits)))
    }

    private func trusted(_ text: String) -> String {
        do throws(Complaint) {
            return try Pattern.network(text).text
        } catch {
            return "! " + error.message
        }
    }

    @Test func `sets the keys of a listener`() throws {
        let settings = try fixture.parse(
            Sample.manifest(
                listener: """
                    proxy_protocol: { trusted: ["10.0.0.0/8", "192.0.2.1", "2001:db8::/32"],
                      versions: ["v2"] },
                    """
            )
        )
        let made = try #require(settings.listeners[0].proxyProtocol)
        #expect(
            made.trusted == [
                try network([10, 0, 0, 0], 8), try network([192, 0, 2, 1], 32),
                try network([0x20, 1, 0xd, 0xb8] + [UInt8](repeating: 0, count: 12), 32),
            ]
        )
        #expect(made.versions == [.v2])
    }

    @Test func `both versions are accepted when none is named, and no header without the key`()
        throws
    {
        let with = try fixture.parse(Sample.manifest("proxy_protocol", ""))
        #expect(with.listeners[0].proxyProtocol?.versions == [.v1, .v2])
        #expect(try fixture.parse(Sample.manifest()).listeners[0].proxyProtocol == nil)
        #expect(try fixture.parse(Sample.manifest()).upstreams[0].proxyProtocol == nil)
    }

    @Test(arguments: [("v1", ProxyProtocolVersion.v1), ("v2", .v2)])
    func `sets the key of an upstream`(word: String, version: ProxyProtocolVersion) throws {
        let settings = try fixture.parse(
            Sample.manifest(upstream: "proxy_protocol: '\(word)'")
        )
        #expect(settings.upstreams[0].proxyProtocol == version)
    }

    @Test(arguments: [
        ("10.0.0.0/8", "10.0.0.0/8"), ("192.0.2.1", "192.0.2.1/32"), ("0.0.0.0/0", "0.0.0.0/0"),
        ("192.0.2.255/32", "192.0.2.255/32"), ("::/0", "::/0"), ("::1", "::1/128"),
        ("2001:DB8::/32", "2001:db8::/32"), ("2001:db8::ff00/120", "2001:db8::ff00/120"),
    ])
    func `reads networks`(text: String, expected: String) {
        #expect(trusted(text) == expected)
    }

    @Test(arguments: [
        ("10.0.0.0/33", "the prefix is a number from 0 to 32"),
        ("::/129", "the prefix is a number from 0 to 128"),
        ("10.0.0.0/", "the prefix is a number"), ("10.0.0.0/08", "the prefix is a number"),
        ("10.0.0.0/-1", "the prefix is a number"), ("10.0.0.0/8/8", "the prefix is a number"),
        ("10.0.0.0/1000", "the prefix is a number"), ("10.0.0.1/8", "bits behind its prefix of 8"),
        ("2001:db8::1/64", "bits behind its prefix of 64"), ("10.0.0/8", "is not a network"),
        ("10.0.0.01", "is not a network"), ("localhost", "is not a network"),
        ("", "is not a network"), ("unix", "is not a network"), ("[::1]", "is not a network"),
        ("10.0.0.1:80", "is not a network"), ("fe80::1%eth0", "is not a network"),
        ("::ffff:10.0.0.0/104", "write an IPv4 network as such"),
    ])
    func `refuses what is no network`(text: String, part: String) {
        #expect(trusted(text).hasPrefix("! "))
        #expect(trusted(text).contains(part), "\(trusted(text))")
    }

    @Test(arguments: [
        ("{}", ".trusted: this key is missing"),
        ("{ trusted: [] }", ".trusted: at least 1 is needed"),
        (
            "{ trusted: ['10.0.0.1/8'] }",
            ".trusted[0]: \"10.0.0.1/8\": the address has bits behind its prefix of 8"
        ),
        (
            "{ trusted: ['10.0.0.0/8', 'unix:'] }",
            ".trusted[1]: \"unix:\" is for a listener on a Unix socket"
        ),
        ("{ trusted: ['::/0'], versions: [] }", ".versions: at least 1 is needed"),
        (
            "{ trusted: ['::/0'], versions: ['v3'] }",
            ".versions[0]: expected one of \"v1\", \"v2\", found \"v3\""
        ),
        ("true", ": expected an object, found true"),
    ])
    func `refuses what would not do`(value: String, problem: String) {
        #expect(
            fixture.problems(Sample.manifest(listener: "proxy_protocol: \(value)"))
                == ["listeners[0].proxy_protocol" + problem]
        )
    }

    @Test func `a Unix socket trusts those who can open it`() throws {
        func manifest(_ trusted: String) -> String {
            Sample.manifest(listener: "proxy_protocol: { trusted: ['\(trusted)'] }")
                .replacing("0.0.0.0:8080", with: "unix:/run/a.sock")
        }
        let settings = try fixture.parse(manifest("unix:"))
        #expect(settings.listeners[0].proxyProtocol?.trusted == [.unix])
        #expect(
            fixture.problems(manifest("10.0.0.0/8")) == [
                "listeners[0].proxy_protocol.trusted[0]: a Unix socket's clients have no address;"
                    + " trust \"unix:\""
            ]
        )
    }

    @Test func `a listener trusts at most 256 networks`() throws {
        func manifest(_ count: Int) -> String {
            let list = (0..<count).map { "'10.0.\($0 / 256).\($0 % 256)'" }.joined(separator: ",")
            return Sample.manifest(listener: "proxy_protocol: { trusted: [\(list)] }")
        }
        #expect(try fixture.parse(manifest(256)).listeners[0].proxyProtocol?.trusted.count == 256)
        #expect(
            fixture.problems(manifest(257)) == [
                "listeners[0].proxy_protocol.trusted: 257 entries are too many; at most 256 are"
                    + " possible"
            ]
        )
    }
}
