/// What two processes say to each other when one takes over the listening sockets of the other.
///
/// A message is a header of 12 bytes, `SLTO`, version, kind (two bytes each) and length of the body
/// (four), all in network order, and the body. The new process asks; the old one answers with the
/// sockets, up to 64 a message, each acknowledged by how many have come; the new process says when
/// it serves; the old one confirms, and drains.
package enum TakeOverMessage: Equatable, Sendable {
    /// New to old: hand over the sockets.
    case ask
    /// Old to new: some of the sockets, which come beside the message; of `total` in all.
    case sockets(total: Int)
    /// New to old: so many have come.
    case taken(count: Int)
    /// New to old: it serves.
    case ready
    /// Old to new: it drains. What was not confirmed did not happen.
    case done
    /// Old to new: no, and why, in one line.
    case refused(String)

    /// Why a message is not understood.
    package enum Problem: Error, Equatable, Sendable {
        case otherVersion(Int)
        case malformed
    }

    /// The version of these messages; both processes must have the same.
    package static let version = 1
    /// Descriptors beside one message.
    package static let batchMax = 64
    /// Sockets of one process.
    package static let socketsMax = 65_536
    /// Bytes of a message.
    package static let bytesMax = 4_096
    private static let headerBytes = 12
    private static let magic = Array("SLTO".utf8)

    private var kind: Int {
        switch self {
        case .ask: 1
        case .sockets: 2
        case .taken: 3
        case .ready: 4
        case .done: 5
        case .refused: 6
        }
    }

    package var bytes: [UInt8] {
        var body: [UInt8] = []
        switch self {
        case .ask, .ready, .done: break
        case .sockets(let count), .taken(let count): body = Self.word(count, bytes: 4)
        case .refused(let reason):
            body = Array(reason.utf8.prefix(Self.bytesMax - Self.headerBytes))
        }
        return Self.magic + Self.word(Self.version, bytes: 2) + Self.word(kind, bytes: 2)
            + Self.word(body.count, bytes: 4) + body
    }

    package init(_ bytes: [UInt8]) throws(Problem) {
        guard bytes.count >= Self.headerBytes, bytes.count <= Self.bytesMax,
            Array(bytes[..<4]) == Self.magic
        else { throw .malformed }
        let version = Self.number(bytes[4..<6])
        guard version == Self.version else { throw .otherVersion(version) }
        let body = bytes[Self.headerBytes...]
        guard Self.number(bytes[8..<12]) == body.count else { throw .malformed }
        switch (Self.number(bytes[6..<8]), body.count) {
        case (1, 0): self = .ask
        case (2, 4): self = .sockets(total: Self.number(body))
        case (3, 4): self = .taken(count: Self.number(body))
        case (4, 0): self = .ready
        case (5, 0): self = .done
        case (6, _): self = .refused(String(decoding: body, as: UTF8.self))
        default: throw .malformed
        }
    }

    private static func word(_ value: Int, bytes count: Int) -> [UInt8] {
        (0..<count).reversed().map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> Int {
        bytes.reduce(0) { $0 << 8 | Int($1) }
    }
}
