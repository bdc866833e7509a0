import SluiceSDK

/// The wire format of protocol buffers: what OTLP needs of it.
enum Protobuf {
    /// The first field of a number in a message.
    struct Field: BitwiseCopyable {
        /// Of a varint.
        var number: UInt64?
        /// Of a length-delimited field.
        var bytes: Bytes?
    }

    /// Finds a field; nil when there is none, or the message is broken before it.
    static func field(_ wanted: UInt64, of message: Bytes) -> Field? {
        var rest = message
        while let tag = varint(&rest) {
            var field = Field()
            switch tag & 7 {
            case 0:
                guard let number = varint(&rest) else { return nil }
                field.number = number
            case 1, 5:
                let length = tag & 7 == 1 ? 8 : 4
                guard rest.count >= length else { return nil }
                rest = rest.dropFirst(length)
            case 2:
                guard let length = varint(&rest), length <= UInt64(rest.count) else { return nil }
                field.bytes = rest.prefix(Int(length))
                rest = rest.dropFirst(Int(length))
            default: return nil
            }
            if tag >> 3 == wanted { return field }
        }
        return nil
    }

    private static func varint(_ rest: inout Bytes) -> UInt64? {
        var number: UInt64 = 0
        for index in 0..<10 where index < rest.count {
            number |= UInt64(rest[index] & 0x7F) << UInt64(7 * index)
            if rest[index] < 0x80 {
                rest = rest.dropFirst(index + 1)
                return number
            }
        }
        return nil
    }
}

/// Fields of a message, by their numbers below 16 and the one above that OTLP has.
extension ByteSink {
    mutating func varint(_ number: UInt64) {
        var rest = number
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(UInt8(rest))
    }

    /// Begins a message within a message; `end` takes what this gives.
    mutating func begin(_ field: UInt64) -> Int {
        varint(field << 3 | 2)
        // The length of most is one byte; `end` makes room for the others.
        append(0)
        return count
    }

    /// Ends the message that began at an offset, and writes its length before it.
    mutating func end(_ offset: Int) {
        guard !isFull else { return }
        let length = count - offset
        var size = 1
        while size < 9, length >> (7 * size) > 0 { size += 1 }
        open(size - 1, at: offset)
        guard !isFull else { return }
        var rest = length
        for index in 0..<size {
            // Safe: the room for the length was made right before the message.
            start[offset - 1 + index] = UInt8(rest & 0x7F) | (index < size - 1 ? 0x80 : 0)
            rest >>= 7
        }
    }

    mutating func field(_ field: UInt64, _ text: Bytes) {
        varint(field << 3 | 2)
        varint(UInt64(text.count))
        append(text)
    }

    mutating func field(_ field: UInt64, number: UInt64) {
        varint(field << 3)
        varint(number)
    }

    mutating func field(_ field: UInt64, fixed64 number: UInt64) {
        varint(field << 3 | 1)
        append(little: number)
    }

    mutating func field(_ field: UInt64, fixed32 number: UInt32) {
        varint(field << 3 | 5)
        var rest = number
        for _ in 0..<4 {
            append(UInt8(truncatingIfNeeded: rest))
            rest >>= 8
        }
    }
}
