import SluiceSDK
import SluiceTestKit
import Testing

@testable import AccessLog

struct AccessLogConfigurationTests {
    /// The line with which members beside an output are refused.
    private func refusal(_ members: [String: TestValue]) -> String? {
        var members = members
        if members["output"] == nil { members["output"] = "stdout" }
        return PluginFixture.refusal(AccessLogPlugin.self, .object(members))
    }

    private func template(_ text: String) -> [String: TestValue] {
        ["format": "template", "template": .string(text)]
    }

    @Test func `the presets and each variable are taken`() {
        for format: TestValue in ["json", "common", "combined"] {
            #expect(refusal(["format": format]) == nil)
        }
        for variable in Variable.allCases where !variable.isFamily {
            #expect(refusal(template("$\(variable.name)")) == nil)
        }
        #expect(refusal(template("$http_a_b ${attribute_trace.id} $number_x")) == nil)
        #expect(refusal(template("$http_content_length $sent_http_connection")) == nil)
    }

    @Test(arguments: [
        ("$remote_adr", "unknown variable $remote_adr; did you mean $remote_addr?"),
        ("$xyzzy", "unknown variable $xyzzy"), ("$http_", "unknown variable $http_"),
        ("a $ b", "\"$\" without a name"), ("${a", "\"${\" is not closed"),
        ("a\nb", "a control character would divide the line"),
        ("$cookie_", "unknown variable $cookie_"), ("", "1 to 8192 bytes are wanted"),
    ])
    func `a bad template is refused`(text: String, reason: String) {
        #expect(refusal(template(text)) == "template: " + reason)
    }

    @Test(
        arguments: [
            (["formt": "json"], "formt: unknown key; did you mean \"format\"?"),
            (
                ["format": "xml"],
                "format: one of \"json\", \"common\", \"combined\" and \"template\" is wanted"
            ),
            (["fields": ["statu"]], "fields[0]: unknown variable $statu; did you mean $status?"),
            (["fields": ["a=status", "a=uri"]], "fields[1]: \"a\" is there already"),
            (["fields": []], "fields: at least one field is wanted"),
            (
                ["escape": "json"],
                "escape: is of no use without \"format\": \"template\""
            ),
            (
                ["format": "common", "fields": ["status"]],
                "fields: is of no use without \"format\": \"json\""
            ),
            (["sensitive": ["status2"]], "sensitive[0]: no variable $status2 is in the line"),
            (
                ["buffer": .measured("1KiB", 1_024)],
                "buffer: 1024 bytes; 65536 to 67108864 are wanted"
            ),
            (
                ["line_max": .measured("33KiB", 33_792)],
                "line_max: 33792 bytes; 512 to 32768 are wanted"
            ),
            (["flush": .measured("9ms", 9_000_000)], "flush: 10ms to 60s is wanted"),
            (
                ["when": ["status": ["4x"]]],
                "when.status[0]: a status as \"404\" or a class as \"4xx\" is wanted"
            ),
            (["when": ["path_prefix": ["a"]]], "when.path_prefix[0]: a path begins with \"/\""),
            (["when": ["header": ["a b"]]], "when.header[0]: a name, or name=value, is wanted"),
            (["sample": 0], "sample: 0 is not within 1 to 1000000"),
            (["keep_errors": true], "keep_errors: is of no use without \"sample\""),
        ] as [([String: TestValue], String)]
    )
    func `a bad key is refused`(members: [String: TestValue], reason: String) {
        #expect(refusal(members) == reason)
    }

    @Test(
        arguments: [
            ("stderr", "output: \"stdout\" or an object is wanted"),
            ([:], "output: one of \"file\", \"unix\" and \"syslog\" is wanted"),
            (
                ["file": "a", "syslog": "udp:127.0.0.1:1"],
                "output: one of \"file\", \"unix\" and \"syslog\" is wanted"
            ),
            (
                ["file": "a", "mode": "0440"],
                "output.mode: octal digits from \"0600\" to \"0666\" are wanted"
            ),
            (["unix": "a", "mode": "0640"], "output.mode: is of no use without \"file\""),
            (
                ["file": "a", "facility": "user"],
                "output.facility: is of no use without \"syslog\""
            ),
            (
                ["unix": .string("/" + String(repeating: "a", count: 107))],
                "output.unix: a socket's path has up to 107 bytes"
            ),
            (
                ["syslog": "udp:localhost:514"],
                "output.syslog: an address and a port are wanted, as \"udp:192.0.2.1:514\""
            ),
            (
                ["syslog": "udp:2001:db8::1:514"],
                "output.syslog: an address and a port are wanted, as \"udp:192.0.2.1:514\""
            ),
            (
                ["syslog": "udp:127.0.0.1:65536"],
                "output.syslog: an address and a port are wanted, as \"udp:192.0.2.1:514\""
            ),
            (
                ["syslog": "127.0.0.1:514"],
                "output.syslog: \"unix:\", \"unix-stream:\", \"udp:\" or \"tcp:\" and where it is "
                    + "are wanted"
            ),
            (
                ["syslog": "tcp:[::1]:601", "facility": "lokal7"],
                "output.facility: no facility: \"lokal7\"; did you mean \"local7\"?"
            ),
            (
                ["syslog": "tcp:[::1]:601", "app_name": "a b"],
                "output.app_name: 1 to 48 visible ASCII characters are wanted"
            ),
        ] as [(TestValue, String)]
    )
    func `a bad output is refused`(output: TestValue, reason: String) {
        #expect(refusal(["output": output]) == reason)
    }

    @Test func `bounds are taken, and one more is not`() {
        func fields(_ count: Int) -> TestValue {
            .array((0..<count).map { .string("n\($0)=status") })
        }
        #expect(refusal(["fields": fields(128)]) == nil)
        #expect(refusal(["fields": fields(129)])?.contains("more than 128") == true)
        func sent(_ count: Int) -> TestValue {
            .array((0..<count).map { .string("sent_http_x_\($0)") })
        }
        #expect(refusal(["fields": sent(16)]) == nil)
        #expect(refusal(["fields": sent(17)])?.contains("more than 16") == true)
        let text = String(repeating: "a", count: 8_192)
        #expect(refusal(template(text)) == nil)
        #expect(refusal(template(text + "a"))?.contains("1 to 8192") == true)
        let path = "/" + String(repeating: "a", count: 106)
        #expect(refusal(["output": ["unix": .string(path)]]) == nil)
    }

    @Test func `statuses and samples`() throws {
        let arena = Arena()
        func words(_ list: TestValue) throws -> [UInt64] {
            try Conditions.statuses(ConfigurationValue(list.layOut(in: arena)))
        }
        let words = try words(["4xx", "503"])
        let found = (0..<600).filter { words[$0 >> 6] >> UInt64($0 & 63) & 1 != 0 }
        #expect(found == Array(400..<500) + [503])
        let kept = (0..<100_000 as Range<UInt64>).count { Conditions.mix($0) % 100 == 0 }
        #expect(800..<1_200 ~= kept)
    }
}
