import SluiceSDK

@testable import Compression

/// Random numbers that are the same each time (SplitMix64).
struct Seeded: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z &>> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z &>> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z &>> 31
    }

    /// Something between text and noise.
    mutating func body(count: Int) -> [UInt8] {
        let words = ["{\"id\":", "\"name\":", "sluice", "0123", ",", "\n", "aaaaaaaa", "true"]
        var body: [UInt8] = []
        while body.count < count {
            if next() % 8 == 0 {
                body.append(UInt8(truncatingIfNeeded: next()))
            } else {
                body += words[Int(next() % 8)].utf8
            }
        }
        return Array(body.prefix(count))
    }

    mutating func number(_ range: ClosedRange<Int>) -> Int {
        range.lowerBound + Int(next() % UInt64(range.count))
    }
}

/// A pool, and what goes through it in pieces.
struct Codec {
    enum Result: Equatable {
        case whole([UInt8])
        case truncated
        case tooLarge
        case malformed
    }

    let pool: StreamPool

    init(activeMax: Int = 100, idleMax: Int = 8) {
        let settings = StreamPool.Settings(
            levels: Levels(),
            activeMax: activeMax,
            idleMax: idleMax
        )
        pool = StreamPool(.open(), settings)
    }

    /// A body in random pieces, with flushes in between.
    func encode(
        _ coding: Coding,
        _ body: [UInt8],
        length: UInt64? = nil,
        _ random: inout Seeded
    ) -> [UInt8] {
        guard let encoder = pool.takeEncoder(coding, length: length) else { return [] }
        defer { pool.give(encoder) }
        var output: [UInt8] = []
        var rest = body[...]
        while !rest.isEmpty, random.next() % 20 != 0 {
            let piece = Array(rest.prefix(random.number(1...40_000)))
            let flushes = random.next() % 3 == 0
            let capacity = random.number(16...9_000)
            output += run(encoder, piece, flushes ? .flush : .process, capacity: capacity)
            rest = rest.dropFirst(piece.count)
        }
        return output
            + run(encoder, Array(rest), .finish, capacity: random.number(16...9_000))
    }

    func encode(_ coding: Coding, _ body: [UInt8]) -> [UInt8] {
        guard let encoder = pool.takeEncoder(coding, length: nil) else { return [] }
        defer { pool.give(encoder) }
        return run(encoder, body, .finish, capacity: 65_536)
    }

    /// One operation of an encoder, in as many calls as the room makes it take.
    func run(
        _ encoder: StreamPointer,
        _ input: [UInt8],
        _ operation: EncoderOperation,
        capacity: Int
    ) -> [UInt8] {
        var output: [UInt8] = []
        var at = 0
        var room = [UInt8](repeating: 0, count: capacity)
        while true {
            let step = withBytes(input, &room) { bytes, room in
                pool.encode(encoder, bytes.dropFirst(at), operation, room, capacity)
            }
            output += room.prefix(step.produced)
            at += step.consumed
            switch step.state {
            case .wantsRoom: continue
            case .done: return output
            default: return []
            }
        }
    }

    /// What comes out of a decoder for the input that there is.
    func run(_ decoder: StreamPointer, _ input: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        _ = feed(Decoding(first: decoder), input, .none, 1_000, &output)
        return output
    }

    /// Decodes in random pieces; the codings as they were applied.
    func decode(
        _ codings: [Coding],
        _ body: [UInt8],
        _ random: inout Seeded,
        _ limits: DecodingLimits = .none,
        outputMax: Int = .max
    ) -> Result {
        var decoding = Decoding(first: pool.takeDecoder(codings[codings.count - 1]))
        if codings.count > 1 { decoding.second = pool.takeDecoder(codings[0]) }
        defer { pool.give(&decoding) }
        var output: [UInt8] = []
        var rest = body[...]
        repeat {
            let piece = Array(rest.prefix(random.number(1...20_000)))
            let capacity = random.number(1...9_000)
            if let failure = feed(decoding, piece, limits, capacity, &output) { return failure }
            if output.count > outputMax { return .tooLarge }
            rest = rest.dropFirst(piece.count)
        } while !rest.isEmpty
        return pool.isWhole(decoding) ? .whole(output) : .truncated
    }

    private func feed(
        _ decoding: Decoding,
        _ input: [UInt8],
        _ limits: DecodingLimits,
        _ capacity: Int,
        _ output: inout [UInt8]
    ) -> Result? {
        var at = 0
        var room = [UInt8](repeating: 0, count: capacity)
        while true {
            let step = withBytes(input, &room) { bytes, room in
                pool.decode(decoding, bytes.dropFirst(at), limits, room, capacity)
            }
            output += room.prefix(step.produced)
            at += step.consumed
            switch step.state {
            case .wantsRoom: continue
            case .done: return at == input.count ? nil : .malformed
            case .tooLarge: return .tooLarge
            default: return .malformed
            }
        }
    }

    private func withBytes(
        _ input: [UInt8],
        _ room: inout [UInt8],
        _ body: (Bytes, UnsafeMutablePointer<UInt8>) -> Step
    ) -> Step {
        input.withUnsafeBufferPointer { buffer in
            room.withUnsafeMutableBufferPointer { room in
                let bytes = buffer.baseAddress.map { Bytes($0, count: buffer.count) } ?? .empty
                guard let room = room.baseAddress else { return Step(state: .failed) }
                return body(bytes, room)
            }
        }
    }
}
