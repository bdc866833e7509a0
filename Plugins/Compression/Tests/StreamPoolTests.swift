import SluiceSDK
import Testing

@testable import Compression

struct StreamPoolTests {
    static let codings = Coding.allCases

    @Test(arguments: codings)
    func `what is encoded in any pieces is decoded in any others`(coding: Coding) throws {
        let codec = Codec()
        var random = Seeded(seed: 41 + UInt64(coding.rawValue))
        for round in 0..<60 {
            let body = random.body(count: [0, 1, 20, 500, 5_000, 70_000, 300_000][round % 7])
            let length = round % 2 == 0 ? UInt64(body.count) : nil
            let encoded = codec.encode(coding, body, length: length, &random)
            #expect(codec.decode([coding], encoded, &random) == .whole(body))
        }
        #expect(codec.pool.activeCount == 0)
    }

    @Test(arguments: codings)
    func `a flush lets everything out`(coding: Coding) throws {
        let codec = Codec()
        var random = Seeded(seed: 7)
        let encoder = try #require(codec.pool.takeEncoder(coding, length: nil))
        let decoder = try #require(codec.pool.takeDecoder(coding))
        for round in 0..<50 {
            let event = random.body(count: 1 + round * 37 % 900)
            let encoded = codec.run(encoder, event, .flush, capacity: 16 + round * 13 % 400)
            #expect(codec.run(decoder, encoded) == event)
        }
        let end = codec.run(encoder, [], .finish, capacity: 64)
        #expect(codec.run(decoder, end) == [])
        #expect(codec.pool.isWhole(Decoding(first: decoder)))
        codec.pool.give(encoder)
        codec.pool.give(decoder)
    }

    @Test(arguments: codings)
    func `a stream is used again, also after a body that was given up`(coding: Coding) throws {
        let codec = Codec()
        var random = Seeded(seed: 11)
        for round in 0..<20 {
            let body = random.body(count: 3_000)
            let encoder = try #require(codec.pool.takeEncoder(coding, length: 3_000))
            if round % 3 == 0 {
                _ = codec.run(encoder, body, .process, capacity: 100)
                codec.pool.give(encoder)
                continue
            }
            let encoded = codec.run(encoder, body, .finish, capacity: 700)
            codec.pool.give(encoder)
            let decoder = try #require(codec.pool.takeDecoder(coding))
            #expect(codec.run(decoder, encoded) == body)
            codec.pool.give(decoder)
        }
        #expect(codec.pool.madeCount == 2)
    }

    @Test
    func `streams in use, and those that wait, are bounded`() throws {
        let codec = Codec(activeMax: 3, idleMax: 2)
        var taken = (0..<3).compactMap { _ in codec.pool.takeEncoder(.gzip, length: nil) }
        #expect(taken.count == 3)
        #expect(codec.pool.takeEncoder(.gzip, length: nil) == nil)
        #expect(codec.pool.takeDecoder(.gzip) == nil)
        codec.pool.give(taken.removeLast())
        let decoder = try #require(codec.pool.takeDecoder(.gzip))
        #expect(codec.pool.takeDecoder(.gzip) == nil)
        codec.pool.give(decoder)
        // One is on the shelf, the second fits, the third is freed.
        for stream in taken { codec.pool.give(stream) }
        #expect(codec.pool.madeCount == 4)
        let again = (0..<3).compactMap { _ in codec.pool.takeEncoder(.gzip, length: nil) }
        #expect(again.count == 3)
        #expect(codec.pool.madeCount == 5)
        for stream in again { codec.pool.give(stream) }
    }

    @Test
    func `a decoder that met a great window is not kept`() throws {
        let codec = Codec()
        let most = codec.encode(.zstandard, [UInt8](repeating: 1, count: 1 << 20))
        let more = codec.encode(.zstandard, [UInt8](repeating: 1, count: (1 << 20) + 1))
        for (body, made) in [(most, 2), (most, 2), (more, 2), (more, 3), (most, 4), (most, 4)] {
            let decoder = try #require(codec.pool.takeDecoder(.zstandard))
            _ = codec.run(decoder, body)
            #expect(codec.pool.madeCount == made)
            codec.pool.give(decoder)
        }
    }

    @Test
    func `windows fit the length, where it is known`() {
        let edges: [(UInt64?, Int)] = [
            (nil, 15), (0, 9), (250, 9), (251, 10), (762, 10), (763, 11), (16_122, 14),
            (16_123, 15), (1 << 40, 15),
        ]
        for (length, bits) in edges {
            #expect(Stream.windowBits(.gzip, length: length) == bits)
            #expect(Stream.windowBits(.deflate, length: length) == bits)
        }
        for coding in [Coding.brotli, .zstandard] {
            #expect(Stream.windowBits(coding, length: nil) == 18)
            #expect(Stream.windowBits(coding, length: 100) == 10)
            #expect(Stream.windowBits(coding, length: 1 << 30) == 18)
        }
    }

    @Test
    func `blocks are kept by size, up to a bound`() throws {
        let cache = BlockCache()
        let first = try #require(cache.take(1_000))
        cache.give(first)
        #expect(cache.idleBytes == 1_024)
        #expect(cache.take(1_008) == first)
        #expect(cache.idleBytes == 0)
        let other = try #require(cache.take(1_009))
        cache.give(first)
        cache.give(other)
        #expect(cache.idleBytes == 1_024 + 2_048)
        let large = try (0..<5).map { _ in try #require(cache.take(2 << 20)) }
        for block in large { cache.give(block) }
        #expect(cache.idleBytes == 1_024 + 2_048 + (4 << 20))
        let huge = try #require(cache.take(64 << 20))
        cache.give(huge)
        #expect(cache.idleBytes <= BlockCache.idleBytesMax)
        #expect(cache.take(.max) == nil)
    }
}
