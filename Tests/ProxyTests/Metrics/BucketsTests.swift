import Testing

@testable import Proxy

struct BucketsTests {
    @Test(arguments: [Buckets.times, .sizes])
    func `a value is in the bucket whose bound is the first that it does not pass`(
        buckets: Buckets
    ) {
        let bounds = buckets.shown(1).map { UInt64($0) }
        #expect(bounds.count == buckets.count - 1)
        func expected(_ value: UInt64) -> Int {
            bounds.firstIndex { value <= $0 } ?? bounds.count
        }
        for bound in bounds {
            for value in [bound - 1, bound, bound + 1] {
                #expect(buckets.index(value) == expected(value), "\(value)")
            }
        }
        for bit in UInt64(0)..<64 {
            let power = UInt64(1) << bit
            for value in [power &- 1, power, power &+ 1] {
                #expect(buckets.index(value) == expected(value), "\(value)")
            }
        }
        #expect(buckets.index(0) == 0)
        #expect(buckets.index(.max) == buckets.count - 1)
    }

    @Test func `random values are where a loop finds them`() {
        var generator = SystemRandomNumberGenerator()
        let bounds = Buckets.times.shown(1).map { UInt64($0) }
        for _ in 0..<100_000 {
            let value = generator.next() >> UInt64.random(in: 0..<64, using: &generator)
            let expected = bounds.firstIndex { value <= $0 } ?? bounds.count
            #expect(Buckets.times.index(value) == expected, "\(value)")
        }
    }

    @Test func `bounds are shown in larger units`() {
        #expect(Buckets.times.shown(1e9).prefix(3) == [0.0001, 0.00025, 0.0005])
        #expect(Buckets.times.shown(1e9).last == 60)
        #expect(Buckets.sizes.shown(1).first == 256)
        #expect(Buckets.sizes.shown(1).last == 1_073_741_824)
    }

    @Test func `words have room for their buckets`() {
        #expect(RouteWords.fit)
        #expect(UpstreamWords.fit)
        #expect(H2Counters.count <= WorkerWords.count - WorkerWords.http2)
    }

    @Test(
        arguments: [
            (0, 0), (99, 0), (100, 1), (101, 1), (199, 1), (200, 2), (299, 2), (300, 3), (404, 4),
            (499, 4), (500, 5), (599, 5), (600, 5), (999, 5),
        ] as [(UInt32, Int)]
    )
    func `a status has a class`(status: UInt32, expected: Int) {
        #expect(RouteWords.statusClass(status) == expected)
    }

    @Test func `every status is of the class of its hundred`() {
        for status in UInt32(0)..<600 {
            #expect(RouteWords.statusClass(status) == Int(status / 100))
        }
    }
}
