import HealthCheck
import Testing

struct CheckStateTests {
    private func states(_ results: String, up: Bool, rise: Int, fall: Int) -> String {
        var state = CheckState(isUp: up)
        return String(
            results.map { result in
                _ = state.note(result == "+", rise: rise, fall: fall)
                return state.isUp ? "U" : "D"
            } as [Character]
        )
    }

    @Test(arguments: [
        ("---", true, 2, 3, "UUD"),
        ("--+--", true, 2, 3, "UUUUU"),
        ("--+---", true, 2, 3, "UUUUUD"),
        ("++", false, 2, 3, "DU"),
        ("+-+-++", false, 2, 3, "DDDDDU"),
        ("-+", true, 1, 1, "DU"),
    ])
    func `changes after so many results in a row`(
        results: String,
        up: Bool,
        rise: Int,
        fall: Int,
        expected: String
    ) {
        #expect(states(results, up: up, rise: rise, fall: fall) == expected)
    }

    @Test func `says when it changes, and only then`() {
        var state = CheckState(isUp: true)
        let changes = [false, false, false, true].map { state.note($0, rise: 1, fall: 2) }
        #expect(changes == [false, true, false, true])
    }

    @Test(arguments: [0, 1, 999, UInt64.max])
    func `an interval stays within its jitter`(random: UInt64) {
        let times = CheckTimes(interval: 1_000_000_000, jitter: 10)
        #expect(900_000_000...1_100_000_000 ~= times.next(random: random))
        #expect(times.first(random: random) < 1_000_000_000)
    }

    @Test func `without jitter an interval is exact`() {
        let times = CheckTimes(interval: 5_000_000_000, jitter: 0)
        #expect(times.next(random: 123_456_789) == 5_000_000_000)
        // Even of a long interval the first check comes soon.
        #expect(times.first(random: .max) < 1_000_000_000)
    }

    @Test(arguments: [
        (UInt64(10_000_000), UInt64(10_000_000)), (500_000_000, 50_000_000),
        (60_000_000_000, 100_000_000),
    ])
    func `looks as often as the interval needs`(interval: UInt64, tick: UInt64) {
        #expect(CheckTimes(interval: interval, jitter: 0).tick == tick)
    }
}
