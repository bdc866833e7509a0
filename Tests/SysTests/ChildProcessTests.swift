import Sys
import Testing

struct ChildProcessTests {
    private static func shell(_ script: String) throws -> (lines: [String], ChildProcess.Ending) {
        var child = try ChildProcess.start("/bin/sh", ["-c", script])
        var lines: [String] = []
        while case .text(let line) = child.nextLine(milliseconds: 10_000) { lines.append(line) }
        return (lines, child.wait())
    }

    @Test func `lines come from descriptor 3, and the code from the end`() throws {
        let (lines, ending) = try Self.shell("echo one >&3; printf 'two\\nhalf' >&3; exit 7")
        #expect(lines == ["one", "two"])
        #expect(ending == .exited(7))
    }

    @Test func `a signal is told from a code`() throws {
        #expect(try Self.shell("kill -9 $$").1 == .signalled(9))
    }

    @Test func `output and errors are kept apart from the report`() throws {
        var child = try ChildProcess.start("/bin/sh", ["-c", "echo out; echo err >&2; cat"])
        #expect(child.nextLine(milliseconds: 10_000) == .end)
        #expect(child.wait() == .exited(0))
        #expect(child.takeOutput() == "out\nerr\n")
        #expect(child.takeOutput().isEmpty)
    }

    @Test func `what says nothing times out and can be ended`() throws {
        var child = try ChildProcess.start("/bin/sh", ["-c", "exec sleep 100"])
        #expect(child.nextLine(milliseconds: 20) == .timedOut)
        child.kill()
        #expect(child.wait() == .signalled(9))
    }

    @Test func `a program that is not there is an error`() {
        #expect(throws: Errno.self) { _ = try ChildProcess.start("/no/such/program", []) }
    }
}
