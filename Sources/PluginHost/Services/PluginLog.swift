import CSluice
import Sys

/// Lines that plugins write: `2026-11-21T11:35:00Z warn plugin=NAME message key=value`.
enum PluginLog {
    /// Bytes of a message; the rest is left out.
    static let messageBytesMax = 1_000
    /// Pairs of a line; more are left out.
    static let pairsMax = 16
    /// Bytes of a pair's name and of its value; the rest is left out.
    static let nameBytesMax = 64
    static let valueBytesMax = 256
    /// Bytes of a line with its pairs: what a pipe takes in one piece.
    ///
    /// A pair that does not fit is left out, with all after it.
    static let lineBytesMax = 4_096

    private static let levels: [StaticString] = ["error", "error", "warn", "info", "debug"]
    private static let ellipsis = Array("...".utf8)

    static func write(
        _ handle: InstanceHandle,
        _ level: UInt32,
        _ message: sluice_slice,
        _ pairs: UnsafePointer<sluice_pair>?,
        _ count: UInt32
    ) {
        guard level <= handle.levelMax, message.ptr != nil || count > 0, handle.mayLog() else {
            return
        }
        let time = Clock.timestamp(Clock.wallSeconds())
        var line = Array("\(time) \(levels[Int(min(level, 4))]) plugin=\(handle.name) ".utf8)
        appendText(message, to: &line)
        if let pairs {
            for index in 0..<Int(min(count, UInt32(pairsMax))) {
                let pair = pair(pairs[index])
                // Room for " ..." and the end of the line.
                guard line.count + pair.count + 5 <= lineBytesMax else {
                    line += [UInt8(ascii: " ")] + ellipsis
                    break
                }
                line += pair
            }
        }
        line.append(UInt8(ascii: "\n"))
        line.withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress else { return }
            File.writeError(start, bytes.count)
        }
    }

    /// The message, with blanks in place of control characters.
    private static func appendText(_ message: sluice_slice, to line: inout [UInt8]) {
        guard let bytes = message.ptr else { return }
        for index in 0..<min(Int(clamping: message.len), messageBytesMax) {
            let byte = bytes[index]
            line.append(byte >= 0x20 && byte != 0x7f ? byte : UInt8(ascii: " "))
        }
    }

    /// " name=value"; the value in quotes where it would be hard to tell where it ends.
    private static func pair(_ pair: sluice_pair) -> [UInt8] {
        var text = [UInt8(ascii: " ")]
        for byte in bytes(pair.name, most: nameBytesMax) {
            text.append(isPlain(byte) ? byte : UInt8(ascii: "_"))
        }
        text.append(UInt8(ascii: "="))
        let value = bytes(pair.value, most: valueBytesMax)
        let isCut = pair.value.len > UInt64(valueBytesMax)
        if !value.isEmpty, value.allSatisfy(isPlain), !isCut { return text + value }
        text.append(UInt8(ascii: "\""))
        for byte in value {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): text += [UInt8(ascii: "\\"), byte]
            case 0x20..<0x7f: text.append(byte)
            default: text += Array("\\x".utf8) + [hexDigit(byte >> 4), hexDigit(byte & 15)]
            }
        }
        if isCut { text += ellipsis }
        text.append(UInt8(ascii: "\""))
        return text
    }

    private static func bytes(_ slice: sluice_slice, most: Int) -> UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(
            start: slice.ptr,
            count: slice.ptr == nil ? 0 : min(Int(clamping: slice.len), most)
        )
    }

    /// Whether a byte needs no quotes in a value, and may stand in a name.
    private static func isPlain(_ byte: UInt8) -> Bool {
        byte > 0x20 && byte < 0x7f && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
            && byte != UInt8(ascii: "=")
    }

    private static func hexDigit(_ value: UInt8) -> UInt8 {
        value < 10 ? 48 + value : 87 + value
    }
}
