import Testing

@testable import Discovery

/// A file of peers, and JSON as such.
struct PeerFileTests {
    static func peers(_ text: String) throws -> [DiscoveredPeer] {
        try PeerFile.peers(Array(text.utf8), path: "p.json").peers
    }

    @Test func `peers have all their members`() throws {
        let peers = try Self.peers(
            """
            [ "10.0.0.2:80",
              { "address": "10.0.0.1:80", "weight": 5, "priority": 2, "zone": "a", "backup": true },
              { "address": "unix:/run/a", "draining": true, "backup": false } ]
            """
        )
        let full = DiscoveredPeer(
            address: Array("10.0.0.1:80".utf8),
            weight: 5,
            priority: 2,
            isBackup: true,
            zone: [0x61]
        )
        #expect(
            peers == [
                full, DiscoveredPeer(address: Array("10.0.0.2:80".utf8)),
                DiscoveredPeer(address: Array("unix:/run/a".utf8), isDraining: true),
            ]
        )
    }

    @Test func `an empty list is a list`() throws { #expect(try Self.peers(" [ ] \n") == []) }

    @Test(arguments: [
        ("", "1: the text ends too early"),
        ("{}", "1: expected an array, found an object"),
        ("[\n\"10.0.0.1:80\",\n", "3: the text ends too early"),
        ("[\"10.0.0.1:80\"", "1: expected \",\" or \"]\""),
        ("[\"10.0.0.1:80\"]x", "1: something behind the end"),
        ("[\"10.0.0.1:80\",]", "1: expected a value"),
        ("[\"10.0.0.1:8", "1: a string without an end"),
        ("[1]", "1: expected an address or an object, found a number"),
        ("[\n{}]", "2: a peer without \"address\""),
        (
            "[\"web:80\"]",
            "1: address: expected \"192.0.2.1:80\", \"[2001:db8::1]:80\" or "
                + "\"unix:/path\", found \"web:80\""
        ),
        ("[{\"address\":5}]", "1: address: expected a string, found a number"),
        (
            "[{\"address\":\"10.0.0.1:80\",\n\"weight\":0}]",
            "2: weight: expected a whole number of 1 to 65535"
        ),
        (
            "[{\"address\":\"10.0.0.1:80\",\"weight\":65536}]",
            "1: weight: expected a whole number of 1 to 65535"
        ),
        (
            "[{\"address\":\"10.0.0.1:80\",\"weight\":1.0}]",
            "1: weight: expected a whole number of 1 to 65535"
        ),
        (
            "[{\"address\":\"10.0.0.1:80\",\"priority\":-1}]",
            "1: priority: expected a whole number of 0 to 65535"
        ),
        ("[{\"address\":\"10.0.0.1:80\",\"backup\":1}]", "1: backup: expected true or false"),
        ("[{\"address\":\"10.0.0.1:80\",\"draining\":0}]", "1: draining: expected true or false"),
        (
            "[{\"address\":\"10.0.0.1:80\",\"zone\":\"\\n\"}]",
            "1: zone: up to 64 bytes without control characters"
        ),
        (
            "[{\"address\":\"10.0.0.1:80\",\"wieght\":1}]",
            "1: unknown key \"wieght\"; there are address, weight, priority, zone, backup, draining"
        ),
        (
            "[{\"address\":\"10.0.0.1:80\",\"address\":\"10.0.0.2:80\"}]",
            "1: the key \"address\" is there twice"
        ),
    ])
    func `what is wrong is named with its line`(text: String, wanted: String) {
        #expect(throws: RefreshFailure("p.json:" + wanted)) { try Self.peers(text) }
    }

    @Test func `no address is there twice, however it is spelt`() {
        let failure = RefreshFailure("p.json: [::1]:80 is there twice")
        #expect(throws: failure) { try Self.peers("[\"[::1]:80\",\"[0::1]:80\",\"1.2.3.4:1\"]") }
    }

    @Test(arguments: [(64, true), (65, false)]) func `a zone has a bound`(count: Int, fits: Bool) {
        let zone = String(repeating: "z", count: count)
        let peers = try? Self.peers("[{\"address\":\"10.0.0.1:80\",\"zone\":\"\(zone)\"}]")
        #expect((peers != nil) == fits)
    }

    @Test func `no beginning of a file is a file`() throws {
        let text = "[{\"address\":\"10.0.0.1:80\",\"weight\":2},\"[::1]:8080\"]"
        #expect(try Self.peers(text).count == 2)
        for count in 0..<text.utf8.count {
            #expect(throws: RefreshFailure.self) { try Self.peers(String(text.prefix(count))) }
        }
    }

    // MARK: JSON

    static func json(_ text: String) throws(JSONFault) -> JSONValue {
        try JSONReader.read(Array(text.utf8)).value
    }

    @Test func `values are read`() throws {
        #expect(try Self.json("null") == .null)
        #expect(try Self.json(" true ") == .bool(true))
        #expect(try Self.json("-0") == .integer(0))
        #expect(try Self.json("9223372036854775807") == .integer(.max))
        #expect(try Self.json("9223372036854775808") == .number)
        #expect(try Self.json("-1.5e+3") == .number)
        #expect(try Self.json("\"a\\u00e4\\ud83d\\ude00\\n\"") == .string(Array("aä😀\n".utf8)))
        #expect(try Self.json("[[],{}]") != .null)
    }

    @Test(arguments: [
        "01", "-", "1.", ".5", "1e", "+1", "nul", "tru", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"",
        "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"\u{1}\"", "{\"a\" 1}", "{a:1}", "{\"a\":1,}",
        "[1 2]", "{\"a\":1,\"a\":2}", "1 2", "'a'", "//", "NaN",
    ])
    func `what is no JSON is refused`(text: String) {
        #expect(throws: JSONFault.self) { try Self.json(text) }
    }

    @Test(arguments: [(32, true), (33, false)]) func `depth has a bound`(depth: Int, fits: Bool) {
        let text =
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        #expect(((try? Self.json(text)) != nil) == fits)
    }

    @Test(arguments: [(1_024, true), (1_025, false)])
    func `keys of an object have a bound`(count: Int, fits: Bool) {
        let members = (0..<count).map { "\"\($0)\":0" }.joined(separator: ",")
        #expect(((try? Self.json("{\(members)}")) != nil) == fits)
    }
}
