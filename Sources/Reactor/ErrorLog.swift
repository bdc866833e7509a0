public import Sys

/// The error log of one thread: lines on the error output, each written with one call.
///
/// Lines are `2026-11-21T11:35:00Z warn worker=0 text`. What comes from the network is escaped. At
/// most `linesPerSecondMax` lines a second are written, so that a flood of bad requests is no flood
/// of log calls; how many were left out is said in the next second.
public struct ErrorLog: ~Copyable {
    public static let linesPerSecondMax = 200
    /// Bytes of a line; longer ones are cut.
    public static let lineBytesMax = 1_024

    /// Levels as in `LogLevel`: 1 error, 2 warn, 3 info, 4 debug.
    public private(set) var level: UInt32
    private let source: StaticString
    private let index: Int
    private let buffer: UnsafeMutablePointer<UInt8>
    private var second: UInt64 = 0
    private var linesThisSecond = 0
    private var left = 0

    /// - Parameters:
    ///   - level: the highest level that is written.
    ///   - source: "worker" or "main".
    ///   - index: of the worker; negative for none.
    public init(level: UInt32, source: StaticString, index: Int = -1) {
        self.level = level
        self.source = source
        self.index = index
        buffer = .allocate(capacity: Self.lineBytesMax)
    }

    deinit { buffer.deallocate() }

    /// Writes lines up to this level from now on.
    public mutating func setLevel(_ level: UInt32) { self.level = level }

    /// Writes a line when its level is on.
    @inline(__always)
    public mutating func write(_ level: UInt32, _ body: (inout LogLine) -> Void) {
        guard level <= self.level else { return }
        writeLine(level, body)
    }

    @inline(never)
    private mutating func writeLine(_ level: UInt32, _ body: (inout LogLine) -> Void) {
        let now = Clock.wallSeconds()
        if now != second {
            second = now
            linesThisSecond = 0
            if left > 0 {
                let count = left
                left = 0
                emit(2, now) { line in
                    line.text("lines left out: ")
                    line.number(count)
                }
            }
        }
        guard linesThisSecond < Self.linesPerSecondMax else {
            left += 1
            return
        }
        linesThisSecond += 1
        emit(level, now, body)
    }

    private mutating func emit(_ level: UInt32, _ now: UInt64, _ body: (inout LogLine) -> Void) {
        var line = LogLine(buffer: buffer, capacity: Self.lineBytesMax - 1)
        line.time(now)
        switch level {
        case 1: line.text(" error ")
        case 2: line.text(" warn ")
        case 3: line.text(" info ")
        default: line.text(" debug ")
        }
        line.text(source)
        if index >= 0 {
            line.text("=")
            line.number(index)
        }
        line.text(" ")
        body(&line)
        buffer[line.count] = UInt8(ascii: "\n")
        File.writeError(buffer, line.count + 1)
    }
}

/// A line of the log while it is written.
public struct LogLine {
    let buffer: UnsafeMutablePointer<UInt8>
    let capacity: Int
    var count = 0

    init(buffer: UnsafeMutablePointer<UInt8>, capacity: Int) {
        self.buffer = buffer
        self.capacity = capacity
    }

    private mutating func put(_ byte: UInt8) {
        guard count < capacity else { return }
        buffer[count] = byte
        count += 1
    }

    public mutating func text(_ text: StaticString) {
        for index in 0..<text.utf8CodeUnitCount { put(text.utf8Start[index]) }
    }

    public mutating func text(_ text: String) {
        for byte in text.utf8 { put(byte) }
    }

    /// A text of C; nothing for nil.
    public mutating func text(_ text: UnsafePointer<CChar>?) {
        guard let text else { return }
        var count = 0
        while text[count] != 0 { count += 1 }
        escaped(UnsafeRawPointer(text).assumingMemoryBound(to: UInt8.self), count)
    }

    public mutating func number(_ value: Int) {
        text(String(value))
    }

    /// Bytes from outside: control characters, quotes and bytes over 0x7e become `\xNN`.
    public mutating func escaped(_ bytes: UnsafePointer<UInt8>, _ count: Int, most: Int = 200) {
        for index in 0..<min(count, most) {
            let byte = bytes[index]
            if byte >= 0x20, byte < 0x7f, byte != UInt8(ascii: "\\"), byte != UInt8(ascii: "\"") {
                put(byte)
            } else {
                text("\\x")
                put(Self.hexDigit(byte >> 4))
                put(Self.hexDigit(byte & 15))
            }
        }
        if count > most { text("...") }
    }

    /// A text from outside, as its bytes.
    public mutating func escaped(_ text: String, most: Int = 200) {
        var text = text
        text.withUTF8 { bytes in
            guard let from = bytes.baseAddress else { return }
            escaped(from, bytes.count, most: most)
        }
    }

    public mutating func address(_ ip: IPAddress, port: UInt16) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: IPAddress.textBytesMax) { out in
            guard let to = out.baseAddress else { return }
            let length = ip.write(to: to)
            if ip.family == 6 { text("[") }
            for index in 0..<length { put(to[index]) }
            if ip.family == 6 { text("]") }
        }
        if ip.family != 0 {
            text(":")
            number(Int(port))
        }
    }

    private static func hexDigit(_ value: UInt8) -> UInt8 {
        value < 10 ? 48 + value : 87 + value
    }

    /// The time in front of every line.
    mutating func time(_ seconds: UInt64) {
        text(Clock.timestamp(seconds))
    }
}
