import Glibc
import Reactor
import Synchronization
import Sys
import Testing

/// Lines as they come out of descriptor 2.
///
/// The whole process shares it, so each test runs in a thread with a table of descriptors of its
/// own, where 2 is a pipe.
struct ErrorLogTests {
    /// What a thread wrote to the error output; nil where the system refuses such a thread.
    private static func capture(_ body: @escaping @Sendable () -> Void) -> String? {
        let result = Mutex<String?>(nil)
        let thread = PinnedThread.start(name: "log") {
            typealias Unshare = @convention(c) (Int32) -> Int32
            guard let symbol = dlsym(nil, "unshare") else { return }
            // CLONE_FILES
            guard unsafeBitCast(symbol, to: Unshare.self)(0x400) == 0 else { return }
            var ends: [Int32] = [0, 0]
            guard pipe(&ends) == 0, dup2(ends[1], 2) == 2 else { return }
            Syscall.close(ends[1])
            body()
            Syscall.close(2)
            var bytes: [UInt8] = []
            var block = [UInt8](repeating: 0, count: 4_096)
            while case let got = read(ends[0], &block, block.count), got > 0 {
                bytes += block[..<got]
            }
            let text = String(decoding: bytes, as: UTF8.self)
            result.withLock { $0 = text }
        }
        thread.join()
        return result.withLock { $0 }
    }

    private static let canCapture = capture {} != nil

    @Test(.enabled(if: canCapture))
    func `a line has time, level, source and text`() throws {
        let captured = Self.capture {
            var worker = ErrorLog(level: 4, source: "worker", index: 3)
            for level in UInt32(1)...4 { worker.write(level) { $0.text("a text") } }
            var main = ErrorLog(level: 4, source: "main")
            main.write(1) { $0.number(7) }
        }
        let text = try #require(captured)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(
            lines.map { $0.dropFirst("2026-11-21T11:35:00Z".count) } == [
                " error worker=3 a text", " warn worker=3 a text", " info worker=3 a text",
                " debug worker=3 a text", " error main 7", "",
            ]
        )
        #expect(lines[0].prefix(20).last == "Z")
    }

    @Test(.enabled(if: canCapture), arguments: [0, 1, 2, 4] as [UInt32])
    func `lines above the level are not written, nor made`(most: UInt32) throws {
        let captured = Self.capture {
            var log = ErrorLog(level: most, source: "main")
            for level in UInt32(1)...4 {
                log.write(level) {
                    if level > most { Issue.record("made") }
                    $0.text("x")
                }
            }
        }
        let text = try #require(captured)
        #expect(text.split(separator: "\n").count == Int(most))
    }

    @Test(.enabled(if: canCapture))
    func `a long line is cut and still ends`() throws {
        let captured = Self.capture {
            var log = ErrorLog(level: 1, source: "main")
            log.write(1) { $0.text(String(repeating: "a", count: 5_000)) }
        }
        let text = try #require(captured)
        #expect(text.utf8.count == ErrorLog.lineBytesMax)
        #expect(text.hasSuffix("aaa\n"))
    }

    @Test(.enabled(if: canCapture))
    func `a second has a bounded number of lines, and the rest is counted`() throws {
        let made = Mutex(0)
        let captured = Self.capture {
            var log = ErrorLog(level: 1, source: "main")
            // Up to the begin of a second, so that the lines left out are told by the next one.
            var second = Clock.wallSeconds()
            var count = 0
            while true {
                log.write(1) { $0.text("line") }
                count += 1
                let now = Clock.wallSeconds()
                if now != second, count >= 1_000 { break }
                second = now
            }
            log.write(1) { $0.text("line") }
            made.withLock { $0 = count + 1 }
        }
        let text = try #require(captured)
        let lines = text.split(separator: "\n")
        let written = lines.filter { $0.hasSuffix("error main line") }
        let perSecond = Dictionary(grouping: written) { $0.prefix(20) }.mapValues(\.count)
        #expect(perSecond.values.allSatisfy { $0 <= ErrorLog.linesPerSecondMax })
        let leftOut = lines.compactMap { line in
            line.contains("warn main lines left out: ")
                ? line.split(separator: " ").last.flatMap { Int($0) } : nil
        }
        #expect(!leftOut.isEmpty)
        #expect(written.count + leftOut.reduce(0, +) == made.withLock { $0 })
    }
}
