import SluiceSDK

/// What operators see of streams: how many, and what went in and came out, by coding.
struct StreamCounters: BitwiseCopyable {
    private struct Series: BitwiseCopyable {
        let streams: Counter
        let bytesIn: Counter
        let bytesOut: Counter
    }

    /// Encoders in the order of `Coding`, then decoders.
    private let series: List<Series>

    init(_ host: Host) throws(PluginError) {
        let labels: [Bytes] = ["coding", "operation"]
        let streams = try host.counters(
            "compression_streams_total",
            help: "Bodies, or parts of them, that were encoded or decoded.",
            labels: labels
        )
        let bytesIn = try host.counters(
            "compression_in_bytes_total",
            help: "Bytes that went into encoders and decoders.",
            labels: labels
        )
        let bytesOut = try host.counters(
            "compression_out_bytes_total",
            help: "Bytes that came out of encoders and decoders.",
            labels: labels
        )
        var series: [Series] = []
        for operation: Bytes in ["encode", "decode"] {
            for coding in Coding.allCases {
                series.append(
                    Series(
                        streams: try streams.counter(coding.name, operation),
                        bytesIn: try bytesIn.counter(coding.name, operation),
                        bytesOut: try bytesOut.counter(coding.name, operation)
                    )
                )
            }
        }
        self.series = host.memory.list(series)
    }

    /// Counts a stream that is given back.
    func count(_ stream: StreamPointer) {
        let coding = Int(stream.pointee.coding.rawValue)
        let series = series[stream.pointee.isDecoder ? Coding.count + coding : coding]
        series.streams.add()
        series.bytesIn.add(Int(clamping: stream.pointee.totalIn))
        series.bytesOut.add(Int(clamping: stream.pointee.totalOut))
    }
}
