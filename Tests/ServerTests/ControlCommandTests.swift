import Admin
import Testing

@testable import Server

/// The commands that speak to the admin interface: what they ask for.
struct ControlCommandTests {
    private func parse(_ line: String) -> Result<Command, UsageError> {
        do throws(UsageError) {
            return .success(try Command.parse(line.split(separator: " ").map(String.init)))
        } catch {
            return .failure(error)
        }
    }

    private static let digest = String(repeating: "0aF9", count: 16)

    private static let requests: [(String, AdminRequest)] = [
        ("status", AdminRequest("GET", "/v1/status")),
        ("reload", AdminRequest("POST", "/v1/reload")),
        ("reload --dry-run", AdminRequest("POST", "/v1/reload", ["dry_run": true])),
        ("upgrade", AdminRequest("POST", "/v1/upgrade")),
        ("upgrade --binary /a/b", AdminRequest("POST", "/v1/upgrade", ["binary": "/a/b"])),
        ("stop", AdminRequest("POST", "/v1/stop")),
        ("stop --fast", AdminRequest("POST", "/v1/stop", ["fast": true])),
        (
            "plugin swap ring a.so",
            AdminRequest("POST", "/v1/plugins/ring/swap", ["library": "a.so"])
        ),
        (
            "plugin swap ring --sha256 \(digest) a.so --canary 5% --error-budget=0.5% "
                + "--latency-budget 1.5x --for 10m",
            AdminRequest(
                "POST",
                "/v1/plugins/ring/swap",
                [
                    "library": "a.so", "sha256": .string(digest), "canary": "5%",
                    "error_budget": "0.5%", "latency_budget": "1.5x", "for": "10m",
                ]
            )
        ),
        ("plugin promote a-b_c.d", AdminRequest("POST", "/v1/plugins/a-b_c.d/promote")),
        ("plugin rollback ring", AdminRequest("POST", "/v1/plugins/ring/rollback")),
        ("plugin reset ring", AdminRequest("POST", "/v1/plugins/ring/reset")),
        (
            "cache purge pages --url http://a/b",
            AdminRequest("POST", "/v1/cache/pages/purge", ["url": "http://a/b"])
        ),
        (
            "cache purge --prefix=http://a/ pages --soft",
            AdminRequest(
                "POST",
                "/v1/cache/pages/purge",
                ["prefix": "http://a/", "soft": true]
            )
        ),
        (
            "cache purge pages --tag t",
            AdminRequest("POST", "/v1/cache/pages/purge", ["tag": "t"])
        ),
        (
            "cache purge pages --all",
            AdminRequest("POST", "/v1/cache/pages/purge", ["all": true])
        ),
    ]

    @Test(arguments: requests)
    func `asks for what it is told`(line: String, request: AdminRequest) {
        guard case .success(.control(let order)) = parse(line) else {
            Issue.record("\(parse(line))")
            return
        }
        #expect(order.request == request)
        #expect(order.manifest == "sluice.json5")
        #expect(order.admin == nil && order.tokenFile == nil && !order.isRaw)
    }

    @Test(arguments: requests.map(\.0))
    func `takes the options of all such commands`(line: String) {
        let options = " -m a.json5 --admin 127.0.0.1:9 --token-file t --json"
        guard case .success(.control(let order)) = parse(line + options) else {
            Issue.record("\(parse(line + options))")
            return
        }
        #expect(order.manifest == "a.json5")
        #expect(order.admin == "127.0.0.1:9")
        #expect(order.tokenFile == "t")
        #expect(order.isRaw)
    }

    @Test(arguments: [
        ("plugin swap", "`sluice plugin swap` needs an INSTANCE"),
        ("plugin swap a", "`sluice plugin swap` needs a FILE.so"),
        ("plugin swap a b c", "unexpected argument \"c\" of `sluice plugin swap`"),
        (
            "plugin swap ../a b",
            "\"../a\" is no INSTANCE: a name has 1 to 64 of A-Z a-z 0-9 _ . - and does not begin"
                + " with . or -"
        ),
        (
            "plugin promote a/b",
            "\"a/b\" is no INSTANCE: a name has 1 to 64 of A-Z a-z 0-9 _ . - and does not begin"
                + " with . or -"
        ),
        (
            "plugin swap a b --sha256 12",
            "option --sha256: expected 64 hexadecimal digits, found \"12\""
        ),
        (
            "plugin swap a b --canary 5",
            "option --canary: expected a share from 0.01% to 99.99%, found \"5\""
        ),
        (
            "plugin swap a b --canary 5% --error-budget 101%",
            "option --error-budget: expected a share from 0% to 100%, found \"101%\""
        ),
        (
            "plugin swap a b --canary 5% --latency-budget 2",
            "option --latency-budget: expected a factor from 1x to 100x, found \"2\""
        ),
        (
            "plugin swap a b --canary 5% --for 0s",
            "option --for: expected a duration from 1ms to 168h, found \"0s\""
        ),
        ("plugin swap a b --for 1s", "option --for: only with --canary"),
        ("plugin swap a b --error-budget 1%", "option --error-budget: only with --canary"),
        (
            "cache purge pages",
            "`sluice cache purge`: expected one of url, prefix, tag and all, found 0"
        ),
        ("cache purge", "`sluice cache purge` needs an INSTANCE"),
        ("stop now", "unexpected argument \"now\" of `sluice stop`"),
        ("upgrade --binary", "option \"--binary\" needs a PATH"),
        ("reload --dry", "unknown option \"--dry\" of `sluice reload`"),
    ])
    func `names what it does not know`(line: String, message: String) {
        #expect(parse(line) == .failure(UsageError(message)))
    }
}

struct SwapOrderTests {
    private func read(_ body: JSON) throws -> SwapOrder { try SwapOrder(plugin: "ring", body) }

    private func problems(_ body: JSON) -> [String] {
        do throws(SwapOrder.Refusal) {
            _ = try SwapOrder(plugin: "ring", body)
            return []
        } catch {
            return error.lines
        }
    }

    @Test func `reads an order`() throws {
        let digest = String(repeating: "0aF9", count: 16)
        let order = try read([
            "library": "/a.so", "sha256": .string(digest), "canary": "12.25%",
            "error_budget": "0%", "latency_budget": "100x", "for": "168h",
        ])
        #expect(order.plugin == "ring")
        #expect(order.library == "/a.so")
        #expect(order.sha256 == digest.lowercased())
        #expect(order.canary == 12.25)
        #expect(order.errorBudget == 0)
        #expect(order.latencyBudget == 100)
        #expect(order.duration == 604_800_000)
        let plain = try read(["library": "/a.so"])
        #expect(plain.sha256 == nil && plain.canary == nil && plain.duration == nil)
        #expect(plain.errorBudget == SwapOrder.errorBudgetDefault)
        #expect(plain.latencyBudget == SwapOrder.latencyBudgetDefault)
    }

    @Test(arguments: [
        ("5%", 5), ("0.01%", 0.01), ("0.1%", 0.1), ("99.99%", 99.99), ("07.50%", 7.5),
    ])
    func `reads shares`(text: String, share: Double) throws {
        #expect(try read(["library": "/a", "canary": .string(text)]).canary == share)
    }

    @Test(arguments: [
        "0%", "100%", "0.001%", "5", "%", ".5%", "5.%", "-5%", "+5%", "5 %", "5%%", "1e1%", "5,5%",
        "1.2.3%", "99999%", "٥%", "",
    ])
    func `refuses other shares`(text: String) {
        let found = JSON.string(text).text
        #expect(
            problems(["library": "/a", "canary": .string(text)])
                == ["canary: expected a share from 0.01% to 99.99%, found \(found)"]
        )
    }

    @Test(arguments: ["0.99x", "100.01x", "1", "x", "1.5X", "2%"])
    func `refuses other factors`(text: String) {
        #expect(
            problems(["library": "/a", "canary": "5%", "latency_budget": .string(text)])
                == ["latency_budget: expected a factor from 1x to 100x, found \"\(text)\""]
        )
    }

    @Test(arguments: ["", "a.so", "./a.so", "/a\0b"])
    func `refuses other paths`(text: String) {
        let found = JSON.string(text).text
        #expect(
            problems(["library": .string(text)])
                == ["library: expected a path from the root, found \(found)"]
        )
    }

    @Test func `names every problem`() {
        #expect(
            problems(["sha256": 1, "canary": 5, "error_budget": "100.01%", "for": "169h"])
                == [
                    "library: this member is missing",
                    "sha256: expected 64 hexadecimal digits, found 1",
                    "canary: expected a share from 0.01% to 99.99%, found 5",
                    "error_budget: expected a share from 0% to 100%, found \"100.01%\"",
                    "for: expected a duration from 1ms to 168h, found \"169h\"",
                ]
        )
        #expect(
            problems(["library": "/a", "latency_budget": "2x"])
                == ["latency_budget: only with canary"]
        )
    }
}

struct ControlTextTests {
    private func lines(_ body: JSON, _ path: String = "/v1/status") -> [String] {
        ControlText.lines(of: body, for: AdminRequest("GET", path))
    }

    @Test func `shows a status as tables`() {
        let status: JSON = [
            "version": "0.1.0", "pid": 7, "state": "serving", "uptime_seconds": 3_725,
            "workers": 2, "generation": 3, "manifest": "a.json5",
            "supervisor": ["pid": 6, "restarts": 1, "last_crash": .null, "serving_pid": 7],
            "listeners": [
                ["address": "0.0.0.0:80", "protocols": ["h1", "h2c"], "tls": false]
            ],
            "canary": [
                "plugin": "a", "share_percent": .number(2.5),
                "canary": ["requests": 7, "failures": 1], "stable": ["requests": 90],
            ],
            "last_canary": "a: rolled back: slow",
            "plugins": [
                [
                    "name": "a", "id": "org.a", "version": "1.0.0",
                    "sha256": "0123456789abcdef0123", "state": "active",
                ],
                ["name": "long-name", "id": "b", "version": "2", "sha256": "", "faults": 4],
            ],
            "generations": [
                [
                    "generation": 2, "seconds": 61,
                    "holders": [
                        [
                            "kind": "tunnel", "what": "GET /a", "client": "192.0.2.1:5",
                            "seconds": 60,
                        ],
                        ["kind": "connection", "what": "", "client": "x", "seconds": .null],
                    ],
                ]
            ],
        ]
        #expect(
            lines(status) == [
                "sluice 0.1.0, process 7, serving, up 1h 2m, workers: 2, generation 3",
                "manifest: a.json5",
                "supervisor: process 6, serving process 7, restarts: 1",
                "canary of a: 2.5 % of the requests",
                "  canary: requests 7, failures 1",
                "  stable: requests 90",
                "last canary: a: rolled back: slow",
                "listeners:",
                "  ADDRESS     PROTOCOLS  TLS",
                "  0.0.0.0:80  h1 h2c     no",
                "plugins:",
                "  NAME       ID     VERSION  SHA-256       STATE   FAULTS",
                "  a          org.a  1.0.0    0123456789ab  active  -",
                "  long-name  b      2                      -       4",
                "generation 2 drains, for 1m 1s:",
                "  tunnel GET /a 192.0.2.1:5 1m",
                "  connection x",
            ]
        )
        #expect(lines([:]) == ["sluice"])
    }

    @Test(
        arguments: [
            (0, "0s"), (59, "59s"), (60, "1m"), (61, "1m 1s"), (3_600, "1h"), (3_601, "1h 1s"),
            (90_061, "1d 1h"), (86_400, "1d"),
        ] as [(Int64, String)]
    )
    func `shows how long it is up`(seconds: Int64, text: String) {
        #expect(lines(["uptime_seconds": .integer(seconds)]) == ["sluice, up \(text)"])
    }

    @Test func `shows any other answer by its members, and warnings first`() {
        let answer: JSON = [
            "generation": 2, "dry_run": true, "changes": ["a", "b"], "removed": [],
            "warnings": ["old\u{1b}[31m"], "none": .null,
        ]
        #expect(
            lines(answer, "/v1/reload") == [
                "warning: old\\u{1B}[31m", "generation: 2", "dry run: yes", "changes:", "  a",
                "  b", "removed: none", "none: none",
            ]
        )
    }
}
