import SluiceSDK
import Testing

@testable import Tracing

struct SpanTextTests {
    private func copy(_ text: [UInt8], capacity: Int = 1_000) -> String {
        var room = [UInt8](repeating: 0, count: capacity)
        let count = room.withUnsafeMutableBufferPointer { room in
            var copier = TextCopier(room.baseAddress.unsafelyUnwrapped, capacity: capacity)
            copier.append(bytes(text))
            return copier.count
        }
        // Whatever comes out is UTF-8.
        let written = Array(room.prefix(count))
        #expect(String(validating: written, as: UTF8.self) != nil)
        return String(decoding: written, as: UTF8.self)
    }

    @Test(arguments: ["", "a", "Grüße", "日本語", "😀 and 👩", "a\u{10FFFF}b"])
    func `text stays as it is`(text: String) { #expect(copy(Array(text.utf8)) == text) }

    @Test(
        arguments: [
            [0x61, 0xFF, 0x62], [0xC0, 0x80], [0xC1, 0xBF], [0xE0, 0x80, 0x80], [0xED, 0xA0, 0x80],
            [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xC3], [0xE2, 0x82],
            [0xF0, 0x9F, 0x98],
            [0x80], [0xC3, 0x28], [0xE2, 0x28, 0xA1], [0xE2, 0x82, 0x28],
        ] as [[UInt8]]
    )
    func `bytes that are no text are replaced`(text: [UInt8]) {
        #expect(copy(text).contains("\u{FFFD}"))
    }

    @Test func `random bytes become text`() {
        var random = SplitMix(seed: 7)
        for _ in 0..<2_000 {
            let length = Int(random.next() % 40)
            _ = copy(
                (0..<length).map { _ in UInt8(truncatingIfNeeded: random.next()) },
                capacity: 25
            )
        }
    }

    @Test func `a text is cut between characters`() {
        let text = Array("aü€😀".utf8)
        let cut = (0...text.count).map { copy(text, capacity: max($0, 1)) }
        let expected = ["a", "a", "a"] + Array(repeating: "aü", count: 3)
        #expect(cut == expected + Array(repeating: "aü€", count: 4) + ["aü€😀"])
    }
}
