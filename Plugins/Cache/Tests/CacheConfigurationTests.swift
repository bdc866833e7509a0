import Cache
import SluiceTestKit
import Testing

struct CacheConfigurationTests {
    private static func size(_ text: String, _ bytes: Int) -> TestValue { .measured(text, bytes) }

    @Test(
        arguments: [
            (["memmory": "1MiB"], "memmory: unknown key; did you mean \"memory\"?"),
            (
                ["memory": size("1048575", 1_048_575)],
                "memory: 1048575 bytes are not within 1048576 to 1099511627776"
            ),
            (
                ["max_object": size("1023", 1_023)],
                "max_object: 1023 bytes are not within 1024 to 33554432"
            ),
            (
                ["memory": size("2MiB", 2_097_152), "max_object": size("x", 1_048_577)],
                "max_object: 1048577 bytes are not within 1024 to 1048576"
            ),
            (
                ["lock": ["wait": .measured("61s", 61_000_000_000)]],
                "lock.wait: not within 0ms to 60000ms"
            ),
            (["lock": ["age": .measured("0s", 0)]], "lock.age: not within 1ms to 600000ms"),
            (["set_cookie": "yes"], "set_cookie: not \"never\" or \"store\""),
            (["ranges": ["max": 32]], "ranges.max: 32 is not within 0 to 31"),
            (["heuristic": ["percent": 101]], "heuristic.percent: 101 is not within 0 to 100"),
            (
                ["negative": ["399": .measured("1s", 1_000_000_000)]],
                "negative.399: no status from 400 to 599"
            ),
            (
                ["ttl": ["304": .measured("1s", 1_000_000_000)]],
                "ttl.304: is never stored"
            ),
            (["status_field": "a\"b"], "status_field: a character that has no place in a name"),
            (["key": ["headers": ["a b"]]], "key.headers[0]: no name of a field"),
            (
                ["key": ["query": ["keep": [""]]]],
                "key.query.keep[0]: no name of 1 to 128 characters"
            ),
            (["bypass": ["cookies": ["a b"]]], "bypass.cookies[0]: no name of a cookie"),
            (["purge": ["allow": ["10/8"]]], "purge.allow[0]: no address or block: \"10/8\""),
        ] as [(TestValue, String)]
    )
    func `refuses`(configuration: TestValue, line: String) {
        let refused = #expect(throws: PluginFixture.Refused.self) {
            try PluginFixture(CacheFilter.self, configuration)
        }
        #expect(refused?.line == line)
    }

    @Test(
        arguments: [
            [:], ["memory": size("1MiB", 1_048_576)], ["ranges": ["max": 0]],
            ["ranges": ["max": 31]], ["status_field": ""], ["status_field": "my cache"],
            ["lock": ["wait": .measured("0s", 0)]],
            ["memory": size("2MiB", 2_097_152), "max_object": size("1MiB", 1_048_576)],
        ] as [TestValue]
    )
    func `takes`(configuration: TestValue) throws {
        _ = try PluginFixture(CacheFilter.self, configuration)
    }
}
