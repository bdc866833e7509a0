import Glibc
import Testing

/// One line of `Vectors/hostile.jsonl`: a message and what becomes of it.
struct HostileVector: Sendable, CustomTestStringConvertible {
    var id = ""
    var direction = ""
    var raw: [UInt8] = []
    var expect = ""
    var why = ""

    var testDescription: String { id }

    /// All lines, in order.
    static let all: [HostileVector] = {
        let tests = #filePath.parent.parent
        return readFile(tests + "/Vectors/hostile.jsonl")
            .split(separator: UInt8(ascii: "\n"))
            .map { line in
                var reader = LineReader(bytes: Array(line))
                return reader.vector()
            }
    }()
}

/// Reads an object of strings, which is all that the file has.
private struct LineReader {
    var bytes: [UInt8]
    var at = 0

    init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    mutating func vector() -> HostileVector {
        var vector = HostileVector()
        expect("{")
        repeat {
            let key = text(string())
            expect(":")
            let value = string()
            switch key {
            case "id": vector.id = text(value)
            case "direction": vector.direction = text(value)
            case "raw": vector.raw = value
            case "expect": vector.expect = text(value)
            case "why": vector.why = text(value)
            default: preconditionFailure("unknown key \(key)")
            }
        } while skip(",")
        expect("}")
        return vector
    }

    private mutating func string() -> [UInt8] {
        expect("\"")
        var value: [UInt8] = []
        while bytes[at] != UInt8(ascii: "\"") {
            value.append(bytes[at] == UInt8(ascii: "\\") ? escape() : bytes[at])
            at += 1
        }
        at += 1
        return value
    }

    /// Leaves `at` on the last byte of the escape.
    private mutating func escape() -> UInt8 {
        at += 1
        switch bytes[at] {
        case UInt8(ascii: "r"): return 0x0D
        case UInt8(ascii: "n"): return 0x0A
        case UInt8(ascii: "t"): return 0x09
        case UInt8(ascii: "b"): return 0x08
        case UInt8(ascii: "f"): return 0x0C
        case UInt8(ascii: "u"):
            let digits = text(bytes[at + 1...at + 4])
            at += 4
            guard let value = UInt8(digits, radix: 16) else {
                preconditionFailure("\(digits) is no byte")
            }
            return value
        default: return bytes[at]
        }
    }

    private mutating func skip(_ byte: Unicode.Scalar) -> Bool {
        while bytes[at] == 0x20 { at += 1 }
        guard bytes[at] == UInt8(ascii: byte) else { return false }
        at += 1
        return true
    }

    private mutating func expect(_ byte: Unicode.Scalar) {
        let found = skip(byte)
        precondition(found, "no \(byte) at \(at)")
    }
}

private func readFile(_ path: String) -> [UInt8] {
    let file = open(path, O_RDONLY)
    precondition(file >= 0, "cannot open \(path)")
    defer { close(file) }
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 65_536)
    while true {
        let count = read(file, &block, block.count)
        precondition(count >= 0, "cannot read \(path)")
        if count == 0 { return bytes }
        bytes += block[..<count]
    }
}

extension String {
    /// The folder that a path is in.
    fileprivate var parent: String {
        lastIndex(of: "/").map { String(self[..<$0]) } ?? ""
    }
}
