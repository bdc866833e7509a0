import SluiceSDK
import Testing

@testable import Metrics

struct ScrapeTests {
    @Test func `a text grows to its bound and no further`() {
        let piece = [UInt8](repeating: 0x61, count: 1_048_576)
        let scrape = Scrape(.text)
        piece.withUnsafeBufferPointer { bytes in
            guard let start = bytes.baseAddress else { return }
            let piece = Bytes(start, count: bytes.count)
            for _ in 0..<64 { #expect(scrape.append(piece)) }
            #expect(scrape.text.count == Scrape.bytesMax)
            #expect(scrape.append(piece.prefix(0)))
            #expect(!scrape.append(piece.prefix(1)))
            #expect(scrape.text.count == Scrape.bytesMax)
            #expect(scrape.text[Scrape.bytesMax - 1] == 0x61)
        }
    }
}
