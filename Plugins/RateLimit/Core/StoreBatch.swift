/// Commands for a Redis server, as they are sent: arrays of strings (RESP 2).
///
/// The memory is kept from one batch to the next.
public struct StoreBatch {
    /// What is to be sent.
    public private(set) var bytes: [UInt8] = []
    /// Replies that the commands will get.
    public private(set) var replyCount = 0

    /// No commands.
    public init() { bytes.reserveCapacity(32_768) }

    /// Forgets the commands.
    public mutating func clear() {
        bytes.removeAll(keepingCapacity: true)
        replyCount = 0
    }

    /// Begins a command of so many words.
    public mutating func begin(words: Int) {
        bytes.append(0x2A)
        append(decimal: Int64(words))
        endLine()
        replyCount += 1
    }

    /// The next word of a command.
    public mutating func word(_ word: StaticString) {
        word.withUTF8Buffer { self.word(UnsafeRawBufferPointer($0)) }
    }

    /// The next word of a command.
    public mutating func word(_ word: UnsafeRawBufferPointer) {
        beginWord(byteCount: word.count)
        bytes.append(contentsOf: word)
        endLine()
    }

    /// A number as the next word of a command.
    public mutating func word(decimal number: Int64) {
        beginWord(byteCount: Self.digitCount(number))
        append(decimal: number)
        endLine()
    }

    /// The name of a counter as the next word: `prefix`, the key in 16 hexadecimal digits, a colon,
    /// the number of the window.
    public mutating func word(prefix: UnsafeRawBufferPointer, key: UInt64, epoch: UInt64) {
        let epoch = Int64(truncatingIfNeeded: epoch)
        beginWord(byteCount: prefix.count + 17 + Self.digitCount(epoch))
        bytes.append(contentsOf: prefix)
        for digit in stride(from: 60, through: 0, by: -4) {
            let value = UInt8(truncatingIfNeeded: key >> UInt64(digit) & 15)
            bytes.append(value < 10 ? 0x30 + value : 0x57 + value)
        }
        bytes.append(0x3A)
        append(decimal: epoch)
        endLine()
    }

    /// Overwrites everything: a password may have been in it.
    public mutating func wipe() {
        for index in bytes.indices { bytes[index] = 0 }
        clear()
    }

    private mutating func beginWord(byteCount: Int) {
        bytes.append(0x24)
        append(decimal: Int64(byteCount))
        endLine()
    }

    private mutating func endLine() {
        bytes.append(0x0D)
        bytes.append(0x0A)
    }

    private static func digitCount(_ number: Int64) -> Int {
        var count = number < 0 ? 2 : 1
        var rest = number / 10
        while rest != 0 {
            count += 1
            rest /= 10
        }
        return count
    }

    private mutating func append(decimal number: Int64) {
        if number < 0 { bytes.append(0x2D) }
        var divisor: UInt64 = 1
        let magnitude = number.magnitude
        while magnitude / divisor >= 10 { divisor *= 10 }
        while divisor > 0 {
            bytes.append(UInt8(0x30 + magnitude / divisor % 10))
            divisor /= 10
        }
    }
}
