import Glibc
import SluiceSDK
import SluiceTestKit
import Testing

@testable import Balancing

/// Sessions by a cookie, whatever the balancer.
struct StickyTests {
    typealias TestPeer = BalancerFixture.TestPeer

    private let peers = (1...3).map { TestPeer(address: "10.0.0.\($0):80") }
    /// Of peer 0 with the secret `first`; computed by Python's hmac and base64.
    private let known = "PWclIELIEX-Dz-ya24iqrw"
    private let first = "0123456789abcdef0123456789abcdef"
    private let second = "another secret of thirty-two ch."

    /// Runs something on files with these texts; their names are relative to /tmp.
    private func withFiles(
        _ texts: [String],
        mode: mode_t = 0o600,
        _ body: ([TestValue], FakeHost) throws -> Void
    ) throws {
        var names: [String] = []
        defer { for name in names { unlink("/tmp/" + name) } }
        for text in texts {
            var name = Array(("/tmp/sluice-secret-" + String(repeating: "X", count: 6)).utf8CString)
            let descriptor = mkstemp(&name)
            try #require(descriptor >= 0)
            defer { close(descriptor) }
            let path = String(decoding: name.dropLast().map { UInt8($0) }, as: UTF8.self)
            names.append(String(path.dropFirst("/tmp/".count)))
            try #require(write(descriptor, text, text.utf8.count) == text.utf8.count)
            try #require(fchmod(descriptor, mode) == 0)
        }
        let host = FakeHost()
        host.folder = "/tmp"
        try body(names.map { .string($0) }, host)
    }

    private func withPlugin(
        _ balancer: Balancers,
        _ secrets: [String]? = nil,
        _ keys: [String: TestValue] = [:],
        _ others: [String: TestValue] = [:],
        _ body: (PluginFixture) throws -> Void
    ) throws {
        try withFiles(secrets ?? [first]) { files, host in
            var sticky = keys
            sticky["secrets"] = .array(files)
            try body(
                balancer.plugin(
                    others.merging(["sticky": .object(sticky)]) { $1 },
                    host: host
                )
            )
            #expect(host.misuses == [])
        }
    }

    /// The peer that a request with a cookie gets, and the cookie that its response sets.
    private func send(
        _ plugin: PluginFixture,
        _ table: BalancerFixture,
        cookie: String? = nil,
        tried: Set<Int> = [],
        secure: Bool = false,
        of peers: [TestPeer]? = nil
    ) throws -> (peer: Int, set: String?) {
        let request = RequestFixture(
            fields: cookie.map { [("cookie", "a=b; sluice_peer=\($0); c=d")] } ?? [],
            secure: secure
        )
        #expect(plugin.requestHeaders(request) == .next)
        let peer = try #require(table.pick(tried: tried, hashKey: request.hashKey)?.first)
        request.setFacts(peer: (peers ?? self.peers)[peer].address ?? "")
        request.respond(status: 200)
        #expect(plugin.responseHeaders(request) == .next)
        return (peer, request.response["set-cookie"])
    }

    /// The value in "sluice_peer=VALUE; Path=/...".
    private func value(_ field: String?) -> String? {
        field.flatMap {
            $0.split(separator: ";").first?.split(separator: "=").last.map(String.init)
        }
    }

    @Test(arguments: Balancers.allCases)
    func `a client stays with the peer of its first response`(balancer: Balancers) throws {
        try withPlugin(balancer) { plugin in
            let table = try #require(BalancerFixture(plugin, peers))
            var seen: Set<Int> = []
            for _ in 0..<40 {
                let (peer, set) = try send(plugin, table)
                seen.insert(peer)
                let cookie = try #require(value(set))
                #expect(cookie.utf8.count == 22 && !cookie.contains("10"))
                for _ in 0..<3 {
                    let again = try send(plugin, table, cookie: cookie)
                    #expect(again.peer == peer && again.set == nil)
                }
            }
            #expect(seen == [0, 1, 2])
        }
    }

    @Test(arguments: Balancers.allCases)
    func `the cookie is the same in every process`(balancer: Balancers) throws {
        try withPlugin(balancer) { plugin in
            let table = try #require(BalancerFixture(plugin, peers))
            for _ in 0..<10 {
                let sent = try send(plugin, table, cookie: known)
                #expect(sent.peer == 0 && sent.set == nil)
            }
        }
    }

    @Test(arguments: Balancers.allCases)
    func `another peer is found, and told, when the session's cannot be used`(
        balancer: Balancers
    ) throws {
        try withPlugin(balancer) { plugin in
            let table = try #require(BalancerFixture(plugin, peers))
            let tried = try send(plugin, table, cookie: known, tried: [0])
            #expect(tried.peer != 0 && value(tried.set) != nil && value(tried.set) != known)
            table.setHealthy(0, false)
            let ill = try send(plugin, table, cookie: known)
            #expect(ill.peer != 0)
            let moved = try #require(value(ill.set))
            #expect(try send(plugin, table, cookie: moved).peer == ill.peer)
            table.setHealthy(0, true)
            #expect(try send(plugin, table, cookie: known).peer == 0)
            let rest = Array(peers[1...])
            let later = try #require(BalancerFixture(plugin, rest, version: 1))
            #expect(try send(plugin, later, cookie: known, of: rest).set != nil)
        }
    }

    @Test
    func `a cookie that nobody has signed counts for nothing`() throws {
        var others = [
            "", "x", known + "A", String(known.dropLast()), "10.0.0.1:80", "\"\(known)\"",
        ]
        // Another last character with the same 128 bits, and one bit of the name.
        others += [String(known.dropLast()) + "x", "Q" + known.dropFirst()]
        others += [String(known.dropLast(2)) + "r=", known.uppercased()]
        try withPlugin(.roundRobin) { plugin in
            let table = try #require(BalancerFixture(plugin, peers))
            for other in others {
                var seen: Set<Int> = []
                for _ in 0..<3 {
                    let sent = try send(plugin, table, cookie: other)
                    seen.insert(sent.peer)
                    #expect(value(sent.set) != nil, "\(other)")
                }
                #expect(seen == [0, 1, 2], "\(other)")
            }
        }
        try withPlugin(.roundRobin, [second]) { plugin in
            let table = try #require(BalancerFixture(plugin, peers))
            let seen = try (0..<3).map { _ in try send(plugin, table, cookie: known).peer }
            #expect(Set(seen) == [0, 1, 2])
        }
    }

    @Test
    func `what a client sends as a key does not name a peer`() throws {
        try withPlugin(.ketama, nil, [:], ["key": "query:k"]) { plugin in
            let table = try #require(BalancerFixture(plugin, peers))
            let mark = String(repeating: "0", count: 16)
            let request = RequestFixture("GET", "/?k=\(mark)\(known)rest")
            #expect(plugin.requestHeaders(request) == .next)
            #expect(request.hashKey == "\(mark)\(known)rest")
            // And the key still hashes behind a session that is over.
            let plain = table.pick(hashKey: "rest")
            let session = RequestFixture(
                "GET",
                "/?k=rest",
                fields: [("cookie", "sluice_peer=AAAAAAAAAAAAAAAAAAAAAA")]
            )
            #expect(plugin.requestHeaders(session) == .next)
            #expect(session.hashKey?.hasSuffix("AAAAAAAAAAAAAAAAAAAAAArest") == true)
            #expect(table.pick(hashKey: session.hashKey) == plain)
        }
    }

    @Test
    func `a secret that is no longer the first is known, and replaced`() throws {
        try withPlugin(.random, [second, first]) { plugin in
            let table = try #require(BalancerFixture(plugin, peers))
            let sent = try send(plugin, table, cookie: known)
            #expect(sent.peer == 0)
            let cookie = try #require(value(sent.set))
            #expect(cookie != known)
            let again = try send(plugin, table, cookie: cookie)
            #expect(again.peer == 0 && again.set == nil)
        }
    }

    @Test(arguments: [true, false])
    func `a draining peer keeps its sessions, or not`(isKept: Bool) throws {
        let draining = [TestPeer(address: "10.0.0.1:80", isDraining: true)] + peers[1...]
        try withPlugin(.leastConnections, nil, ["draining": .bool(isKept)]) { plugin in
            let table = try #require(BalancerFixture(plugin, draining))
            for _ in 0..<20 { #expect(try send(plugin, table).peer != 0) }
            let sent = try send(plugin, table, cookie: known)
            #expect((sent.peer == 0) == isKept && (sent.set == nil) == isKept)
        }
    }

    @Test
    func `responses of the proxy itself, and those without a peer, set nothing`() throws {
        try withPlugin(.random) { plugin in
            let request = RequestFixture()
            request.setFacts(peer: "10.0.0.1:80")
            request.respond(status: 502, isLocal: true)
            #expect(plugin.responseHeaders(request) == .next)
            #expect(request.response["set-cookie"] == nil)
            let cached = RequestFixture()
            cached.respond(status: 200)
            #expect(plugin.responseHeaders(cached) == .next)
            #expect(cached.response["set-cookie"] == nil)
        }
    }

    @Test
    func `many peers share the places of their names`() throws {
        let many = (0..<300).map { TestPeer(address: "10.1.\($0 / 256).\($0 % 256):80") }
        try withPlugin(.roundRobin) { plugin in
            let table = try #require(BalancerFixture(plugin, many))
            var cookies: [String: Int] = [:]
            for _ in 0..<300 {
                let sent = try send(plugin, table, of: many)
                cookies[try #require(value(sent.set))] = sent.peer
            }
            #expect(cookies.count == 300)
            for (cookie, peer) in cookies {
                let sent = try send(plugin, table, cookie: cookie, of: many)
                #expect(sent.peer == peer && sent.set == nil)
            }
        }
    }

    @Test
    func `the cookie's attributes`() throws {
        let cases: [([String: TestValue], Bool, String)] = [
            ([:], false, "; Path=/; HttpOnly; SameSite=Lax"),
            ([:], true, "; Path=/; Secure; HttpOnly; SameSite=Lax"),
            (["secure": false, "same_site": "omit", "http_only": false], true, "; Path=/"),
            (
                [
                    "path": "/app", "domain": "example.com", "secure": true, "same_site": "none",
                    "max_age": .measured("1h", 3_600_000_000_000),
                ], false,
                "; Path=/app; Domain=example.com; Max-Age=3600; Secure; HttpOnly; SameSite=None"
            ),
            (
                ["same_site": "strict", "secure": "auto"], false,
                "; Path=/; HttpOnly; SameSite=Strict"
            ),
        ]
        for (keys, isTLS, end) in cases {
            try withPlugin(.roundRobin, nil, keys) { plugin in
                let table = try #require(BalancerFixture(plugin, peers))
                let set = try #require(try send(plugin, table, secure: isTLS).set)
                #expect(set.hasPrefix("sluice_peer="))
                #expect(set.dropFirst("sluice_peer=".count + 22) == end)
            }
        }
    }

    @Test
    func `refuses what it does not understand`() throws {
        let cases: [([String: TestValue], String)] = [
            (["cookie": "a b"], "sticky.cookie: no name of a cookie"),
            (["path": "app"], "sticky.path: does not begin with /"),
            (["path": "/;x"], "sticky.path: can't stand in a cookie"),
            (["domain": "a;b"], "sticky.domain: can't stand in a cookie"),
            (["domain": ""], "sticky.domain: can't stand in a cookie"),
            (["max_age": .measured("500ms", 500_000_000)], "sticky.max_age: is not within 1s to"),
            (["same_site": "none"], "sticky.same_site: browsers take \"none\" with secure: true"),
            (["same_site": "Lax"], "sticky.same_site: there are lax, strict, none and omit"),
            (["secure": "yes"], "sticky.secure: true, false or \"auto\" is wanted"),
            (["cookie": "__Secure-x"], "sticky.cookie: this name needs secure: true"),
            (
                ["cookie": "__Host-x", "secure": true, "path": "/x"],
                "sticky.cookie: this name needs path / and no domain"
            ),
            (["cookies": "x"], "sticky.cookies: unknown key; did you mean \"cookie\"?"),
        ]
        try withFiles([first]) { files, host in
            for (keys, line) in cases {
                var sticky = keys
                sticky["secrets"] = .array(files)
                let refusal = Balancers.ketama.refusal(["sticky": .object(sticky)], host: host)
                #expect(refusal?.hasPrefix(line) == true, "\(refusal ?? "taken")")
            }
        }
        #expect(Balancers.random.refusal(["sticky": [:]]) == "sticky.secrets: is missing")
        #expect(
            Balancers.random.refusal(["sticky": ["secrets": []]])
                == "sticky.secrets: 0 entries; there may be 1 to 4"
        )
    }

    @Test
    func `secrets have 32 to 1024 bytes, without the end of the line`() throws {
        for (count, isTaken) in [(31, false), (32, true), (1_024, true), (1_025, false)] {
            for end in ["", "\n", "\r\n"] {
                try withFiles([String(repeating: "k", count: count) + end]) { files, host in
                    let refusal = Balancers.random.refusal(
                        ["sticky": ["secrets": .array(files)]],
                        host: host
                    )
                    #expect((refusal == nil) == isTaken, "\(count): \(refusal ?? "taken")")
                    #expect(refusal?.contains("kkk") != true)
                }
            }
        }
        try withFiles([String](repeating: first, count: 5)) { files, host in
            let four: TestValue = ["secrets": .array(Array(files[..<4]))]
            #expect(Balancers.random.refusal(["sticky": four], host: host) == nil)
            #expect(
                Balancers.random.refusal(["sticky": ["secrets": .array(files)]], host: host)
                    == "sticky.secrets: 5 entries; there may be 1 to 4"
            )
        }
    }

    @Test(arguments: [(0o600, true), (0o640, true), (0o400, true), (0o644, false), (0o660, false)])
    func `a secret that others can use is refused`(mode: Int, isTaken: Bool) throws {
        try withFiles([first], mode: mode_t(mode)) { files, host in
            let refusal = Balancers.random.refusal(
                ["sticky": ["secrets": .array(files)]],
                host: host
            )
            #expect((refusal == nil) == isTaken)
            if let refusal {
                #expect(refusal.hasPrefix("sticky.secrets[0]: /tmp/sluice-secret-"))
                #expect(refusal.contains("its mode 0\(String(mode, radix: 8)) lets others use"))
            }
        }
        let missing = Balancers.random.refusal(["sticky": ["secrets": ["/tmp/no such file"]]])
        #expect(missing?.contains("/tmp/no such file: No such file") == true)
    }

    @Test(arguments: Balancers.allCases)
    func `without sessions there is no hook`(balancer: Balancers) throws {
        #expect(try balancer.plugin().hookedPhases == [])
        try withPlugin(balancer) { plugin in #expect(plugin.hookedPhases.count == 2) }
    }

    @Test
    func `a name has one text`() throws {
        let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        for (index, digit) in digits.enumerated() {
            let text = Array((String(known.dropLast()) + String(digit)).utf8)
            let isName = text.withUnsafeBufferPointer { buffer in
                buffer.baseAddress.map { PeerName(Bytes($0, count: 22)) != nil } ?? false
            }
            #expect(isName == (index % 16 == 0), "\(digit)")
        }
    }
}
