import HealthCheck
import Testing

struct OutliersTests {
    @Test(arguments: [
        (10, 1, 0), (10, 2, 1), (10, 10, 1), (10, 19, 1), (10, 20, 2), (50, 4, 2), (50, 5, 2),
        (100, 3, 3), (100, 2, 2), (0, 5, 0), (99, 2, 1), (100, 1, 0),
    ])
    func `bounds how many are out`(percent: Int, peers: Int, expected: Int) {
        var rules = OutlierRules()
        rules.ejectedPercentMax = percent
        #expect(rules.ejectedMax(of: peers) == expected)
    }

    @Test func `the time out grows with each ejection, to a maximum`() {
        var rules = OutlierRules()
        rules.ejectNanoseconds = 30
        rules.ejectNanosecondsMax = 100
        #expect((1...5).map { rules.nanoseconds(ejections: $0) } == [30, 60, 90, 100, 100])
        rules.ejectNanoseconds = .max / 2
        let most = UInt64.max / 4 * 3
        rules.ejectNanosecondsMax = most
        #expect(rules.nanoseconds(ejections: 3) == most)
    }

    @Test(arguments: [(3, 0, 3), (3, 99, 3), (3, 100, 2), (3, 250, 1), (3, 300, 0), (1, 9_999, 0)])
    func `ejections are forgotten one by one`(count: Int, quiet: UInt64, expected: Int) {
        var rules = OutlierRules()
        rules.ejectNanoseconds = 100
        #expect(rules.remembered(ejections: count, quietNanoseconds: quiet) == expected)
    }

    @Test(arguments: [
        (49, 49, false), (50, 24, false), (50, 25, true), (51, 25, false), (100, 50, true),
    ])
    func `a rate needs enough requests`(requests: UInt64, errors: UInt64, expected: Bool) {
        var rules = OutlierRules()
        rules.rate = 50
        rules.requestsMin = 50
        #expect(rules.isOutlier(requests: requests, errors: errors) == expected)
    }

    @Test func `a rate of 0 is off`() {
        #expect(!OutlierRules().isOutlier(requests: 1_000, errors: 1_000))
    }

    @Test(arguments: [
        (1, 3, 50, true), (2, 4, 50, false), (0, 1, 1, true), (0, 0, 50, false),
        (0, 3, 0, false), (2, 3, 100, true), (3, 3, 100, false),
    ])
    func `panic begins below a share`(healthy: Int, peers: Int, percent: Int, expected: Bool) {
        #expect(Panic.isOn(healthy: healthy, of: peers, percent: percent) == expected)
    }
}
