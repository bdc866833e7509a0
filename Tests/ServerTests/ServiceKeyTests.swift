import Proxy
import Testing

@testable import Server

/// The keys of the process as a service of its machine.
struct ServiceKeyTests {
    let fixture = ManifestFixture()

    @Test func `nothing is asked for unless it is written`() throws {
        #expect(try fixture.parse(Sample.manifest()).service == ServiceSettings())
    }

    @Test func `sets all keys`() throws {
        let made = try fixture.parse(
            Sample.manifest(
                top: """
                    user: "www-data", group: "33", pid_file: "run/sluice.pid",
                    error_log: "/var/log/sluice.log",
                    take_over: { listen: "unix:run/t.sock", timeout: "5s" },
                    """
            )
        ).service
        #expect(made.user == "www-data")
        #expect(made.group == "33")
        #expect(made.pidFile == "/etc/sluice/run/sluice.pid")
        #expect(made.errorLog == "/var/log/sluice.log")
        #expect(made.takeOver?.path == "/etc/sluice/run/t.sock")
        #expect(made.takeOver?.timeout == 5_000)
        let plain = try fixture.parse(Sample.manifest(top: "error_log: \"stderr\","))
        #expect(plain.service.errorLog == nil)
    }

    @Test(arguments: [
        ("user: \"\"", "user: \"\" is no name of a user"),
        ("user: 33", "user: expected the name of a user, or its number in quotes, found a number"),
        ("group: \"a:b\"", "group: \"a:b\" is no name of a group"),
        ("group: \"a b\"", "group: \"a b\" is no name of a group"),
        ("pid_file: \"\"", "pid_file: \"\" is no path of a file"),
        ("pid_file: \"plugins\"", "pid_file: \"/etc/sluice/plugins\" is a folder"),
        ("error_log: \"log/\"", "error_log: \"log/\" is no path of a file"),
        ("take_over: {}", "take_over.listen: this key is missing"),
        (
            "take_over: { listen: \":80\" }",
            "take_over.listen: \":80\" is no Unix socket; expected \"unix:/path\""
        ),
        (
            "take_over: { listen: \"unix:\" }",
            "take_over.listen: a path is missing behind \"unix:\""
        ),
        (
            "take_over: { listen: \"unix:/t\", timeout: \"999ms\" }",
            "take_over.timeout: 999ms is out of range; expected 1s to 1h"
        ),
    ])
    func `says what is wrong`(text: String, problem: String) {
        #expect(fixture.problems(Sample.manifest(top: text + ",")) == [problem])
    }

    @Test func `a path of a Unix socket has a bound`() {
        func problems(_ count: Int) -> [String] {
            let path = "/" + String(repeating: "p", count: count - 1)
            return fixture.problems(
                Sample.manifest(top: "take_over: { listen: \"unix:\(path)\" },")
            )
        }
        #expect(problems(96) == [])
        #expect(
            problems(97) == ["take_over.listen: the path is longer than a Unix socket's may be"]
        )
    }
}
