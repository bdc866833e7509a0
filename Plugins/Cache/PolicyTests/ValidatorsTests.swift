import CachePolicy
import Testing

struct ValidatorsTests {
    private let now: Int64 = 1_767_225_600
    private let nov6: Int64 = 784_111_777

    private func validators(_ tag: String = "", modified: Int64? = nil, date: Int64? = nil)
        -> Validators
    {
        var validators = Validators()
        validators.entityTag = Text(tag)
        validators.lastModified = modified
        validators.date = date
        return validators
    }

    @Test(arguments: [
        ("\"a\"", "\"a\"", true), ("\"a\"", "W/\"a\"", true), ("W/\"a\"", "\"a\"", true),
        ("\"a\"", "\"b\"", false), ("\"a\"", "\"b\", \"a\"", true), ("\"a\"", "*", true),
        ("\"a,b\"", "\"x\",\"a,b\"", true), ("\"a\"", "\"a", false), ("\"a\"", "a", false),
        ("\"A\"", "\"a\"", false), ("", "\"a\"", false), ("", "*", true), ("\"a\"", "", false),
        ("\"a\"", "w/\"a\"", true), ("\"a\"", "\"\"", false), ("\"\"", "\"\"", true),
    ])
    func `If-None-Match`(own: String, line: String, matches: Bool) {
        #expect(validators(own).isNoneMatched(by: Text(line)) == matches)
    }

    @Test func `If-Modified-Since`() {
        let line: Text = "Sun, 06 Nov 1994 08:49:37 GMT"
        #expect(validators(modified: nov6).isUnmodified(since: line, now: now))
        #expect(validators(modified: nov6 - 1).isUnmodified(since: line, now: now))
        #expect(!validators(modified: nov6 + 1).isUnmodified(since: line, now: now))
        #expect(!validators(modified: nov6).isUnmodified(since: "yesterday", now: now))
        #expect(!validators().isUnmodified(since: line, now: now))
        #expect(validators(date: nov6).isUnmodified(since: line, now: now))
        #expect(!validators(date: nov6 + 1).isUnmodified(since: line, now: now))
    }

    @Test(arguments: [
        ("\"a\"", "\"a\"", true), ("W/\"a\"", "W/\"a\"", false), ("\"a\"", "W/\"a\"", false),
        ("\"a\"", "\"b\"", false), ("\"a\"", "a", false), ("", "\"a\"", false),
    ])
    func `If-Range with a tag is strong`(own: String, line: String, permits: Bool) {
        #expect(validators(own).permitsRange(Text(line), now: now) == permits)
    }

    @Test func `If-Range with a date`() {
        let line: Text = "Sun, 06 Nov 1994 08:49:37 GMT"
        #expect(validators(modified: nov6, date: nov6 + 1).permitsRange(line, now: now))
        #expect(!validators(modified: nov6, date: nov6).permitsRange(line, now: now))
        #expect(!validators(modified: nov6 - 1, date: now).permitsRange(line, now: now))
        #expect(!validators(modified: nov6).permitsRange(line, now: now))
    }

    @Test func `what a 304 is about`() {
        let stored = validators("\"a\"", modified: 5)
        #expect(validators("\"a\"").selects(stored: stored))
        #expect(validators("W/\"a\"").selects(stored: stored))
        #expect(!validators("\"b\"").selects(stored: stored))
        #expect(validators().selects(stored: stored))
        #expect(validators(modified: 5).selects(stored: stored))
        #expect(!validators(modified: 6).selects(stored: stored))
    }
}

struct ByteRangesTests {
    private func parse(_ line: String, length: UInt64, most: Int = 4) -> String {
        let room = UnsafeMutablePointer<ByteRanges.Part>.allocate(capacity: max(most, 1))
        defer { room.deallocate() }
        switch ByteRanges.parse(Text(line), length: length, into: room, most: most) {
        case .whole: return "whole"
        case .unsatisfiable: return "416"
        case .parts(let count):
            return (0..<count).map { "\(room[$0].offset)+\(room[$0].length)" }
                .joined(separator: " ")
        }
    }

    @Test(arguments: [
        ("bytes=0-0", "0+1"), ("bytes=0-99", "0+100"), ("bytes=0-1000", "0+100"),
        ("bytes=99-", "99+1"), ("bytes=100-", "416"), ("bytes=-1", "99+1"), ("bytes=-100", "0+100"),
        ("bytes=-1000", "0+100"), ("bytes=-0", "416"), ("BYTES=1-2", "1+2"),
        ("bytes=0-1,4-5", "0+2 4+2"), ("bytes=4-5, 0-1", "4+2 0+2"), ("bytes=0-1,200-", "0+2"),
        ("bytes=200-,300-", "416"), ("bytes= 0-1 , 3-4", "0+2 3+2"),
        ("bytes=0-0,1-1,2-2,3-3", "0+1 1+1 2+1 3+1"), ("bytes=0-0,1-1,2-2,3-3,4-4", "whole"),
        ("bytes=0-50,50-99", "whole"), ("bytes=0-99,0-0", "whole"), ("bytes=", "whole"),
        ("bytes=,,", "whole"), ("bytes=5-4", "whole"), ("bytes=a-b", "whole"), ("bytes=-", "whole"),
        ("bytes=1", "whole"), ("bytes=--1", "whole"), ("bytes=0-1;x", "whole"), ("0-1", "whole"),
        ("lines=0-1", "whole"), ("bytes 0-1", "whole"), ("bytes=0 -1", "whole"),
        ("bytes=99999999999999999999-", "416"), ("bytes=0-99999999999999999999", "0+100"),
    ])
    func `ranges of 100 bytes`(line: String, parts: String) {
        #expect(parse(line, length: 100) == parts)
    }

    @Test func `nothing has no range`() {
        #expect(parse("bytes=0-", length: 0) == "416")
        #expect(parse("bytes=-5", length: 0) == "416")
    }
}

struct VarianceTests {
    @Test(arguments: [
        ("gzip, br", "br,gzip", true), ("gzip;q=0.5, br;q=1", "br, gzip", true),
        ("gzip", "x-gzip", true), ("gzip", "gzip, identity", true), ("gzip", "br", false),
        ("gzip;q=0", "", true), ("identity;q=0", "", false), ("GZIP", "gzip", true),
        ("*;q=0", "identity;q=0", true), ("gzip, *", "gzip", false),
    ])
    func `sets of codings`(left: String, right: String, areSame: Bool) {
        let codings = (Variance.codings(Text(left), 0), Variance.codings(Text(right), 0))
        #expect(codings.0 != nil && codings.1 != nil)
        #expect((codings.0 == codings.1) == areSame)
    }

    @Test(arguments: ["foo", "gzip, foo", "gzip;q=x", "gzip;q=2", "gzip;x=1", "gzip;q=0.1234"])
    func `codings that are not known`(line: String) {
        #expect(Variance.codings(Text(line), 0) == nil)
    }
}

struct CacheStatusTextTests {
    @Test func `what it writes`() {
        let room = UnsafeMutablePointer<UInt8>.allocate(capacity: 96)
        defer { room.deallocate() }
        var hit = CacheStatusText(room, capacity: 96, name: "Sluice")
        hit.addHit()
        hit.add(timeToLive: -12)
        #expect(hit.text.string == "Sluice; hit; ttl=-12")
        var miss = CacheStatusText(room, capacity: 96, name: "Sluice")
        miss.add(.uriMiss)
        miss.add(forwardStatus: 503)
        miss.addStored()
        miss.addCollapsed()
        miss.add(detail: "no-store")
        #expect(
            miss.text.string
                == "Sluice; fwd=uri-miss; fwd-status=503; stored; collapsed; detail=no-store"
        )
    }

    @Test func `leaves out what has no room`() {
        let room = UnsafeMutablePointer<UInt8>.allocate(capacity: 16)
        defer { room.deallocate() }
        var text = CacheStatusText(room, capacity: 16, name: "Sluice")
        text.add(timeToLive: 5)
        text.addHit()
        text.addStored()
        #expect(text.text.string == "Sluice; hit")
    }

    @Test(arguments: [0, 9, 10, -1, .max, .min] as [Int64])
    func `digits`(number: Int64) {
        let room = UnsafeMutablePointer<UInt8>.allocate(capacity: 20)
        defer { room.deallocate() }
        let count = Decimal.write(number, to: room)
        #expect(Text(room, count: count).string == "\(number)")
    }
}
