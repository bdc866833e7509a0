import HTTP

/// Frames as bytes, built apart from the code under test.
enum H2Bytes {
    static let preface = latin1("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    /// What a client sends first.
    static let start = preface + settings()

    static let end: UInt8 = 0x1
    static let endHeaders: UInt8 = 0x4
    static let padded: UInt8 = 0x8
    static let withPriority: UInt8 = 0x20

    static func big(_ number: UInt32) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(number >> UInt32($0) & 0xFF) }
    }

    static func frame(
        _ type: UInt8,
        _ flags: UInt8 = 0,
        _ stream: UInt32,
        _ payload: [UInt8] = []
    ) -> [UInt8] {
        big(UInt32(payload.count))[1...] + [type, flags] + big(stream) + payload
    }

    static func data(_ stream: UInt32, _ text: String = "", _ flags: UInt8 = 0) -> [UInt8] {
        frame(0, flags, stream, latin1(text))
    }

    static func data(_ stream: UInt32, count: Int, _ flags: UInt8 = 0) -> [UInt8] {
        frame(0, flags, stream, [UInt8](repeating: 0x78, count: count))
    }

    static func headers(
        _ stream: UInt32,
        _ block: String = "h",
        _ flags: UInt8 = endHeaders
    ) -> [UInt8] {
        frame(1, flags, stream, latin1(block))
    }

    static func priority(_ stream: UInt32, on: UInt32) -> [UInt8] {
        frame(2, 0, stream, big(on) + [15])
    }

    static func reset(_ stream: UInt32, _ code: UInt32 = 8) -> [UInt8] {
        frame(3, 0, stream, big(code))
    }

    static func settings(_ entries: [(UInt16, UInt32)] = []) -> [UInt8] {
        frame(4, 0, 0, entries.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] + big($1) })
    }

    static let settingsAck = frame(4, 1, 0)

    static func ping(_ last: UInt8 = 7, _ flags: UInt8 = 0) -> [UInt8] {
        frame(6, flags, 0, [0, 0, 0, 0, 0, 0, 0, last])
    }

    static func goAway(_ last: UInt32, _ code: UInt32 = 0, debug: String = "") -> [UInt8] {
        frame(7, 0, 0, big(last) + big(code) + latin1(debug))
    }

    static func window(_ stream: UInt32, _ increment: UInt32) -> [UInt8] {
        frame(8, 0, stream, big(increment))
    }

    static func continuation(
        _ stream: UInt32,
        _ block: String = "c",
        _ flags: UInt8 = 0
    ) -> [UInt8] {
        frame(9, flags, stream, latin1(block))
    }

    static func priorityUpdate(_ stream: UInt32, _ value: String) -> [UInt8] {
        frame(0x10, 0, 0, big(stream) + latin1(value))
    }

    /// Frames in words, such as "RST_STREAM 1 8" and "DATA 3 100 END".
    static func describe(_ bytes: [UInt8]) -> [String] {
        var found: [String] = []
        var at = bytes.starts(with: preface) ? preface.count : 0
        if at > 0 { found.append("preface") }
        while at + 9 <= bytes.count {
            let length = Int(number(bytes, at, 3))
            precondition(at + 9 + length <= bytes.count, "part of a frame in the output")
            found.append(describe(Array(bytes[at..<at + 9 + length])[...]))
            at += 9 + length
        }
        precondition(at == bytes.count, "part of a frame's header in the output")
        return found
    }

    private static func number(_ bytes: [UInt8], _ at: Int, _ count: Int) -> UInt32 {
        bytes[at..<at + count].reduce(0) { $0 << 8 | UInt32($1) }
    }

    private static func describe(_ slice: ArraySlice<UInt8>) -> String {
        let frame = Array(slice)
        let payload = Array(frame[9...])
        let flags = frame[4]
        let stream = number(frame, 5, 4)
        let ending = flags & 1 != 0 ? " END" : ""
        switch frame[3] {
        case 0: return "DATA \(stream) \(payload.count)\(ending)"
        case 1:
            return "HEADERS \(stream) \(payload.count)\(ending)"
                + (flags & 4 != 0 ? "" : " MORE")
        case 3: return "RST_STREAM \(stream) \(number(payload, 0, 4))"
        case 4:
            guard flags & 1 == 0 else { return "SETTINGS ACK" }
            let entries = stride(from: 0, to: payload.count, by: 6).map {
                " \(number(payload, $0, 2))=\(number(payload, $0 + 2, 4))"
            }
            return "SETTINGS" + entries.joined()
        case 6: return "PING \(payload[7])" + (flags & 1 != 0 ? " ACK" : "")
        case 7: return "GOAWAY \(number(payload, 0, 4)) \(number(payload, 4, 4))"
        case 8: return "WINDOW_UPDATE \(stream) \(number(payload, 0, 4))"
        case 9:
            return "CONTINUATION \(stream) \(payload.count)" + (flags & 4 != 0 ? "" : " MORE")
        default: return "type \(frame[3]) \(stream) \(payload.count)"
        }
    }
}
