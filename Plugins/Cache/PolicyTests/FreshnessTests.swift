import CachePolicy
import Testing

struct FreshnessTests {
    private let now: Int64 = 1_000_000_000
    private let heuristic = Freshness.Heuristic(percent: 10, most: 86_400)

    private func input(_ line: String, status: Int = 200) -> Freshness.Input {
        var input = Freshness.Input(status: status, directives: response(line), now: now)
        input.date = now
        return input
    }

    @Test(arguments: [
        ("s-maxage=10, max-age=20", 10), ("max-age=20", 20), ("max-age=0", 0),
        ("s-maxage=0, max-age=20", 0), ("max-age=abc", 0),
    ])
    func `the directive that counts most`(line: String, seconds: Int64) {
        var input = input(line)
        input.expires = .at(now + 99)
        let freshness = Freshness(input, heuristic: heuristic)
        #expect(freshness.lifetime == seconds)
        #expect(freshness.source == .explicit)
    }

    @Test(
        arguments: [
            (Freshness.Expires.at(1_000_000_060), 60), (.at(1_000_000_000), 0), (.at(5), 0),
            (.invalid, 0), (.at(.max), 2_147_483_648),
        ] as [(Freshness.Expires, Int64)]
    )
    func `Expires counts from Date on`(expires: Freshness.Expires, seconds: Int64) {
        var input = input("public")
        input.expires = expires
        input.lastModified = 0
        #expect(Freshness(input, heuristic: heuristic).lifetime == seconds)
    }

    @Test func `the earlier one of two lines of Expires`() {
        #expect(Freshness.Expires.at(5).stricter(.at(3)) == .at(3))
        #expect(Freshness.Expires.at(5).stricter(.invalid) == .invalid)
        #expect(Freshness.Expires.invalid.stricter(.at(5)) == .invalid)
        #expect(Freshness.Expires.absent.stricter(.at(5)) == .at(5))
        #expect(Freshness.Expires.at(5).stricter(.absent) == .at(5))
    }

    @Test func `a targeted field leaves Expires out`() {
        var input = input("public")
        input.isTargeted = true
        input.expires = .at(now + 60)
        let freshness = Freshness(input, heuristic: heuristic)
        #expect(freshness.lifetime == 0)
        #expect(freshness.source == .none)
    }

    @Test(arguments: [
        (200, "", 1_000, 100), (200, "", 864_000, 86_400), (200, "", 10_000_000, 86_400),
        (404, "", 1_000, 100), (302, "", 1_000, 0), (302, "public", 1_000, 100), (200, "", 0, 0),
        (200, "", -5, 0), (500, "", 1_000, 0),
    ])
    func `a tenth of the time since it changed`(
        status: Int,
        line: String,
        unchanged: Int64,
        seconds: Int64
    ) {
        var input = input(line, status: status)
        input.lastModified = now - unchanged
        #expect(Freshness(input, heuristic: heuristic).lifetime == seconds)
    }

    @Test func `heuristics are off with 0 percent`() {
        var input = input("")
        input.lastModified = now - 1_000
        let off = Freshness.Heuristic(percent: 0, most: 86_400)
        #expect(Freshness(input, heuristic: off).source == .none)
    }

    @Test func `the configuration comes before heuristics and after the origin`() {
        var input = input("", status: 404)
        input.lastModified = now - 1_000
        input.configured = 7
        #expect(Freshness(input, heuristic: heuristic).lifetime == 7)
        input.directives = response("max-age=3")
        #expect(Freshness(input, heuristic: heuristic).lifetime == 3)
    }

    @Test(arguments: [
        (0, 0, 0, 0), (10, 0, 0, 10), (0, 30, 0, 30), (10, 30, 5, 30), (30, 10, 5, 35),
        (0, -30, 0, 0), (0, 0, 7, 7), (2_147_483_648, 0, 9, 2_147_483_648),
    ])
    func `the age on arrival`(age: Int64, sinceDate: Int64, delay: Int64, seconds: Int64) {
        let date = now - sinceDate
        let initial = Freshness.initialAge(age: age, date: date, now: now, delay: delay)
        #expect(initial == seconds)
    }

    @Test(arguments: [
        ("5", 5), (" 5 ", 5), ("5, 7", 5), ("0", 0), ("99999999999", 2_147_483_648),
    ])
    func `Age`(line: String, seconds: Int64) { #expect(Freshness.age(Text(line)) == seconds) }

    @Test(arguments: ["", "-5", "x", "5.0", "\"5\"", "5;a=b", "x, 5"])
    func `Age that is none`(line: String) { #expect(Freshness.age(Text(line)) == nil) }
}

struct ServingTests {
    private func serving(
        _ age: Int64,
        _ flags: ResponseDirectives.Flags = [],
        revalidate: Int64 = 0,
        onError: Int64 = 0,
        isShared: Bool = false
    ) -> Serving {
        Serving(
            lifetime: 100,
            age: age,
            flags: flags,
            staleWhileRevalidate: revalidate,
            staleIfError: onError,
            isShared: isShared
        )
    }

    @Test(arguments: [
        (0, "", Serving.Outcome.fresh), (99, "", .fresh), (100, "", .validate(staleIfError: false)),
        (50, "no-cache", .validate(staleIfError: false)), (50, "max-age=50", .fresh),
        (51, "max-age=50", .validate(staleIfError: false)),
        (0, "max-age=0", .validate(staleIfError: false)),
        (50, "min-fresh=50", .fresh), (51, "min-fresh=50", .validate(staleIfError: true)),
        (150, "max-stale", .stale), (150, "max-stale=50", .stale),
        (151, "max-stale=50", .validate(staleIfError: false)),
        (150, "max-stale, min-fresh=1", .validate(staleIfError: false)),
    ])
    func `what a request takes`(age: Int64, line: String, outcome: Serving.Outcome) {
        #expect(serving(age).outcome(request(line)) == outcome)
    }

    @Test(arguments: [
        ResponseDirectives.Flags.mustRevalidate, .proxyRevalidate, .noCache,
    ])
    func `what forbids stale answers`(flag: ResponseDirectives.Flags) {
        let stale = serving(100, flag, revalidate: 50, onError: 50)
        #expect(stale.outcome(request("max-stale")) == .validate(staleIfError: false))
        #expect(stale.outcome(request()) == .validate(staleIfError: false))
    }

    @Test func `no-cache is never fresh`() {
        #expect(serving(0, .noCache).outcome(request()) == .validate(staleIfError: false))
    }

    @Test func `s-maxage is not passed for anything`() {
        let stale = serving(100, isShared: true)
        #expect(stale.outcome(request("max-stale")) == .validate(staleIfError: false))
        let extended = serving(100, revalidate: 10, onError: 10, isShared: true)
        #expect(extended.outcome(request()) == .validate(staleIfError: false))
    }

    @Test func `the windows of RFC 5861 end at their edge`() {
        #expect(serving(149, revalidate: 50).outcome(request()) == .staleWhileRevalidate)
        let over = serving(150, revalidate: 50).outcome(request())
        #expect(over == .validate(staleIfError: false))
        #expect(serving(149, onError: 50).outcome(request()) == .validate(staleIfError: true))
        #expect(serving(150, onError: 50).outcome(request()) == .validate(staleIfError: false))
    }
}
