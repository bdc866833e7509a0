internal import Sys

/// Why an admin interface can't be offered or reached, in one line.
package struct AdminProblem: Error, Equatable, Sendable, CustomStringConvertible {
    package var description: String

    package init(_ description: String) { self.description = description }
}

/// The word that gives access to an admin interface over TCP (RFC 6750 §2.1).
package struct AdminToken: Sendable, CustomStringConvertible {
    /// Bytes of a token: 96 bits in base64 at the least.
    package static let bytesMin = 16
    package static let bytesMax = 512

    private let bytes: [UInt8]

    /// Never the token itself, so that it can't get into a log by mistake.
    package var description: String { "(a token)" }

    /// - Throws: when the bytes are not a token; the message has none of them.
    package init(_ bytes: [UInt8]) throws(AdminProblem) {
        guard Self.bytesMin...Self.bytesMax ~= bytes.count else {
            throw AdminProblem(
                "a token has \(Self.bytesMin) to \(Self.bytesMax) bytes, not \(bytes.count)"
            )
        }
        let body = bytes.reversed().drop { $0 == UInt8(ascii: "=") }
        guard !body.isEmpty, body.allSatisfy(Self.isTokenByte) else {
            throw AdminProblem("a token is made of A-Z a-z 0-9 - . _ ~ + / and ends in any \"=\"")
        }
        self.bytes = bytes
    }

    /// Reads the token of a file: all of it, but for one line end behind it.
    ///
    /// - Throws: when the file can't be read, when anybody but its owner has rights to it, or when
    ///   there is no token in it.
    package static func read(_ path: String) throws(AdminProblem) -> AdminToken {
        // A pipe would be waited for.
        guard File.isFile(path) || !File.exists(path) else {
            throw AdminProblem("\(path): not a file")
        }
        let read: (bytes: [UInt8], version: FileVersion)
        do throws(Errno) {
            read = try File.readWithVersion(path, bytesMax: bytesMax + 2)
        } catch {
            throw AdminProblem("\(path): cannot be read: \(error.description)")
        }
        guard !read.version.isOpenToOthers else {
            let mode = String(read.version.mode & 0o777, radix: 8)
            throw AdminProblem("\(path): others have rights to it (mode 0\(mode)); chmod 600 it")
        }
        var bytes = read.bytes[...]
        if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
        if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
        do throws(AdminProblem) {
            return try AdminToken(Array(bytes))
        } catch {
            throw AdminProblem("\(path): \(error.description)")
        }
    }

    /// The value of `Authorization` that shows this token.
    var credentials: String { "Bearer " + String(decoding: bytes, as: UTF8.self) }

    /// Whether the value of an `Authorization` field shows this token.
    ///
    /// The scheme's name is compared in any case (RFC 9110 §11.1). The time depends on the number
    /// of bytes, not on which of them are wrong.
    func isShown(by authorization: String) -> Bool {
        let parts = authorization.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return false }
        let shown = Array(parts[1].utf8.drop { $0 == UInt8(ascii: " ") })
        return Self.areEqual(shown, bytes)
    }

    @inline(never)  // So that it is not specialized for anything that would end it early.
    private static func areEqual(_ one: [UInt8], _ other: [UInt8]) -> Bool {
        guard one.count == other.count else { return false }
        var difference: UInt8 = 0
        for index in one.indices { difference |= one[index] ^ other[index] }
        return difference == 0
    }

    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "-._~+/".utf8.contains(byte)
        }
    }
}
