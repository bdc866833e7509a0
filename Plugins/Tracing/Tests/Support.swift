import SluiceSDK
import SluiceTestKit

@testable import Tracing

/// A text as bytes that live for ever: tests have few.
func bytes(_ text: String) -> Bytes { bytes(Array(text.utf8)) }

func bytes(_ array: [UInt8]) -> Bytes {
    let start = UnsafeMutablePointer<UInt8>.allocate(capacity: max(array.count, 1))
    start.initialize(from: array, count: array.count)
    return Bytes(UnsafePointer(start), count: array.count)
}

func array(_ bytes: Bytes) -> [UInt8] {
    Array(UnsafeBufferPointer(start: bytes.start, count: bytes.count))
}

/// A message of protocol buffers as it lies on the wire, read by the rules alone and not by what
/// wrote it.
struct WireMessage: Equatable {
    enum Value: Equatable {
        case varint(UInt64)
        case fixed64(UInt64)
        case fixed32(UInt32)
        case bytes([UInt8])
    }

    struct Broken: Error {}

    var fields: [(number: Int, value: Value)] = []

    static func == (left: WireMessage, right: WireMessage) -> Bool {
        left.fields.map(\.number) == right.fields.map(\.number)
            && left.fields.map(\.value) == right.fields.map(\.value)
    }

    init(_ bytes: [UInt8]) throws {
        var at = 0
        func varint() throws -> UInt64 {
            var (number, shift) = (UInt64(0), UInt64(0))
            while at < bytes.count, shift < 64 {
                number |= UInt64(bytes[at] & 0x7F) << shift
                at += 1
                if bytes[at - 1] < 0x80 { return number }
                shift += 7
            }
            throw Broken()
        }
        func take(_ length: Int) throws -> [UInt8] {
            guard length <= bytes.count - at else { throw Broken() }
            defer { at += length }
            return Array(bytes[at..<at + length])
        }
        while at < bytes.count {
            let tag = try varint()
            let value: Value
            switch tag & 7 {
            case 0: value = .varint(try varint())
            case 1: value = .fixed64(try take(8).reversed().reduce(0) { $0 << 8 | UInt64($1) })
            case 2: value = .bytes(try take(Int(try varint())))
            case 5: value = .fixed32(try take(4).reversed().reduce(0) { $0 << 8 | UInt32($1) })
            default: throw Broken()
            }
            fields.append((Int(tag >> 3), value))
        }
    }

    /// All bytes of a number, in order.
    func all(_ number: Int) -> [[UInt8]] {
        fields.compactMap { field in
            guard field.number == number, case .bytes(let bytes) = field.value else { return nil }
            return bytes
        }
    }

    func messages(_ number: Int) throws -> [WireMessage] { try all(number).map { try .init($0) } }

    func text(_ number: Int) -> String? {
        all(number).first.map { String(decoding: $0, as: UTF8.self) }
    }

    func number(_ number: Int) -> UInt64? {
        for field in fields where field.number == number {
            switch field.value {
            case .varint(let value), .fixed64(let value): return value
            case .fixed32(let value): return UInt64(value)
            case .bytes: return nil
            }
        }
        return nil
    }

    /// Attributes at a number, as texts: numbers in digits, flags as "true" or "false".
    func attributes(_ number: Int) throws -> [String: String] {
        var found: [String: String] = [:]
        for pair in try messages(number) {
            guard let key = pair.text(1), let value = try pair.messages(2).first else { continue }
            let shown =
                value.text(1) ?? value.number(3).map { "\($0)" }
                ?? value.number(2).map { $0 == 0 ? "false" : "true" } ?? "?"
            guard found.updateValue(shown, forKey: key) == nil else { throw Broken() }
        }
        return found
    }
}

/// A span of a batch.
struct DecodedSpan {
    let message: WireMessage
    let attributes: [String: String]

    var traceID: String { Self.hexadecimal(message.all(1)) }
    var id: String { Self.hexadecimal(message.all(2)) }
    var parent: String { Self.hexadecimal(message.all(4)) }
    var name: String? { message.text(5) }
    var kind: UInt64? { message.number(6) }
    var start: UInt64? { message.number(7) }
    var end: UInt64? { message.number(8) }
    var flags: UInt64? { message.number(16) }
    var isError: Bool { (try? message.messages(15).first?.number(3)) == 2 }

    static func all(_ batch: [UInt8]) throws -> [DecodedSpan] {
        try WireMessage(batch).messages(1).flatMap { try $0.messages(2) }
            .flatMap { try $0.messages(2) }
            .map { DecodedSpan(message: $0, attributes: try $0.attributes(9)) }
    }

    private static func hexadecimal(_ parts: [[UInt8]]) -> String {
        parts.first.map { bytes in
            bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        } ?? ""
    }
}
