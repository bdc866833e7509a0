import CachePolicy
import Testing

struct DirectivesTests {
    @Test(arguments: [
        ("max-age=60", 60), ("MAX-AGE=60", 60), ("max-age=\"60\"", 60), ("max-age=0", 0),
        ("max-age", 0), ("max-age=", 0), ("max-age=-1", 0), ("max-age=1.5", 0),
        ("max-age=60s", 0), ("max-age = 60", -1), ("max-age= 60", 0), ("max-age='60'", 0),
        ("max-age=60; public", 0), ("max-age=007", 7), ("max-age=2147483647", 2_147_483_647),
        ("max-age=2147483648", 2_147_483_648), ("max-age=2147483649", 2_147_483_648),
        ("max-age=99999999999999999999999999", 2_147_483_648), ("max-age=60, max-age=30", 30),
        ("max-age=30, max-age=60", 30), ("max-age=30, max-age=x", 0), (",,max-age=5,,", 5),
        ("\tmax-age=5 ,public", 5), ("x=\"max-age=9\"", -1), ("x=\"a, max-age=9", -1),
        ("xmax-age=9", -1), ("max-agex=9", -1), ("", -1),
    ])
    func `max-age`(line: String, seconds: Int64) {
        #expect(response(line).maxAge == seconds)
    }

    @Test(arguments: [
        ("no-store", ResponseDirectives.Flags.noStore), ("No-Store", .noStore),
        ("no-store=x", .noStore), ("no-cache", .noCache), ("no-cache=\"\"", .noCache),
        ("no-cache=\"set-cookie\"", .noCacheFields), ("no-cache=set-cookie", .noCacheFields),
        ("private", .isPrivate), ("private=\"x\"", .privateFields), ("private=\" , \"", .isPrivate),
        ("private=\"x", .isPrivate), ("no-cache=\"", .noCache),
        ("public", .isPublic), ("must-revalidate", .mustRevalidate),
        ("proxy-revalidate", .proxyRevalidate), ("must-understand", .mustUnderstand),
        ("immutable", .immutable), ("no-transform", .init(rawValue: 0)),
        ("no-stor", .init(rawValue: 0)), ("nostore", .init(rawValue: 0)),
    ])
    func `directives without a number`(line: String, flags: ResponseDirectives.Flags) {
        #expect(response(line).flags == flags)
    }

    @Test func `lines and elements add up`() {
        let directives = response(
            "public, max-age=10",
            "s-maxage=20,stale-while-revalidate=30",
            "stale-if-error=40, MUST-REVALIDATE"
        )
        #expect(directives.flags == [.isPublic, .mustRevalidate])
        #expect(directives.maxAge == 10)
        #expect(directives.sharedMaxAge == 20)
        #expect(directives.staleWhileRevalidate == 30)
        #expect(directives.staleIfError == 40)
    }

    @Test(arguments: [
        ("private=\"x-a\"", "x-a", true), ("private=\"x-a, X-B\"", "x-b", true),
        ("no-cache=\"x-a\"", "x-a", true), ("no-cache=x-a", "x-a", true),
        ("private=\"x-ab\"", "x-a", false), ("private", "x-a", false),
        ("max-age=\"x-a\"", "x-a", false), ("public, private=\"x-a\"", "x-a", true),
    ])
    func `fields that are named`(line: String, name: String, isExcluded: Bool) {
        #expect(ResponseDirectives.excludes(Text(name), in: Text(line)) == isExcluded)
    }

    @Test func `a request's directives`() {
        let all = request("no-cache, no-store", "only-if-cached, max-age=1, min-fresh=2")
        #expect(all.noCache && all.noStore && all.onlyIfCached)
        #expect(all.maxAge == 1)
        #expect(all.minFresh == 2)
        #expect(all.maxStale == -1)
        #expect(request("max-stale").maxStale == ResponseDirectives.secondsMax)
        #expect(request("max-stale=5").maxStale == 5)
        #expect(request("max-stale, max-stale=5").maxStale == 5)
        #expect(request("max-stale=x").maxStale == 0)
        #expect(request("stale-if-error=5").staleIfError == 5)
        #expect(request("min-fresh=2, min-fresh=9").minFresh == 9)
        #expect(request("min-fresh=x").minFresh == ResponseDirectives.secondsMax)
        #expect(!request("x=\"no-store\"").noStore)
    }

    @Test(arguments: [("no-cache", true), ("x, NO-CACHE", true), ("no-cachex", false), ("", false)])
    func `pragma`(line: String, isSet: Bool) {
        var directives = RequestDirectives()
        directives.addPragma(Text(line))
        #expect(directives.noCache == isSet)
    }

    @Test(arguments: [
        ("max-age=600", 1, 600), ("max-age=600;x=1;y", 1, 600), ("max-age=1, max-age=9", 2, 9),
        ("max-age=\"600\"", 1, -1), ("max-age=6.5", 1, -1), ("max-age=-5", 1, 0),
        ("max-age=999999999999999", 1, 2_147_483_648), ("a=(1 2;x=y), max-age=5", 2, 5),
        ("a=:YWJj:, b=tok/en, max-age=5", 3, 5), ("  max-age=5  ", 1, 5),
        ("max-age=5,\tno-store", 2, 5), ("", 0, -1),
    ])
    func `a targeted field`(line: String, members: Int, seconds: Int64) {
        var directives = ResponseDirectives()
        #expect(TargetedControl.add(Text(line), to: &directives) == members)
        #expect(directives.maxAge == seconds)
    }

    @Test(arguments: [
        "Max-Age=5", "max-age=5,", "max-age=5 no-store", "max-age=", "max-age=5;", ",max-age=5",
        "max-age=1234567890123456", "a=(1", "a=(1\"x\")", "a=\"x", "a=\"\\x\"", "a=?2", "a=:*:",
        "a=1.", "a=1.2345", "a=-", "&=1", "max-age=5;Q=1", "a=\"\u{7f}\"",
    ])
    func `a targeted field that is no dictionary is left out`(line: String) {
        var directives = response("max-age=7")
        #expect(TargetedControl.add(Text(line), to: &directives) == nil)
        #expect(directives.maxAge == 7)
    }

    @Test func `truth values of a targeted field`() {
        var directives = ResponseDirectives()
        _ = TargetedControl.add("no-store, private=?0, public=?1, no-cache=?0", to: &directives)
        #expect(directives.flags == [.noStore, .isPublic])
        _ = TargetedControl.add("no-store=?0, private=\"x-a\", no-cache=7", to: &directives)
        #expect(directives.flags == [.isPublic, .privateFields])
    }
}
