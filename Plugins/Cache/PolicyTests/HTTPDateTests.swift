import CachePolicy
import Testing

struct HTTPDateTests {
    /// 2026-01-01 00:00:00.
    private let now: Int64 = 1_767_225_600

    @Test(arguments: [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777),
        ("Sun Nov  6 08:49:37 1994", 784_111_777),
        ("Thu Nov 17 08:49:37 1994", 785_062_177),
        ("sun, 06 NOV 1994 08:49:37 gmt", 784_111_777),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Thu, 29 Feb 2024 12:00:00 GMT", 1_709_208_000),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799),
        ("Sat, 31 Dec 2016 23:59:60 GMT", 1_483_228_799),
        ("Wednesday, 01-Jan-76 00:00:00 GMT", 3_345_062_400),
        ("Thursday, 01-Jan-77 00:00:00 GMT", 220_924_800),
    ])
    func `reads each format`(text: String, seconds: Int64) {
        #expect(HTTPDate.parse(Text(text), now: now) == seconds)
    }

    @Test(arguments: [
        "", "0", "-1", "now", "Sun, 06 Nov 1994 08:49:37 UTC", 
        "Sun, 06 Nov 1994 08:49:37", "Sun, 6 Nov 1994 08:49:37 GMT", "06 Nov 1994 08:49:37 GMT",
        "Xxx, 06 Nov 1994 08:49:37 GMT", "Sun, 31 Nov 1994 08:49:37 GMT",
        "Wed, 29 Feb 2023 12:00:00 GMT", "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 23:60:00 GMT",
        "Sun, 06 Nov 1994 23:59:61 GMT", "Sun, 06 Abc 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT ", "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sunday, 6-Nov-94 08:49:37 GMT", "Sun Nov 6 08:49:37 1994", "Sun, 06 Nov -994 08:49:37 GMT",
        "784111777", "Sun, 06 Nov 1994 08.49.37 GMT",
    ])
    func `refuses everything else`(text: String) {
        #expect(HTTPDate.parse(Text(text), now: now) == nil)
    }

    @Test(
        arguments: [
            0, 1, 951_782_400, 951_868_799, 784_111_777, 1_709_208_000, 4_102_444_799,
            253_402_300_799,
        ] as [Int64]
    )
    func `reads what it writes`(seconds: Int64) {
        let room = UnsafeMutablePointer<UInt8>.allocate(capacity: HTTPDate.byteCount)
        defer { room.deallocate() }
        HTTPDate.write(seconds, to: room)
        #expect(HTTPDate.parse(Text(room, count: HTTPDate.byteCount), now: now) == seconds)
    }

    @Test func `writes the day of the week`() {
        let room = UnsafeMutablePointer<UInt8>.allocate(capacity: HTTPDate.byteCount)
        defer { room.deallocate() }
        HTTPDate.write(784_111_777, to: room)
        let text = Text(room, count: HTTPDate.byteCount)
        #expect(text.string == "Sun, 06 Nov 1994 08:49:37 GMT")
    }
}
