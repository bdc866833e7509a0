import HTTP
import Testing

/// Field lines, numbers, dates and texts as they are written.
struct HeadWriterTests {
    private func written(
        room: Int,
        _ body: (UnsafeMutablePointer<UInt8>) -> Int
    ) -> String {
        let out = UnsafeMutablePointer<UInt8>.allocate(capacity: max(room, 1))
        defer { out.deallocate() }
        let count = body(out)
        precondition(count <= room, "\(count) bytes written where \(room) fit")
        return text(UnsafeBufferPointer(start: out, count: count))
    }

    private func copy(_ parsed: Parsed<RequestHead>) -> String {
        let start = Int(parsed.head.fieldsStart)
        let end = Int(parsed.head.fieldsEnd)
        return parsed.bytes.withUnsafeBufferPointer { bytes in
            parsed.spans.withUnsafeBufferPointer { spans in
                guard let base = bytes.baseAddress, let first = spans.baseAddress else { return "" }
                return written(room: end - start) {
                    HeadWriter.copyFields(base, first, count: spans.count, fieldsEnd: end, to: $0)
                }
            }
        }
    }

    /// Every choice of dropped fields among five.
    @Test
    func `kept lines are copied as they came, whichever are dropped`() {
        let lines = ["hOsT: a\r\n", "B:b\r\n", "C:\t c \t\r\n", "D:\r\n", "Ee: \u{E9}\r\n"]
        for choice in 0..<32 {
            var parsed = request("GET / HTTP/1.1\r\n\(lines.joined())\r\n")
            #expect(parsed.outcome == .complete)
            var kept = ""
            for (index, line) in lines.enumerated() {
                if choice & 1 << index != 0 {
                    parsed.spans[index].flags |= FieldSpan.dropped
                } else {
                    kept += line
                }
            }
            #expect(copy(parsed) == kept)
        }
    }

    @Test
    func `no fields are no bytes`() {
        let parsed = request("GET / HTTP/1.0\r\n\r\n")
        #expect(parsed.outcome == .complete)
        #expect(parsed.head.fieldsStart == parsed.head.fieldsEnd)
        #expect(copy(parsed).isEmpty)
    }

    @Test(arguments: [
        (UInt64(0), "0"), (9, "9"), (10, "10"), (99, "99"), (100, "100"), (12_345, "12345"),
        (UInt64(Int64.max), "9223372036854775807"), (.max, "18446744073709551615"),
    ])
    func `decimal numbers`(value: UInt64, digits: String) {
        let found = written(room: HeadWriter.decimalBytesMax) {
            HeadWriter.writeDecimal(value, to: $0)
        }
        #expect(found == digits)
    }

    @Test
    func `texts and bytes are copied`() {
        #expect(written(room: 5) { HeadWriter.copy("a\r\nbc", to: $0) } == "a\r\nbc")
        let bytes = latin1("xyz")
        let found = bytes.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.map { start in
                written(room: 2) { HeadWriter.copy(start, count: 2, to: $0) }
            }
        }
        #expect(found == "xy")
    }

    @Test(arguments: [
        (Int64(0), "Thu, 01 Jan 1970 00:00:00 GMT"),
        (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
        (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
        (978_307_199, "Sun, 31 Dec 2000 23:59:59 GMT"),
        (1_077_926_400, "Sat, 28 Feb 2004 00:00:00 GMT"),
        (1_078_012_800, "Sun, 29 Feb 2004 00:00:00 GMT"),
        (1_709_164_800, "Thu, 29 Feb 2024 00:00:00 GMT"),
        (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"),
        (1_740_700_800, "Fri, 28 Feb 2025 00:00:00 GMT"),
        (1_740_787_200, "Sat, 01 Mar 2025 00:00:00 GMT"),
        (2_147_483_648, "Tue, 19 Jan 2038 03:14:08 GMT"),
        (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
        (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        (-1, "Wed, 31 Dec 1969 23:59:59 GMT"),
        (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
        (.max, "Fri, 31 Dec 9999 23:59:59 GMT"),
        (-62_167_219_200, "Sat, 01 Jan 0000 00:00:00 GMT"),
        (.min, "Sat, 01 Jan 0000 00:00:00 GMT"),
    ])
    func `dates`(seconds: Int64, date: String) {
        #expect(self.date(seconds) == date)
        #expect(HeadWriter.date(secondsSinceEpoch: seconds) == date)
    }

    /// Counts the days of 400 years and more one by one.
    @Test
    func `days follow each other through leap years and centuries`() {
        let months = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ]
        let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
        var days = 0
        for year in 1970..<2405 {
            let isLeap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
            let lengths = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
            for (month, length) in zip(months, lengths) {
                for day in [1, length] {
                    let number = days + day - 1
                    let two = day < 10 ? "0\(day)" : "\(day)"
                    #expect(
                        date(Int64(number) * 86_400 + 45_296)
                            == "\(weekdays[number % 7]), \(two) \(month) \(year) 12:34:56 GMT"
                    )
                }
                days += length
            }
        }
    }

    @Test(arguments: [
        (UInt16(200), "OK"), (404, "Not Found"), (421, "Misdirected Request"),
        (502, "Bad Gateway"), (101, "Switching Protocols"), (304, "Not Modified"), (299, ""),
        (0, ""), (600, ""), (999, ""), (418, ""),
    ])
    func `reasons`(status: UInt16, reason: String) {
        #expect(HeadWriter.reason(of: status).description == reason)
    }

    @Test
    func `each error's status has a reason`() {
        for error in HeadError.allCases {
            #expect(!HeadWriter.reason(of: error.status).description.isEmpty)
        }
    }

    private func date(_ seconds: Int64) -> String {
        written(room: HeadWriter.dateBytes) {
            HeadWriter.writeDate(secondsSinceEpoch: seconds, to: $0)
        }
    }
}
