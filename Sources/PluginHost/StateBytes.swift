/// Writes numbers and runs of bytes one behind the other, little-endian.
public struct StateWriter: Sendable {
    public private(set) var bytes: [UInt8] = []

    public init() {}

    public mutating func number(_ value: UInt64) {
        for shift in stride(from: UInt64(0), to: 64, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    public mutating func run(_ run: [UInt8]) {
        number(UInt64(run.count))
        bytes += run
    }

    public mutating func text(_ text: String) { run(Array(text.utf8)) }
}

/// Reads what a `StateWriter` wrote; anything else ends in nil.
public struct StateReader: Sendable {
    private let bytes: [UInt8]
    private var at = 0

    public init(_ bytes: [UInt8]) { self.bytes = bytes }

    public var isAtEnd: Bool { at == bytes.count }

    public mutating func number() -> UInt64? {
        guard bytes.count - at >= 8 else { return nil }
        defer { at += 8 }
        return (0..<8).reduce(0) { $0 | UInt64(bytes[at + $1]) << UInt64(8 * $1) }
    }

    public mutating func run() -> [UInt8]? {
        guard let count = number(), count <= UInt64(bytes.count - at) else { return nil }
        defer { at += Int(count) }
        return Array(bytes[at..<at + Int(count)])
    }

    public mutating func text() -> String? {
        run().map { String(decoding: $0, as: UTF8.self) }
    }
}
