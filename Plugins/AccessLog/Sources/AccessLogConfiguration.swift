import SluiceSDK

/// What the manifest says of a log.
struct AccessLogConfiguration {
    /// Bytes that wait for the output, of each worker.
    static let bufferRange = 65_536...67_108_864
    static let bufferStandard = 1_048_576
    /// Bytes of a line, without its line feed, with a syslog header.
    static let lineRange = 512...32_768
    static let lineStandard = 8_192
    /// 10 ms to 60 s.
    static let flushRange = 10_000_000...60_000_000_000
    static let flushStandard = 1_000_000_000
    /// Bytes after which a job is woken before `flush` is over: a batch.
    static let wakeBytesMax = Output.batchBytes
    private static let keys: [StaticString] = [
        "format", "fields", "template", "escape", "output", "buffer", "flush", "line_max", "when",
        "sample", "keep_errors", "redact_query", "sensitive",
    ]

    let format: LineFormat
    let conditions: Conditions
    let destination: Destination
    let syslog: SyslogHeader?
    /// A power of two.
    let bufferBytes: Int
    let lineBytes: Int
    let flushNanoseconds: UInt64
    let wakeBytes: Int

    /// - Throws: what is wrong with a key.
    init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        try configuration.allowKeys(AccessLogConfiguration.keys)
        conditions = try Conditions(configuration, host)
        format = try FormatReader.read(configuration, host, needsTarget: conditions.needsTarget)
        let reader = try DestinationReader(configuration, host)
        destination = reader.destination
        syslog = reader.syslog
        let buffer =
            try AccessLogConfiguration.size(configuration, "buffer", Self.bufferRange)
            ?? Self.bufferStandard
        var power = Self.bufferRange.lowerBound
        while power < buffer { power *= 2 }
        bufferBytes = power
        lineBytes =
            try AccessLogConfiguration.size(configuration, "line_max", Self.lineRange)
            ?? Self.lineStandard
        if let value = try configuration.member("flush") {
            let nanoseconds = try value.nanoseconds()
            guard Self.flushRange.contains(nanoseconds) else {
                throw value.error("10ms to 60s is wanted")
            }
            flushNanoseconds = UInt64(nanoseconds)
        } else {
            flushNanoseconds = UInt64(Self.flushStandard)
        }
        wakeBytes = min(Self.wakeBytesMax, bufferBytes / 4)
        if let syslog, syslog.byteCount + format.reserve + 64 > lineBytes {
            throw PluginError(
                path: "line_max",
                "\(lineBytes) bytes leave no room behind a header of \(syslog.byteCount)"
            )
        }
    }

    private static func size(
        _ configuration: ConfigurationValue,
        _ key: StaticString,
        _ range: ClosedRange<Int>
    ) throws(PluginError) -> Int? {
        guard let value = try configuration.member(key) else { return nil }
        let size = try value.byteCount()
        guard range.contains(size) else {
            throw value.error(
                "\(size) bytes; \(range.lowerBound) to \(range.upperBound) are wanted"
            )
        }
        return size
    }
}
