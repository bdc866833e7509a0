import RateLimit
import SluiceTestKit
import Testing

struct RateLimitConfigurationTests {
    private static func rule(_ members: [String: TestValue]) -> TestValue {
        ["rules": [.object(["name": "a", "limit": 1].merging(members) { $1 })]]
    }

    @Test(
        arguments: [
            ([:], "rules: is missing"), (["rules": []], "rules: 0 rules; there may be 1 to 16"),
            (["rule": []], "rule: unknown key; did you mean \"rules\"?"),
            (rule(["name": "a b"]), "rules[0].name: no token of up to 64 characters"),
            (rule(["limit": 0]), "rules[0].limit: 0 is not within 1 to 1000000"),
            (rule(["limit": 1_000_001]), "rules[0].limit: 1000001 is not within 1 to 1000000"),
            (
                rule(["window": .measured("99ms", 99_999_999)]),
                "rules[0].window: not within 100 to 86400000 ms"
            ),
            (
                rule(["algorithm": "leaky"]),
                "rules[0].algorithm: not \"sliding_window\", \"token_bucket\" or \"concurrency\""
            ),
            (rule(["burst": 5]), "rules[0].burst: does not go with this algorithm"),
            (
                rule(["delay": .measured("1s", 1_000_000_000)]),
                "rules[0].delay: does not go with this algorithm"
            ),
            (
                rule(["algorithm": "concurrency", "window": .measured("1s", 1_000_000_000)]),
                "rules[0].window: does not go with this algorithm"
            ),
            (
                rule(["algorithm": "token_bucket", "width": 1_024]),
                "rules[0].width: does not go with this algorithm"
            ),
            (rule(["algorithm": "token_bucket", "queue": 5]), "rules[0].queue: needs \"delay\""),
            (
                rule(["keys": 5_000]),
                "rules[0].keys: needs \"shared\" or the algorithm \"token_bucket\""
            ),
            (rule(["shared": true]), "rules[0].shared: there is no \"store\""),
            (rule(["width": 255]), "rules[0].width: 255 is not within 256 to 1048576"),
            (rule(["if_missing": "x"]), "rules[0].if_missing: not \"skip\" or \"share\""),
            (rule(["allow": ["10/8"]]), "rules[0].allow[0]: no address or block: \"10/8\""),
            (rule(["status": 399]), "rules[0].status: 399 is not within 400 to 599"),
            (rule(["ipv4_prefix": 33]), "rules[0].ipv4_prefix: 33 is not within 1 to 32"),
            (
                rule(["key": ["header:"]]),
                "rules[0].key[0]: no key: \"header:\"; there are client_ip, host, path, target, "
                    + "method, route, listener, client_fingerprint, header:NAME, cookie:NAME, "
                    + "query:NAME and attribute:NAME"
            ),
            (
                rule(["key": .array((0..<9).map { _ in "path" })]),
                "rules[0].key: 9 words; there may be up to 8"
            ),
            (
                rule([
                    "algorithm": "token_bucket", "burst": 301,
                    "window": .measured("24h", 86_400_000_000_000),
                ]), "rules[0]: a bucket of 301 would take more than 300 days to fill"
            ),
        ] as [(TestValue, String)]
    )
    func `says what is wrong, and where`(configuration: TestValue, line: String) {
        #expect(PluginFixture.refusal(RateLimitFilter.self, configuration) == line)
    }

    @Test(
        arguments: [
            (["addres": ""], "store.addres: unknown key; did you mean \"address\"?"),
            (
                ["address": "localhost:6379"],
                "store.address: no address such as \"127.0.0.1:6379\", \"[::1]:6379\" or "
                    + "\"unix:/path\"; names are not looked up"
            ),
            (
                ["address": "unix:redis.sock"],
                "store.address: no full path of a socket, of up to 107 bytes"
            ),
            (["address": "[::1]:6379", "user": "x"], "store.user: needs \"password_file\""),
            (
                ["address": "127.0.0.1:6379", "sync": .measured("1ms", 1_000_000)],
                "store.sync: not within 10 to 10000 ms"
            ),
            (
                ["address": "127.0.0.1:6379", "timeout": .measured("6s", 6_000_000_000)],
                "store.timeout: not within 10 to 5000 ms"
            ),
            (
                ["address": "127.0.0.1:6379", "prefix": "a b"],
                "store.prefix: no token of up to 64 characters"
            ),
            (
                ["address": "127.0.0.1:6379", "on_down": "x"],
                "store.on_down: not \"local\", \"allow\" or \"refuse\""
            ),
            (["address": "127.0.0.1:6379"], "store: no rule has \"shared: true\""),
        ] as [(TestValue, String)]
    )
    func `says what is wrong with the store`(store: TestValue, line: String) {
        let configuration: TestValue = ["rules": [["name": "a", "limit": 1]], "store": store]
        #expect(PluginFixture.refusal(RateLimitFilter.self, configuration) == line)
    }

    @Test func `bounds are taken at their edges`() {
        for members: [String: TestValue] in [
            ["limit": 1_000_000, "width": 256], ["width": 1_048_576],
            ["window": .measured("100ms", 100_000_000)],
            ["window": .measured("24h", 86_400_000_000_000)],
            [
                "algorithm": "token_bucket", "burst": 300,
                "window": .measured("24h", 86_400_000_000_000),
            ],
            ["name": .string(String(repeating: "n", count: 64))],
            [
                "algorithm": "concurrency", "delay": .measured("60s", 60_000_000_000),
                "queue": 65_536,
            ],
        ] {
            let configuration = Self.rule(members)
            #expect(PluginFixture.refusal(RateLimitFilter.self, configuration) == nil)
        }
    }

    @Test func `names differ, and few rules count requests under way`() {
        let twice: TestValue = [
            "rules": [["name": "a", "limit": 1], ["name": "a", "limit": 2]]
        ]
        #expect(
            PluginFixture.refusal(RateLimitFilter.self, twice)
                == "rules[1].name: another rule has this name"
        )
        let many = (0..<5).map { index -> TestValue in
            ["name": .string("n\(index)"), "algorithm": "concurrency", "limit": 1]
        }
        #expect(
            PluginFixture.refusal(RateLimitFilter.self, ["rules": .array(many)])
                == "rules[4]: more than 4 rules with \"concurrency\""
        )
    }
}
