import Synchronization
import Testing

@testable import Server

struct CommandsTests {
    /// Lines in the order they were written.
    final class Recorder: Sendable {
        private let content = Mutex<[String]>([])

        var lines: [String] { content.withLock { $0 } }

        func record(_ line: String) { content.withLock { $0.append(line) } }
    }

    let printed = Recorder()
    let complained = Recorder()

    /// Runs a command line where "a.json5" is the only file.
    private func execute(
        _ line: String,
        _ manifest: FileContent = .bytes(Array(Sample.manifest().utf8))
    ) -> ExitCode {
        var surroundings = ManifestFixture().surroundings
        surroundings.read = { path, _ in
            path == "a.json5" ? manifest : .failed(reason: "no such file")
        }
        let terminal = Terminal { [printed] in
            printed.record($0)
        } complain: { [complained] in
            complained.record($0)
        }
        return Commands(terminal: terminal, surroundings: surroundings)
            .execute(line.split(separator: " ").map(String.init))
    }

    @Test func `check loads the libraries that a sound manifest names`() {
        #expect(execute("check -m a.json5") == .configuration)
        #expect(printed.lines == [])
        let reason = "can't be read: No such file or directory"
        #expect(
            complained.lines == [
                "a.json5: plugins.one: /usr/bin/libOne.so: \(reason)",
                "a.json5: plugins.two: /usr/bin/libTwo.so: \(reason)",
            ]
        )
    }

    @Test(arguments: ["check", "run", "plugin list"])
    func `a bad manifest ends with 78`(command: String) {
        #expect(
            execute(command + " -m a.json5", .bytes(Array("{\n version: 1 x".utf8)))
                == .configuration
        )
        #expect(printed.lines == [])
        #expect(complained.lines == ["a.json5:2:13: expected \",\" or \"}\", found \"x\""])
    }

    @Test func `a manifest that cannot be read ends with 78`() {
        #expect(execute("check") == .configuration)
        #expect(execute("check -m a.json5", .tooLarge) == .configuration)
        #expect(
            complained.lines == [
                "sluice.json5: cannot be read: no such file",
                "a.json5: the file is larger than 4MiB",
            ]
        )
    }

    @Test func `a bad command line ends with 2`() {
        #expect(execute("chek") == .usage)
        #expect(printed.lines == [])
        #expect(complained.lines == ["sluice: unknown command \"chek\"; did you mean \"check\"?"])
    }

    @Test func `version and help are printed`() {
        #expect(execute("version") == .ok)
        #expect(execute("run --help") == .ok)
        #expect(printed.lines.first?.hasPrefix("sluice 0.1.0 (plugin ABI 0.2, swift 6.") == true)
        #expect(printed.lines.last?.hasPrefix("usage: sluice run") == true)
        #expect(complained.lines == [])
    }
}
