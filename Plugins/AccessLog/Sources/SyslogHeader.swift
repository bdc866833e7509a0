import SluiceSDK

/// What stands before a line that goes to syslog (RFC 5424 §6.2).
struct SyslogHeader: BitwiseCopyable {
    /// Bytes of HOSTNAME and APP-NAME (RFC 5424 §6).
    static let hostnameBytesMax = 255
    static let appNameBytesMax = 48

    /// "<190>1 ".
    private let begin: Bytes
    /// " host sluice 4711 access - ": MSGID is "access", and there is no structured data.
    private let end: Bytes

    /// - Parameter priority: facility times 8 plus severity (RFC 5424 §6.2.1).
    init(
        priority: Int,
        hostname: Bytes,
        appName: Bytes,
        processID: Int,
        _ memory: InstanceMemory
    ) {
        begin = memory.copy("<\(priority)>1 ")
        end = memory.join([
            " ", hostname, " ", appName, memory.copy(" \(processID) access - "),
        ])
    }

    /// Bytes that it takes of a line.
    var byteCount: Int { begin.count + end.count + Clock.isoCount + 7 }

    /// Writes it with the time of the line, down to microseconds (RFC 5424 §6.2.3).
    func write(_ clock: Clock, to line: inout LineWriter) {
        let seconds = Clock.isoCount - 6
        line.append(begin)
        line.append(clock.iso[0..<seconds])
        line.append(UInt8(ascii: "."))
        line.append(decimal: clock.now / 1_000 % 1_000_000, width: 6)
        line.append(clock.iso[seconds..<Clock.isoCount])
        line.append(end)
    }
}
