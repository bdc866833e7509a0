import HTTP
import Testing

@testable import Proxy

struct BodyReaderTests {
    /// What a reader made of bytes that came in pieces.
    private struct Read: Equatable {
        var data: [UInt8] = []
        var consumed = 0
        var hasTrailers = false
        var error: ChunkError?
        var isDone = false
    }

    private func read(_ framing: BodyFraming, _ text: String, cutAt cuts: [Int]) -> Read {
        var reader = BodyReader(framing)
        var read = Read()
        let bytes = Array(text.utf8)
        for (start, end) in zip([0] + cuts, cuts + [bytes.count]) {
            let count = end - start
            let block = UnsafeMutablePointer<UInt8>.allocate(capacity: max(count, 1))
            defer { block.deallocate() }
            for index in 0..<count { block[index] = bytes[start + index] }
            let result = reader.read(block, count)
            #expect(result.consumed <= count)
            #expect(result.dataStart + result.dataCount <= count)
            read.data += (0..<result.dataCount).map { block[result.dataStart + $0] }
            read.consumed += result.consumed
            read.hasTrailers = result.hasTrailers
            read.error = result.error
            #expect(!result.isTooLarge)
            if reader.isDone || result.hasTrailers || result.error != nil { break }
            #expect(result.consumed == count)
        }
        read.isDone = reader.isDone
        return read
    }

    @Test(
        arguments: [
            (.none, "NEXT", "", 0, true), (.length(5), "helloNEXT", "hello", 5, true),
            (.length(5), "hello", "hello", 5, true), (.length(6), "hello", "hello", 5, false),
            (.length(.max), "hello", "hello", 5, false), (.untilClose, "hello", "hello", 5, false),
            (.chunked, "5\r\nhello\r\n3;x=y\r\nabc\r\n0\r\n\r\nNEXT", "helloabc", 27, true),
            (.chunked, "0\r\n\r\nNEXT", "", 5, true), (.chunked, "A\r\nhello", "hello", 8, false),
        ] as [(BodyFraming, String, String, Int, Bool)]
    )
    func `a body is found at every split`(
        framing: BodyFraming,
        text: String,
        data: String,
        consumed: Int,
        isDone: Bool
    ) {
        let expected = Read(data: Array(data.utf8), consumed: consumed, isDone: isDone)
        let count = text.utf8.count
        #expect(read(framing, text, cutAt: []) == expected)
        for first in 0...count {
            #expect(read(framing, text, cutAt: [first]) == expected, "cut at \(first)")
            for second in first...count {
                #expect(read(framing, text, cutAt: [first, second]) == expected)
            }
        }
        #expect(read(framing, text, cutAt: Array(0...count)) == expected, "byte by byte")
    }

    @Test
    func `a trailer section begins where the last chunk ends`() {
        let text = "3\r\nabc\r\n0\r\nX: y\r\n\r\n"
        for cut in 0..<text.utf8.count {
            let found = read(.chunked, text, cutAt: [cut])
            #expect(found.data == Array("abc".utf8))
            #expect(found.consumed == 11)
            #expect(found.hasTrailers)
            #expect(!found.isDone)
            #expect(found.error == nil)
        }
    }

    @Test(arguments: [("x", ChunkError.badSize), ("1\r\nab", .badLineEnd), ("1\n", .badLineEnd)])
    func `a broken chunk is an error`(text: String, error: ChunkError) {
        #expect(read(.chunked, text, cutAt: []).error == error)
        #expect(read(.chunked, text, cutAt: [1]).error == error)
        #expect(!read(.chunked, text, cutAt: []).isDone)
    }

    @Test
    func `a reader without a body is done`() {
        #expect(BodyReader().isDone)
        #expect(BodyReader().kind == .none)
        #expect(BodyReader(.none).isDone)
        #expect(BodyReader(.length(1)).kind == .length)
        #expect(BodyReader(.chunked).kind == .chunked)
        #expect(BodyReader(.untilClose).kind == .untilClose)
    }

    @Test
    func `bytes that are moved unseen count`() {
        var reader = BodyReader(.length(10))
        reader.skip(9)
        #expect(reader.remaining == 1)
        #expect(!reader.isDone)
        reader.skip(1)
        #expect(reader.isDone)
    }

    @Test
    func `an end from outside ends the body`() {
        var reader = BodyReader(.untilClose)
        #expect(!reader.isDone)
        reader.finish()
        #expect(reader.isDone)
    }
}
