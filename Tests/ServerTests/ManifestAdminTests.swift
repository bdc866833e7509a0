import Proxy
import Testing

@testable import Server

struct ManifestAdminTests {
    private let fixture = ManifestFixture()

    private func admin(_ text: String) throws -> AdminSettings? {
        try fixture.parse(Sample.manifest(top: text)).admin
    }

    @Test func `there is none unless it is asked for`() throws {
        #expect(try admin("") == nil)
    }

    @Test func `sets the keys`() throws {
        #expect(
            try admin("admin: { listen: 'unix:run/a.sock' }")
                == AdminSettings(address: "unix:/etc/sluice/run/a.sock")
        )
        #expect(
            try admin("admin: { listen: '[::1]:9000', token_file: 'token' }")
                == AdminSettings(address: "[::1]:9000", tokenFile: "/etc/sluice/token")
        )
    }

    @Test(arguments: [
        ("admin: {}", "admin.listen: this key is missing"),
        ("admin: 'unix:a'", "admin: expected an object, found a string"),
        ("admin: { listen: 'localhost:1', token_file: 't' }", "a listener takes no name"),
        (
            "admin: { listen: '127.0.0.1:9000' }",
            "admin.token_file: this key is missing; over TCP a token is needed"
        ),
        (
            "admin: { listen: 'unix:a', token_file: 't' }",
            "admin.token_file: a Unix socket takes no token: the kernel says who the client is"
        ),
        ("admin: { listen: 'unix:a', tokn_file: 't' }", "did you mean \"token_file\"?"),
    ])
    func `refuses what is not safe`(text: String, problem: String) {
        let problems = fixture.problems(Sample.manifest(top: text))
        #expect(problems.count == 1)
        #expect(problems.first?.contains(problem) == true, "\(problems)")
    }

    // MARK: Alone

    /// What is read of a manifest for a command to whoever serves it.
    private func alone(_ text: String) -> String {
        var surroundings = fixture.surroundings
        surroundings.read = { _, _ in .bytes(Array(text.utf8)) }
        do throws(ManifestFailure) {
            let admin = try Manifest.readAdmin("/etc/sluice/a.json5", surroundings)
            return admin.map { $0.address + " " + ($0.tokenFile ?? "-") } ?? "none"
        } catch {
            return error.lines.joined(separator: "\n")
        }
    }

    @Test(arguments: [
        ("{ admin: { listen: 'unix:a' } }", "unix:/etc/sluice/a -"),
        (
            "{ admin: { listen: ':9', token_file: '/t' }, routes: 'wrong', rubbish: 1 }",
            "[::]:9 /t"
        ),
        ("{ version: 7 }", "none"),
        ("[]", "/etc/sluice/a.json5:1:1: expected an object, found a list"),
        ("{ admin: { listen: 1 }, x: 2 }", "/etc/sluice/a.json5:1:20: admin.listen: expected"),
        ("{ admin: {}", "/etc/sluice/a.json5:1:12: expected"),
        (
            "{ admin: { listen: 'unix:a' }, admin: { listen: 'unix:b' } }",
            "/etc/sluice/a.json5:1:32: admin: the key occurs twice"
        ),
    ])
    func `is read from a manifest that is otherwise wrong`(text: String, expected: String) {
        #expect(alone(text).hasPrefix(expected), "\(alone(text))")
    }
}
