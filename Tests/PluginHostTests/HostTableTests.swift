import CSluice
import Sys
import Testing

@testable import PluginHost

struct HostTableTests {
    /// Bytes of "2026-11-21T11:35:00Z " before each line.
    private static let timeBytes = 21

    /// Lines without their times.
    private static func lines(_ text: String) -> [Substring] {
        text.split(separator: "\n").map { $0.dropFirst(timeBytes) }
    }

    /// Writes a line as the plugin "one" does.
    private static func log(_ level: Int, _ text: String, levelMax: UInt32 = 4) {
        let handle = HostTable.makeHandle(name: "one", levelMax: levelMax)
        HostTable.core.pointee.log(handle, UInt32(level), sluice_slice(permanent: text))
    }

    @Test
    func `the host says what it is`() {
        let hello = HostTable.hello.pointee
        #expect(hello.size == UInt32(MemoryLayout<sluice_host_hello>.size))
        #expect(hello.abi_minor == SLUICE_ABI_MINOR)
        #expect(hello.host_name.text == "sluice")
        #expect(hello.host_version.text.split(separator: ".").count == 3)
    }

    @Test(arguments: [
        ("sluice.core/1", true), ("sluice.core/2", false), ("sluice.core/", false), ("", false),
        ("sluice.core/12", false), ("sluice.lb/1", false),
    ])
    func `tables are found by their whole id`(id: String, isThere: Bool) {
        let table = id.withCString { HostTable.hello.pointee.get_extension($0) }
        #expect((table != nil) == isThere)
        if isThere { #expect(table == UnsafeRawPointer(HostTable.core)) }
    }

    @Test
    func `the core's functions work for any plugin`() {
        let core = HostTable.core.pointee
        #expect(core.size == UInt32(MemoryLayout<sluice_core>.size))
        let handle = HostTable.makeHandle(name: "one", levelMax: 3)
        #expect(core.log_level(handle) == 3)
        #expect(core.log_level(nil) == 0)
        let before = core.now(handle)
        #expect(core.now(handle) >= before)
        #expect(core.wall_clock(handle) - Clock.wallSeconds() <= 1)
        #expect(core.random(handle) != core.random(handle))
        #expect(core.request_alloc(nil, 16) == nil)
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
            let handle = HostTable.makeHandle(name: "one", levelMax: 4)
            let text = sluice_slice(permanent: "x")
            for _ in 0..<1_000 { HostTable.core.pointee.log(handle, 1, text) }
        }
        let count = try #require(captured).split(separator: "\n").count
        // The clock's next second may begin meanwhile.
        #expect(count == 100 || count == 200)
    }
}
