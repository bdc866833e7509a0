import CSluice
import Testing

@testable import PluginHost

struct PluginLogTests {
    /// Bytes of "2026-11-21T11:35:00Z " before each line.
    private static let timeBytes = 21

    /// Lines without their times.
    private static func lines(_ text: String) -> [Substring] {
        text.split(separator: "\n").map { $0.dropFirst(timeBytes) }
    }

    /// Writes a line as the plugin "one" does.
    private static func log(_ level: Int, _ text: String, levelMax: UInt32 = 4) {
        let handle = Host.handle("one", levelMax: levelMax)
        CoreTable.functions.pointee.log(handle, UInt32(level), sluice_slice(permanent: text))
    }

    /// The line of these pairs behind the message "m".
    private static func line(_ pairs: [(String, String)]) -> String? {
        let made = UnsafeMutableBufferPointer<sluice_pair>.allocate(capacity: pairs.count)
        for (index, pair) in pairs.enumerated() {
            made[index] = sluice_pair(
                name: sluice_slice(permanent: pair.0),
                value: sluice_slice(permanent: pair.1)
            )
        }
        let handle = Host.handle("one", levelMax: 4)
        // Safe: the memory is never freed, and read by one thread.
        nonisolated(unsafe) let bare = (handle, UnsafePointer(made.baseAddress))
        let text = Capture.errors {
            CoreTable.functions.pointee.log_pairs(
                bare.0,
                3,
                sluice_slice("m"),
                bare.1,
                UInt32(pairs.count)
            )
        }
        return text.flatMap {
            lines($0).first.map { String($0.dropFirst("info plugin=one ".count)) }
        }
    }

    @Test(
        .enabled(if: Capture.isPossible),
        arguments: [
            ([], "m"),
            ([("a", "1")], "m a=1"),
            ([("a", "1"), ("b.c-d_e", "/x?y:z")], "m a=1 b.c-d_e=/x?y:z"),
            ([("a", "")], "m a=\"\""),
            ([("a", "b c")], "m a=\"b c\""),
            ([("a", "b=c")], "m a=\"b=c\""),
            ([("a", "\"\\")], "m a=\"\\\"\\\\\""),
            ([("a", "x\n\u{7f}y")], "m a=\"x\\x0a\\x7fy\""),
            ([("a", "é")], "m a=\"\\xc3\\xa9\""),
            ([("a b=\"\n", "1")], "m a_b___=1"),
        ] as [([(String, String)], String)]
    )
    func `pairs stand behind the message`(pairs: [(String, String)], expected: String) {
        #expect(Self.line(pairs) == expected)
    }

    @Test(.enabled(if: Capture.isPossible), arguments: [15, 16, 17])
    func `pairs are bounded`(count: Int) throws {
        let line = try #require(Self.line((0..<count).map { ("k\($0)", "v") }))
        #expect(line.split(separator: " ").count == 1 + min(count, 16))
    }

    @Test(.enabled(if: Capture.isPossible), arguments: [63, 64, 65])
    func `a name is cut`(count: Int) {
        let name = String(repeating: "n", count: count)
        #expect(Self.line([(name, "v")]) == "m \(name.prefix(64))=v")
    }

    @Test(.enabled(if: Capture.isPossible), arguments: [255, 256, 257])
    func `a value is cut and says so`(count: Int) {
        let value = String(repeating: "v", count: count)
        let shown = count <= 256 ? value : "\"\(value.prefix(256))...\""
        #expect(Self.line([("a", value)]) == "m a=\(shown)")
    }

    @Test(.enabled(if: Capture.isPossible))
    func `a line with its pairs fits a pipe`() throws {
        let value = String(repeating: "\n", count: 256)
        let line = try #require(Self.line((0..<16).map { ("k\($0)", value) }))
        let prefix = Self.timeBytes + "info plugin=one ".utf8.count
        #expect(prefix + line.utf8.count + 1 <= 4_096)
        #expect(line.hasSuffix("\" ..."))
        #expect(line.contains(" k2="))
        #expect(!line.contains(" k4="))
    }

    @Test(.enabled(if: Capture.isPossible))
    func `a line has level, plugin and text, without control characters`() throws {
        let captured = Capture.errors {
            for level in 1...4 { Self.log(level, "a é \r\n\t\u{7f}\u{0}b") }
            Self.log(1, "")
        }
        let text = try #require(captured)
        let lines = ["error", "warn", "info", "debug"].map { "\($0) plugin=one a é      b" }
        #expect(Self.lines(text) == lines.map { $0[...] } + ["error plugin=one "])
        #expect(text.hasSuffix("\n"))
        #expect(text.prefix(Self.timeBytes).hasSuffix("Z "))
    }

    @Test(.enabled(if: Capture.isPossible), arguments: 0...4)
    func `lines above the level are not written`(levelMax: Int) throws {
        let captured = Capture.errors {
            for level in 1...4 { Self.log(level, "x", levelMax: UInt32(levelMax)) }
        }
        #expect(try #require(captured).split(separator: "\n").count == levelMax)
    }

    @Test(.enabled(if: Capture.isPossible), arguments: [999, 1_000, 1_001])
    func `a long line is cut`(count: Int) throws {
        let captured = Capture.errors { Self.log(1, String(repeating: "a", count: count)) }
        let text = try #require(captured)
        let kept = String(repeating: "a", count: min(count, 1_000))
        #expect(Self.lines(text) == ["error plugin=one \(kept)"])
    }

    @Test(.enabled(if: Capture.isPossible))
    func `a plugin can't flood the log`() throws {
        let captured = Capture.errors {
            let handle = Host.handle("one", levelMax: 4)
            let text = sluice_slice(permanent: "x")
            for _ in 0..<1_000 { CoreTable.functions.pointee.log(handle, 1, text) }
        }
        let count = try #require(captured).split(separator: "\n").count
        // The clock's next second may begin meanwhile.
        #expect(count == 100 || count == 200)
    }
}
