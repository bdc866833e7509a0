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

    @Test func `a line that does not end is cut, and does not hold the deadline up`() throws {
        let script = "while :; do printf 'x%.0s' $(seq 1000) >&3; done"
        var child = try ChildProcess.start("/bin/sh", ["-c", "exec 3>&3; \(script)"])
        guard case .text(let line) = child.nextLine(milliseconds: 60_000) else {
            Issue.record("no line")
            return
        }
        #expect(line.utf8.count >= ChildProcess.lineBytesMax)
        child.kill()
        #expect(child.wait() == .signalled(9))
        var slow = try ChildProcess.start(
            "/bin/sh",
            ["-c", "while :; do printf x >&3; sleep 0.02; done"]
        )
        #expect(slow.nextLine(milliseconds: 200) == .timedOut)
        slow.kill()
        #expect(slow.wait() == .signalled(9))
    }

    @Test func `it reads what it is given, and has all signals`() throws {
        let input = try MemoryFile.holding(Array("one\ntwo\n".utf8), name: "input")
        Signals.ignorePipe()
        var child = try ChildProcess.start(
            "/bin/sh",
            ["-c", "cat /dev/stdin >&3; grep -E 'SigBlk|SigIgn' /proc/self/status >&3"],
            input: input.number
        )
        var lines: [String] = []
        while case .text(let line) = child.nextLine(milliseconds: 10_000) { lines.append(line) }
        #expect(child.wait() == .exited(0))
        #expect(lines.prefix(2) == ["one", "two"])
        // But for 32 and 33, which are the C library's own: nobody can set what becomes of them.
        let own: UInt64 = 1 << 31 | 1 << 32
        let words = lines.dropFirst(2).map { $0.split(separator: "\t").map(String.init) }
        #expect(words.map { $0.first } == ["SigBlk:", "SigIgn:"])
        #expect(words.allSatisfy { (UInt64($0.last ?? "", radix: 16) ?? .max) & ~own == 0 })
    }

    @Test func `a program that is not there is an error`() {
        #expect(throws: Errno.self) { _ = try ChildProcess.start("/no/such/program", []) }
    }
}
