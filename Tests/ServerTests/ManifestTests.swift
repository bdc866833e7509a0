import Proxy
import Testing

@testable import Server

/// What a manifest must be as a whole.
struct ManifestTests {
    let fixture = ManifestFixture()

    @Test func `reports all problems, in the order of the text, with their places`() {
        let text = """
            {
              version: 1,
              listners: [],
              listeners: [
                { listen: "0.0.0.0:8080", limits: { head: "1MiB" } },
              ],
              upstreams: { app: { peers: ["192.0.2.1:80"], health: {} } },
              routes: [
                { match: { hots: "example.com" }, upstream: "ap" },
                { match: { path: 7 } },
              ],
            }
            """
        let file = "/etc/sluice/sluice.json5"
        #expect(
            fixture.lines(text) == [
                "\(file):3:3: listners: unknown key; did you mean \"listeners\"?",
                "\(file):5:47: listeners[0].limits.head: 1MiB is out of range; expected"
                    + " 256B to 65535B",
                "\(file):7:48: upstreams.app.health: not supported by this version of sluice",
                "\(file):9:16: routes[0].match.hots: unknown key; did you mean \"host\"?",
                "\(file):9:49: routes[0].upstream: no upstream has the name \"ap\"; did you"
                    + " mean \"app\"?",
                "\(file):10:5: routes[1]: needs an upstream, or a chain that answers",
                "\(file):10:22: routes[1].match.path: expected a path such as \"/exact\" or"
                    + " \"/prefix/*\", found a number",
            ]
        )
    }

    @Test func `bounds the problems it shows`() {
        func lines(_ count: Int) -> [String] {
            let keys = (0..<count).map { "zz\($0): 1" }.joined(separator: ", ")
            return fixture.lines(Sample.manifest(top: keys))
        }
        let most = ManifestFailure.problemsMax
        #expect(lines(most).count == most)
        #expect(lines(most).last?.hasSuffix("zz99: unknown key") == true)
        #expect(lines(most + 1).count == most + 1)
        #expect(lines(most + 1).last == "... and 1 more problems")
        #expect(lines(ManifestReader.problemsKeptMax + 1).last == "... and 901 more problems")
    }

    @Test func `names line and column of a broken text`() {
        #expect(
            fixture.lines("{\n  version: 1\n  workers: 2\n}")
                == ["/etc/sluice/sluice.json5:3:3: expected \",\" or \"}\", found \"w\""]
        )
    }

    @Test func `messages stay on one line`() {
        let lines = fixture.lines(Sample.manifest(top: "'a\\n\\u0007b': 1, chain: ['\\n']"))
        #expect(lines.count == 2)
        #expect(lines.allSatisfy { $0.unicodeScalars.allSatisfy { $0.value >= 0x20 } })
    }

    @Test func `bounds the file`() {
        let most = Manifest.bytesMax
        let text = Sample.manifest()
        let spaces = most - text.utf8.count
        #expect(fixture.lines(text + String(repeating: " ", count: spaces)) == [])
        #expect(
            fixture.lines(text + String(repeating: " ", count: spaces + 1))
                == ["/etc/sluice/sluice.json5: the file is larger than 4MiB"]
        )
    }

    // MARK: Keys

    @Test(arguments: ReferenceDocument.tables.map(\.id))
    func `refuses unknown keys everywhere`(id: String) throws {
        let table = try #require(ReferenceDocument.tables.first { $0.id == id })
        let problems = fixture.problems(Sample.manifest(id, "zzz: 1"))
        #expect(problems == ["\(Sample.path(id))zzz: unknown key"])
        let known = try #require(table.keys.last?.name)
        let misspelled = fixture.problems(Sample.manifest(id, "\(known)x: 1"))
        #expect(
            misspelled == ["\(Sample.path(id))\(known)x: unknown key; did you mean \"\(known)\"?"]
        )
    }

    @Test(arguments: [
        ("manifest", "tls"), ("manifest", "metrics"), ("listener", "reuse_port"),
        ("upstream", "hash_key"),
        ("peer", "tls"), ("match", "query"),
    ])
    func `knows the keys of later versions`(table: String, key: String) {
        #expect(
            fixture.problems(Sample.manifest(table, "\(key): {}"))
                == ["\(Sample.path(table))\(key): not supported by this version of sluice"]
        )
    }

    @Test func `no key of a later version is a key of this one`() {
        for table in ReferenceDocument.tables {
            for key in table.keys {
                let problems = fixture.problems(Sample.manifest(table.id, "\(key.name): 1"))
                #expect(
                    !problems.contains { $0.hasSuffix("not supported by this version of sluice") }
                )
            }
        }
    }

    @Test func `misses the keys that must be there`() {
        #expect(
            fixture.problems("{ plugins: { a: {} }, upstreams: { b: {} } }") == [
                "version: this key is missing", "listeners: this key is missing",
                "routes: this key is missing", "plugins.a.library: this key is missing",
                "upstreams.b.peers: this key is missing; or say discovery: true",
            ]
        )
        #expect(
            fixture.problems(
                "{ version: 1, listeners: [{}], upstreams: { b: { peers: [{}] } }, routes:"
                    + " [{ upstream: 'b' }] }"
            ) == [
                "listeners[0].listen: this key is missing",
                "upstreams.b.peers[0].address: this key is missing",
            ]
        )
    }

    @Test(arguments: [
        ("manifest", "version: 1", "version"), ("limits", "head: 256, head: 257", "head"),
        ("plugin", "config: { a: [{ b: 1, b: 1 }] }", "config.a[0].b"),
        ("match", "headers: { a: true, \"\\u0061\": true }", "headers.a"),
    ])
    func `refuses a key that occurs twice`(table: String, members: String, path: String) {
        #expect(
            fixture.problems(Sample.manifest(table, members))
                == ["\(Sample.path(table))\(path): the key occurs twice"]
        )
    }

    // MARK: Names

    @Test(arguments: [
        ("chain: ['on']", "chain[0]: no plugin has the name \"on\"; did you mean \"one\"?"),
        ("chain: ['app']", "chain[0]: no plugin has the name \"app\""),
        ("chain: ['one', 'one']", "chain[1]: \"one\" is on this chain already"),
    ])
    func `refuses a wrong chain`(member: String, problem: String) {
        #expect(fixture.problems(Sample.manifest(top: member)) == [problem])
    }

    @Test func `refuses wrong names in routes and upstreams`() {
        #expect(
            fixture.problems(Sample.manifest(route: "chain: ['three']"))
                == ["routes[0].chain[0]: no plugin has the name \"three\""]
        )
        #expect(
            fixture.problems(Sample.manifest(upstream: "balancer: 'tow'"))
                == ["upstreams.app.balancer: no plugin has the name \"tow\"; did you mean \"two\"?"]
        )
        #expect(
            fixture.problems(Sample.manifest(top: "chain: ['one']", route: "chain: ['two', 'one']"))
                == ["routes[0].chain[1]: \"one\" is on the chain of all requests already"]
        )
    }

    @Test func `one mistake is one line`() {
        // The entries are wrong, but their names are declared.
        #expect(
            fixture.problems(
                Sample.manifest(plugin: "on_error: 1", upstream: "balancer: 'one', host: 1")
            )
                == [
                    "plugins.one.on_error: expected \"open\" or \"closed:STATUS\" with a"
                        + " status of 400 to 599, found a number",
                    "upstreams.app.host: expected a host such as \"example.com\" or"
                        + " \"example.com:8080\", found a number",
                ]
        )
    }

    @Test func `refuses names that logs cannot show`() {
        let text = Sample.manifest().replacing("app:", with: "\"a b\":")
            .replacing("\"app\"", with: "\"a b\"")
        #expect(
            fixture.problems(text) == [
                "upstreams[\"a b\"]: a name has 1 to 64 of A-Z a-z 0-9 _ . - and does not"
                    + " begin with . or -"
            ]
        )
    }

    @Test func `refuses two routes of a name and two listeners of an address`() {
        let text = """
            { version: 1,
              listeners: [{ listen: ":1" }, { listen: "127.0.0.1:0" }, { listen: "[0::0]:1" },
                { listen: "127.0.0.1:0" }],
              upstreams: { app: { peers: ["a:1"] } },
              routes: [{ name: "x", upstream: "app" }, { upstream: "app" },
                { name: "x", upstream: "app" }] }
            """
        #expect(
            fixture.problems(text) == [
                "listeners[2].listen: the same address as listeners[0]",
                "routes[2].name: the same name as routes[0]",
            ]
        )
    }

    // MARK: Upstreams and routes

    @Test func `several peers need a balancer`() {
        let text = Sample.manifest().replacing("192.0.2.1:80", with: "a:1\", \"b:1")
        #expect(
            fixture.problems(text) == [
                "upstreams.app.balancer: this key is missing; an upstream with 2 peers needs it"
            ]
        )
        let good = Sample.manifest(upstream: "balancer: 'one'")
            .replacing("192.0.2.1:80", with: "a:1\", \"b:1")
        #expect(fixture.problems(good) == [])
    }

    @Test func `refuses the same peer twice`() {
        let text = Sample.manifest(upstream: "balancer: 'one'")
            .replacing("192.0.2.1:80", with: "a:1\", \"A:1")
        #expect(
            fixture.problems(text) == [
                "upstreams.app.peers[1]: the same address as peers[0]; use weight for a"
                    + " larger share"
            ]
        )
    }

    @Test func `a route needs an upstream or a chain`() {
        func manifest(_ top: String, _ route: String) -> String {
            """
            { version: 1, listeners: [{ listen: ":1" }], plugins: { p: { library: "p.so" } },
              \(top) routes: [{ \(route) }] }
            """
        }
        #expect(fixture.problems(manifest("", "chain: ['p']")) == [])
        #expect(fixture.problems(manifest("chain: ['p'],", "")) == [])
        for route in ["", "chain: []"] {
            #expect(
                fixture.problems(manifest("chain: [],", route))
                    == ["routes[0]: needs an upstream, or a chain that answers"]
            )
        }
    }

    // MARK: Files

    @Test func `looks up libraries beside the executable`() throws {
        var fixture = fixture
        fixture.files = ["/usr/bin/libOne.so", "/usr/bin/libTwo.so"]
        #expect(try fixture.parse(Sample.manifest()).plugins[0].libraryPath == "/usr/bin/libOne.so")
        fixture.folders.insert("/usr/bin/../lib/sluice/plugins")
        #expect(
            fixture.problems(Sample.manifest()).first
                == "plugins.one.library: there is no file"
                + " \"/usr/bin/../lib/sluice/plugins/libOne.so\""
        )
    }

    @Test func `looks up libraries in the folder of plugins`() throws {
        let text = Sample.manifest(top: "plugin_dir: 'plugins'")
            .replacing("libTwo.so", with: "./own/libTwo.so")
        let plugins = try fixture.parse(text).plugins
        #expect(
            plugins.map(\.libraryPath)
                == ["/etc/sluice/plugins/libOne.so", "/etc/sluice/./own/libTwo.so"]
        )
        #expect(
            fixture.problems(Sample.manifest(top: "plugin_dir: 'nowhere'"))
                == ["plugin_dir: there is no folder \"/etc/sluice/nowhere\""]
        )
    }

    @Test func `paths of a manifest without a folder have a slash`() throws {
        var fixture = fixture
        fixture.files = nil
        let settings = try Manifest.parse(
            Array(Sample.manifest().replacing("libOne.so", with: "./libOne.so").utf8),
            path: "sluice.json5",
            fixture.surroundings
        )
        #expect(settings.plugins[0].libraryPath == "././libOne.so")
        #expect(ManifestPath.folder(of: "/a") == "/")
        #expect(ManifestPath.folder(of: "a/b/c") == "a/b")
        #expect(ManifestPath.resolve("b", in: "/") == "/b")
    }

    @Test func `refuses a folder as a library`() {
        var fixture = fixture
        fixture.folders.insert("/usr/bin/libOne.so")
        #expect(
            fixture.problems(Sample.manifest())
                == ["plugins.one.library: \"/usr/bin/libOne.so\" is a folder, not a library"]
        )
    }

    // MARK: Counts

    @Test func `bounds the entries of lists and objects`() {
        func listeners(_ count: Int) -> String {
            let list = (0..<count).map { "{ listen: ':\($0 + 1)' }" }.joined(separator: ",")
            return Sample.manifest().replacing("{ listen: \"0.0.0.0:8080\",  }", with: list)
        }
        #expect(fixture.problems(listeners(ManifestLimits.listenersMax)) == [])
        #expect(
            fixture.problems(listeners(ManifestLimits.listenersMax + 1))
                == ["listeners: 65 entries are too many; at most 64 are possible"]
        )

        func hosts(_ count: Int) -> String {
            let list = (0..<count).map { "'h\($0)'" }.joined(separator: ",")
            return Sample.manifest("match", "host: [\(list)]")
        }
        #expect(fixture.problems(hosts(ManifestLimits.hostsMax)) == [])
        #expect(
            fixture.problems(hosts(ManifestLimits.hostsMax + 1))
                == ["routes[0].match.host: 257 entries are too many; at most 256 are possible"]
        )

        func headers(_ count: Int) -> String {
            let list = (0..<count).map { "h\($0): true" }.joined(separator: ",")
            return Sample.manifest("match", "headers: {\(list)}")
        }
        #expect(fixture.problems(headers(ManifestLimits.headersMax)) == [])
        #expect(
            fixture.problems(headers(ManifestLimits.headersMax + 1))
                == ["routes[0].match.headers: 33 fields are too many; at most 32 are possible"]
        )

        func plugins(_ count: Int) -> String {
            let list = (0..<count).map { "p\($0): { library: 'p.so' }" }.joined(separator: ",")
            return """
                { version: 1, listeners: [{ listen: ":1" }], plugins: {\(list)},
                  upstreams: { app: { peers: ["a:1"] } }, routes: [{ upstream: "app" }] }
                """
        }
        #expect(fixture.problems(plugins(ManifestLimits.pluginsMax)) == [])
        #expect(
            fixture.problems(plugins(ManifestLimits.pluginsMax + 1))
                == ["plugins: 257 entries are too many; at most 256 are possible"]
        )
    }
}
