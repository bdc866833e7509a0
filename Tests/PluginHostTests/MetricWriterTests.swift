import CSluice
import Testing

@testable import PluginHost

struct MetricWriterTests {
    private func text(_ format: MetricFormat, _ body: (MetricWriter) -> Void) -> String {
        Metrics.text { sink in
            let writer = MetricWriter(format, to: sink)
            body(writer)
            return writer.finish()
        }
    }

    private func write(_ writer: MetricWriter) {
        writer.family("a_seconds_total", .counter, "A \"b\" \\ c\nd.")
        writer.sample(1.5, [("x", "y")])
        writer.family("b_info", .info, "")
        writer.sample(1, [("v", "1")])
        writer.family("c_bytes", .gauge, "C.")
        writer.sample(-3)
        writer.sample(Double.infinity, [("k", "inf")])
        writer.sample(Double.nan, [("k", "nan")])
        writer.family("d_seconds", .histogram, "D.")
        writer.histogram([], bounds: [0.00025, 1], counts: [1, 0, 2], sum: 5)
        writer.histogram([("u", "v")], bounds: [0.00025, 1], counts: [0, 0, 0], sum: 0)
    }

    @Test func `format 0.0.4 names a counter with its suffix`() {
        #expect(
            text(.text, write) == """
                # HELP a_seconds_total A "b" \\\\ c\\nd.
                # TYPE a_seconds_total counter
                a_seconds_total{x="y"} 1.5
                # TYPE b_info gauge
                b_info{v="1"} 1
                # HELP c_bytes C.
                # TYPE c_bytes gauge
                c_bytes -3
                c_bytes{k="inf"} +Inf
                c_bytes{k="nan"} NaN
                # HELP d_seconds D.
                # TYPE d_seconds histogram
                d_seconds_bucket{le="0.00025"} 1
                d_seconds_bucket{le="1"} 1
                d_seconds_bucket{le="+Inf"} 3
                d_seconds_sum 5
                d_seconds_count 3
                d_seconds_bucket{u="v",le="0.00025"} 0
                d_seconds_bucket{u="v",le="1"} 0
                d_seconds_bucket{u="v",le="+Inf"} 0
                d_seconds_sum{u="v"} 0
                d_seconds_count{u="v"} 0

                """
        )
    }

    @Test func `OpenMetrics has units, its own names of families, and an end`() {
        #expect(
            text(.openMetrics, write) == """
                # HELP a_seconds A \\"b\\" \\\\ c\\nd.
                # TYPE a_seconds counter
                # UNIT a_seconds seconds
                a_seconds_total{x="y"} 1.5
                # TYPE b info
                b_info{v="1"} 1
                # HELP c_bytes C.
                # TYPE c_bytes gauge
                # UNIT c_bytes bytes
                c_bytes -3
                c_bytes{k="inf"} +Inf
                c_bytes{k="nan"} NaN
                # HELP d_seconds D.
                # TYPE d_seconds histogram
                # UNIT d_seconds seconds
                d_seconds_bucket{le="0.00025"} 1
                d_seconds_bucket{le="1.0"} 1
                d_seconds_bucket{le="+Inf"} 3
                d_seconds_sum 5.0
                d_seconds_count 3
                d_seconds_bucket{u="v",le="0.00025"} 0
                d_seconds_bucket{u="v",le="1.0"} 0
                d_seconds_bucket{u="v",le="+Inf"} 0
                d_seconds_sum{u="v"} 0.0
                d_seconds_count{u="v"} 0
                # EOF

                """
        )
    }

    @Test(arguments: [
        ("a\"b", "a\\\"b"), ("a\\b", "a\\\\b"), ("a\nb", "a\\nb"), ("\\n", "\\\\n"),
        ("a\0b", "a\u{FFFD}b"), ("\r\t\u{1B}\u{7F}", "\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}"),
        ("ü{}=,#", "ü{}=,#"), ("", ""),
    ])
    func `no byte of a value ends it`(value: String, shown: String) {
        for format in MetricFormat.allCases {
            let text = text(format) { writer in
                writer.family("a", .gauge, "")
                writer.sample(1, [("v", value)])
            }
            #expect(text.contains("a{v=\"\(shown)\"} 1\n"))
            #expect(text.split(separator: "\n").count == (format == .text ? 2 : 3))
        }
    }

    @Test func `a sink that refuses a piece gets no other`() {
        final class Calls {
            var count = 0
        }
        let calls = Calls()
        var sink = sluice_sink()
        sink.context = Unmanaged.passUnretained(calls).toOpaque()
        sink.write = { context, _ in
            guard let context else { return Int32(SLUICE_EINVAL) }
            Unmanaged<Calls>.fromOpaque(context).takeUnretainedValue().count += 1
            return Int32(SLUICE_EAGAIN)
        }
        let writer = MetricWriter(.text, to: sink)
        writer.family("a", .gauge, "")
        for value in 0..<100_000 { writer.sample(value) }
        #expect(writer.finish() == Int32(SLUICE_EAGAIN))
        #expect(calls.count == 1)
        #expect(Metrics.write(.text, to: sluice_sink()) == Int32(SLUICE_EINVAL))
    }

    @Test func `what a source wrote before is written by its successor`() {
        Metrics.setSource("test") { writer in
            writer.family("test_before", .gauge, "")
            writer.sample(1)
        }
        #expect(Metrics.text().contains("test_before 1\n"))
        Metrics.setSource("test") { writer in
            writer.family("test_after", .gauge, "")
            writer.sample(2)
        }
        #expect(!Metrics.text().contains("test_before"))
        #expect(Metrics.text(.openMetrics).contains("test_after 2\n"))
        #expect(Metrics.text(.openMetrics).hasSuffix("\n# EOF\n"))
        Metrics.setSource("test") { _ in }
    }
}
