import Sys
import Testing

@testable import Admin

struct AdminTokenTests {
    private static let word = "0123456789abcdefABCDEF-._~+/=="

    private func problem(_ text: String) -> String {
        do throws(AdminProblem) {
            _ = try AdminToken(Array(text.utf8))
            return ""
        } catch {
            return error.description
        }
    }

    @Test func `a token has its alphabet`() {
        #expect(problem(Self.word) == "")
        for bad in [" ", "\n", "\"", ",", "ä", "\0", "=a", "(", "\u{7f}"] {
            #expect(problem(Self.word + bad).hasPrefix("a token is made of"), "\(bad)")
        }
        #expect(problem(String(repeating: "=", count: 20)).hasPrefix("a token is made of"))
    }

    @Test func `a token has bounds`() {
        func word(_ count: Int) -> String { String(repeating: "a", count: count) }
        #expect(problem(word(AdminToken.bytesMin)) == "")
        #expect(problem(word(AdminToken.bytesMax)) == "")
        #expect(problem(word(15)) == "a token has 16 to 512 bytes, not 15")
        #expect(problem(word(513)) == "a token has 16 to 512 bytes, not 513")
        #expect(problem("") == "a token has 16 to 512 bytes, not 0")
    }

    private static let shown: [(String, Bool)] = [
        ("Bearer \(word)", true), ("bearer \(word)", true), ("BEARER   \(word)", true),
        ("Bearer\(word)", false), ("Basic \(word)", false), (word, false), ("", false),
        ("Bearer", false), ("Bearer ", false), ("Bearer \(word)=", false),
        ("Bearer \(word.dropLast())", false), ("Bearer 1\(word.dropFirst())", false),
        ("Bearer \(word.dropLast(3))a==", false), ("Bearer \(word) x", false),
        ("Bearer \(word.uppercased())", false), ("Bearer x \(word)", false),
    ]

    @Test(arguments: shown)
    func `only the token itself is a token`(shown: String, isGood: Bool) throws {
        let token = try AdminToken(Array(Self.word.utf8))
        #expect(token.isShown(by: shown) == isGood)
    }

    @Test func `a token does not tell itself`() throws {
        let token = try AdminToken(Array(Self.word.utf8))
        #expect("\(token)" == "(a token)")
        #expect(token.credentials == "Bearer " + Self.word)
    }

    // MARK: Files

    private func read(_ text: String, mode: UInt32 = 0o600) throws -> String {
        let folder = try File.makeTemporaryFolder(prefix: "/tmp/sluice-admin-tests-")
        let path = folder + "/token"
        defer {
            File.remove(path)
            File.removeFolder(folder)
        }
        try File.writeNew(path, Array(text.utf8), mode: mode)
        do throws(AdminProblem) {
            return try AdminToken.read(path).credentials
        } catch {
            return error.description.replacing(folder, with: "")
        }
    }

    @Test(arguments: ["", "\n", "\r\n"])
    func `a file has a token and at most a line end`(end: String) throws {
        #expect(try read(Self.word + end) == "Bearer " + Self.word)
        #expect(try read(Self.word + end, mode: 0o400) == "Bearer " + Self.word)
    }

    @Test func `a file may be as long as a token`() throws {
        let longest = String(repeating: "a", count: AdminToken.bytesMax)
        #expect(try read(longest + "\r\n") == "Bearer " + longest)
        #expect(try read(longest + "aaa") == "/token: cannot be read: File too large")
        #expect(try read(longest + "a") == "/token: a token has 16 to 512 bytes, not 513")
    }

    @Test(arguments: [0o640, 0o604, 0o620, 0o601, 0o610] as [UInt32])
    func `a file that others have rights to is refused`(mode: UInt32) throws {
        // The umask may take rights away, but then nothing is left to refuse.
        let text = try read(Self.word, mode: mode)
        let isMasked = text == "Bearer " + Self.word
        let wanted = "/token: others have rights to it (mode 0\(String(mode, radix: 8))); "
        #expect(isMasked ? mode & 0o022 != 0 : text == wanted + "chmod 600 it")
    }

    @Test func `a file with more lines, or of another kind, is refused`() throws {
        #expect(try read(Self.word + "\n\n").hasPrefix("/token: a token is made of"))
        #expect(try read("# token\n" + Self.word).hasPrefix("/token: a token is made of"))
        #expect(throws: AdminProblem("/tmp: not a file")) { _ = try AdminToken.read("/tmp") }
        #expect(throws: AdminProblem("/no/t: cannot be read: No such file or directory")) {
            _ = try AdminToken.read("/no/t")
        }
    }
}
