import SluiceSDK
import Testing

@testable import AccessLog

/// Memory for one line.
final class LineRoom {
    let start: UnsafeMutablePointer<UInt8>
    private let capacity: Int

    init(_ capacity: Int) {
        self.capacity = capacity
        // Bytes behind the line that nothing may touch.
        start = .allocate(capacity: capacity + 16)
        start.initialize(repeating: 0xAA, count: capacity + 16)
    }

    deinit {
        for offset in capacity..<capacity + 16 {
            precondition(start[offset] == 0xAA, "written past the end of the line")
        }
        start.deallocate()
    }

    func writer(reserve: Int = 0) -> LineWriter {
        LineWriter(start: start, capacity: capacity, reserve: reserve)
    }
}

/// What `write` wrote into a line of this capacity.
func written(
    _ capacity: Int = 4_096,
    reserve: Int = 0,
    _ write: (inout LineWriter) -> Void
) -> (bytes: [UInt8], isCut: Bool) {
    let room = LineRoom(capacity)
    var line = room.writer(reserve: reserve)
    write(&line)
    return (line.bytes.indices.map { line.bytes[$0] }, line.isCut)
}

func withBytes<Result>(_ array: [UInt8], _ body: (Bytes) -> Result) -> Result {
    array.withUnsafeBufferPointer { buffer in
        body(buffer.baseAddress.map { Bytes($0, count: buffer.count) } ?? .empty)
    }
}

/// The bytes that a JSON string stands for; nil when it is none.
func unescaped(json text: [UInt8]) -> [UInt8]? {
    guard String(validating: text, as: UTF8.self) != nil else { return nil }
    var (bytes, at): ([UInt8], Int) = ([], 0)
    while at < text.count {
        let byte = text[at]
        at += 1
        if byte == UInt8(ascii: "\"") || byte < 0x20 { return nil }
        guard byte == UInt8(ascii: "\\") else {
            bytes.append(byte)
            continue
        }
        guard at < text.count else { return nil }
        let kind = text[at]
        at += 1
        if kind == UInt8(ascii: "\"") || kind == UInt8(ascii: "\\") {
            bytes.append(kind)
            continue
        }
        guard kind == UInt8(ascii: "u"), at + 4 <= text.count,
            let code = UInt8(String(decoding: text[at..<at + 4], as: UTF8.self), radix: 16)
        else { return nil }
        bytes.append(code)
        at += 4
    }
    return bytes
}

struct LineWriterTests {
    @Test(arguments: UInt8.min...UInt8.max)
    func `writes each byte as nginx does, or as it is`(byte: UInt8) {
        let text = written { line in withBytes([byte]) { line.append($0, as: .text) } }.bytes
        if byte < 0x20 || byte >= 0x7F || byte == 0x22 || byte == 0x5C {
            let digits = String(byte, radix: 16, uppercase: true)
            let wanted = "\\x" + (digits.count < 2 ? "0" : "") + digits
            #expect(text == Array(wanted.utf8))
        } else {
            #expect(text == [byte])
        }
        let json = written { line in withBytes([byte]) { line.append($0, as: .json) } }.bytes
        #expect(unescaped(json: json) == [byte])
    }

    @Test func `random bytes make one line that says them`() {
        var generator = SystemRandomNumberGenerator()
        let seed = generator.next()
        var state = Conditions.mix(seed)
        func random(_ below: Int) -> Int {
            state = Conditions.mix(state)
            return Int(state % UInt64(below))
        }
        // Of bytes that escapes and sequences of UTF-8 begin and go on with.
        let favorites: [UInt8] = [0x22, 0x5C, 0x0A, 0x20, 0x61, 0xC3, 0xA4, 0xE2, 0x82, 0xAC, 0xF0]
        for _ in 0..<2_000 {
            let bytes = (0..<random(60)).map { _ -> UInt8 in
                random(3) == 0 ? UInt8(random(256)) : favorites[random(favorites.count)]
            }
            let text = written { line in withBytes(bytes) { line.append($0, as: .text) } }.bytes
            #expect(text.allSatisfy { 0x20..<0x7F ~= $0 && $0 != 0x22 }, "seed \(seed)")
            let json = written { line in withBytes(bytes) { line.append($0, as: .json) } }.bytes
            #expect(!json.contains(0x0A), "seed \(seed)")
            #expect(unescaped(json: json) == bytes, "seed \(seed)")
        }
    }

    @Test(arguments: [
        ([0xC3, 0xA4] as [UInt8], true), ([0xE2, 0x82, 0xAC], true),
        ([0xF0, 0x9F, 0x98, 0x80], true), ([0xC0, 0xAF], false), ([0xED, 0xA0, 0x80], false),
        ([0xF4, 0x90, 0x80, 0x80], false), ([0xE2, 0x82], false), ([0x80], false),
        ([0xF5, 0x80, 0x80, 0x80], false),
    ])
    func `text in UTF-8 stays, and what is none is escaped`(bytes: [UInt8], isText: Bool) {
        let json = written { line in withBytes(bytes) { line.append($0, as: .json) } }.bytes
        #expect((json == bytes) == isText)
        #expect(unescaped(json: json) == bytes)
    }

    @Test(arguments: [("abcdefgh", 8, 1), ("abc\u{7f}", 7, 4), ("ab\u{20ac}", 5, 3)])
    func `a line ends at its bound, and no unit is divided`(text: String, whole: Int, last: Int) {
        let escape: LineWriter.Escape = text.contains("\u{20ac}") ? .json : .text
        func write(_ capacity: Int) -> (bytes: [UInt8], isCut: Bool) {
            written(capacity) { line in
                withBytes(Array(text.utf8)) { line.append($0, as: escape) }
            }
        }
        #expect(write(whole).bytes.count == whole)
        #expect(!write(whole).isCut)
        #expect(!write(whole + 1).isCut)
        #expect(write(whole - 1).isCut)
        #expect(write(whole - 1).bytes.count == whole - last)
    }

    @Test func `marks stand behind what was cut`() {
        let text = written(10, reserve: LineWriter.textReserve) { line in
            line.append("12345678", as: .text)
            line.append("x")
            line.mark(LineWriter.textMark)
        }
        #expect(text.bytes == Array("1234567...".utf8))
    }

    @Test(
        arguments: [
            (0, "0"), (9, "9"), (10, "10"), (99, "99"), (100, "100"),
            (UInt64.max, "18446744073709551615"),
            (10_000_000_000_000_000_000, "10000000000000000000"),
        ] as [(UInt64, String)]
    )
    func `numbers have all their digits`(number: UInt64, text: String) {
        #expect(written { $0.append(decimal: number) }.bytes == Array(text.utf8))
    }

    @Test func `widths and seconds have leading zeroes`() {
        #expect(written { $0.append(decimal: 7, width: 3) }.bytes == Array("007".utf8))
        #expect(written { $0.append(decimal: 1234, width: 3) }.bytes == Array("1234".utf8))
        #expect(written { $0.append(seconds: 1_234_999_999) }.bytes == Array("1.234".utf8))
        #expect(written { $0.append(seconds: 0) }.bytes == Array("0.000".utf8))
        #expect(written(2) { $0.append(decimal: 100) }.isCut)
    }

    @Test func `runs of plain bytes end where they end`() {
        for stop: UInt8 in [0x00, 0x1F, 0x22, 0x5C, 0x7F, 0x80, 0xFF] {
            for place in 0..<20 {
                var bytes = [UInt8](repeating: 0x21, count: 20)
                bytes[place] = stop
                #expect(withBytes(bytes) { LineWriter.plainRun($0.start, $0.count) } == place)
            }
        }
    }
}
