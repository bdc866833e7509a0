import SluiceSDK
import Testing

@testable import Compression

struct DecodingTests {
    private let codec = Codec()

    @Test(arguments: Coding.allCases, Coding.allCases)
    func `two codings on top of each other are decoded`(inner: Coding, outer: Coding) {
        var random = Seeded(seed: 3)
        for count in [0, 100, 80_000] {
            let body = random.body(count: count)
            let once = codec.encode(inner, body, &random)
            let twice = codec.encode(outer, once, &random)
            #expect(codec.decode([inner, outer], twice, &random) == .whole(body))
            let cut = Array(twice.dropLast())
            #expect(codec.decode([inner, outer], cut, &random) == .truncated)
        }
    }

    @Test(arguments: Coding.allCases)
    func `what is cut off anywhere is not whole`(coding: Coding) {
        var random = Seeded(seed: 5)
        let encoded = codec.encode(coding, random.body(count: 300))
        for count in 0..<encoded.count {
            #expect(codec.decode([coding], Array(encoded.prefix(count)), &random) == .truncated)
        }
    }

    @Test(arguments: Coding.allCases)
    func `nothing may follow, but another member or frame`(coding: Coding) {
        var random = Seeded(seed: 6)
        let body = random.body(count: 500)
        let encoded = codec.encode(coding, body)
        for garbage: [UInt8] in [[0], [0, 0, 0, 0], Array("x".utf8), [0xFF, 0xFF]] {
            let result = codec.decode([coding], encoded + garbage, &random)
            // Of a header that has not been refused yet, more could come.
            #expect(result == .malformed || result == .truncated)
        }
        let twice = codec.decode([coding], encoded + encoded + encoded, &random)
        switch coding {
        case .gzip, .zstandard: #expect(twice == .whole(body + body + body))
        case .deflate, .brotli: #expect(twice == .malformed)
        }
    }

    @Test
    func `deflate without its wrapper is refused`() {
        // "hello" as raw deflate.
        let raw: [UInt8] = [0xCB, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]
        var random = Seeded(seed: 1)
        #expect(codec.decode([.deflate], raw, &random) == .malformed)
        #expect(codec.decode([.gzip], raw, &random) == .malformed)
    }

    @Test(arguments: Coding.allCases)
    func `the size's limit holds to the byte`(coding: Coding) {
        var random = Seeded(seed: 8)
        let body = random.body(count: 10_000)
        let encoded = codec.encode(coding, body)
        for (max, isTaken) in [(9_999, false), (10_000, true), (10_001, true), (1, false)] {
            let limits = DecodingLimits(bytesMax: UInt64(max), ratioMax: .max)
            let result = codec.decode([coding], encoded, &random, limits)
            #expect(result == (isTaken ? .whole(body) : .tooLarge))
        }
    }

    @Test
    func `the ratio's limit holds to the byte, beyond what is free`() {
        let limits = DecodingLimits(bytesMax: .max, ratioMax: 10)
        #expect(!limits.isBroken(0, 65_536))
        #expect(limits.isBroken(0, 65_537))
        #expect(!limits.isBroken(100, 66_536))
        #expect(limits.isBroken(100, 66_537))
        #expect(!DecodingLimits.none.isBroken(0, .max))
    }

    @Test(arguments: Coding.allCases)
    func `a bomb is stopped early, also one within another coding`(coding: Coding) {
        var random = Seeded(seed: 9)
        let zeroes = [UInt8](repeating: 0, count: 4 << 20)
        let bomb = codec.encode(coding, zeroes)
        let limits = DecodingLimits(bytesMax: 1 << 20, ratioMax: 100)
        #expect(codec.decode([coding], bomb, &random, limits) == .tooLarge)
        // What is in between counts as well as what comes out.
        let empty = codec.encode(.gzip, [])
        let members = Array(repeating: empty, count: 30_000).flatMap { $0 }
        let nested = codec.encode(coding, members)
        #expect(codec.decode([.gzip, coding], nested, &random, limits) == .tooLarge)
        #expect(codec.decode([.gzip, coding], nested, &random) == .whole([]))
    }

    @Test
    func `a Zstandard frame with a window over 8 MiB is refused`() {
        // Magic number, no single segment, window descriptor for 16 MiB, an empty last raw block.
        func frame(_ exponent: UInt8) -> [UInt8] {
            [0x28, 0xB5, 0x2F, 0xFD, 0x00, exponent << 3, 0x01, 0x00, 0x00]
        }
        var random = Seeded(seed: 1)
        #expect(codec.decode([.zstandard], frame(13), &random) == .whole([]))
        #expect(codec.decode([.zstandard], frame(14), &random) == .malformed)
    }

    @Test(arguments: Coding.allCases)
    func `mutated input does no harm`(coding: Coding) {
        let seed = UInt64.random(in: 0...999_999)
        var random = Seeded(seed: seed)
        let limits = DecodingLimits(bytesMax: 200_000, ratioMax: 1_000)
        let bodies = [0, 40, 2_000, 30_000].map { codec.encode(coding, random.body(count: $0)) }
        for round in 0..<3_000 {
            var input = bodies[round % bodies.count]
            for _ in 0...random.number(0...3) { mutate(&input, &random) }
            let other = Coding.allCases[Int(random.next() % 4)]
            let codings = round % 5 == 0 ? [other, coding] : [coding]
            let result = codec.decode(codings, input, &random, limits, outputMax: 200_001)
            if case .whole(let output) = result {
                #expect(output.count <= 200_000, "seed \(seed), round \(round)")
            }
        }
        #expect(codec.pool.activeCount == 0, "seed \(seed)")
    }

    private func mutate(_ input: inout [UInt8], _ random: inout Seeded) {
        guard !input.isEmpty else { return input.append(UInt8(truncatingIfNeeded: random.next())) }
        let at = random.number(0...input.count - 1)
        switch random.next() % 5 {
        case 0: input[at] ^= 1 << UInt8(random.next() % 8)
        case 1: input[at] = UInt8(truncatingIfNeeded: random.next())
        case 2: input.removeSubrange(at..<min(at + random.number(1...20), input.count))
        case 3: input.insert(UInt8(truncatingIfNeeded: random.next()), at: at)
        default: input += input[at...].prefix(200)
        }
    }
}
