internal import CAccessLog
import SluiceSDK

/// The time of day as text, written once a second.
struct Clock: BitwiseCopyable {
    private static let months: StaticString = "JanFebMarAprMayJunJulAugSepOctNovDec"
    /// "22/Nov/2026:07:13:05 +0000".
    static let localCount = 26
    /// "2026-11-22T07:13:05+00:00".
    static let isoCount = 25
    /// Bytes that the texts take.
    static let roomCount = 64

    private let room: UnsafeMutablePointer<UInt8>
    /// Seconds since the epoch that the texts say.
    private var second = UInt64.max
    /// Nanoseconds since the epoch.
    private(set) var now: UInt64 = 0

    /// - Parameter room: `roomCount` bytes.
    init(room: UnsafeMutablePointer<UInt8>) { self.room = room }

    /// Looks at the clock; no system call.
    mutating func look() { set(accesslog_wall()) }

    /// Sets it, for tests.
    mutating func set(_ nanoseconds: UInt64) {
        now = nanoseconds
        let current = nanoseconds / 1_000_000_000
        if current != second { write(current) }
    }

    var local: Bytes { Bytes(UnsafePointer(room), count: Clock.localCount) }

    var iso: Bytes {
        Bytes(UnsafePointer(room + Clock.localCount), count: Clock.isoCount)
    }

    private mutating func write(_ current: UInt64) {
        second = current
        var time = accesslog_time()
        accesslog_local(current, &time)
        let east = time.offset_minutes >= 0
        let offset = abs(time.offset_minutes)
        let sign = east ? UInt8(ascii: "+") : UInt8(ascii: "-")
        var line = LineWriter(start: room, capacity: Clock.roomCount, reserve: 0)
        line.append(decimal: UInt64(time.day), width: 2)
        line.append(UInt8(ascii: "/"))
        line.append(Bytes(Clock.months)[Int(time.month - 1) * 3..<Int(time.month) * 3])
        line.append(UInt8(ascii: "/"))
        line.append(decimal: UInt64(time.year), width: 4)
        line.append(UInt8(ascii: ":"))
        append(time, to: &line)
        line.append(UInt8(ascii: " "))
        line.append(sign)
        line.append(decimal: UInt64(offset / 60), width: 2)
        line.append(decimal: UInt64(offset % 60), width: 2)
        line.append(decimal: UInt64(time.year), width: 4)
        line.append(UInt8(ascii: "-"))
        line.append(decimal: UInt64(time.month), width: 2)
        line.append(UInt8(ascii: "-"))
        line.append(decimal: UInt64(time.day), width: 2)
        line.append(UInt8(ascii: "T"))
        append(time, to: &line)
        line.append(sign)
        line.append(decimal: UInt64(offset / 60), width: 2)
        line.append(UInt8(ascii: ":"))
        line.append(decimal: UInt64(offset % 60), width: 2)
    }

    private func append(_ time: accesslog_time, to line: inout LineWriter) {
        line.append(decimal: UInt64(time.hour), width: 2)
        line.append(UInt8(ascii: ":"))
        line.append(decimal: UInt64(time.minute), width: 2)
        line.append(UInt8(ascii: ":"))
        line.append(decimal: UInt64(time.second), width: 2)
    }
}
