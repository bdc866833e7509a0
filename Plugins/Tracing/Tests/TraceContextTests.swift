import SluiceSDK
import Testing

@testable import Tracing

/// `traceparent` by the cases of the working group's own tests of implementations, and B3.
struct TraceContextTests {
    static let trace = "12345678901234567890123456789012"
    static let span = "1234567890123456"

    @Test(arguments: [
        "00-\(trace)-\(span)-00", "00-\(trace)-\(span)-01",
        // A version above ours: what is known of it is read, with or without more behind.
        "01-\(trace)-\(span)-01", "cc-\(trace)-\(span)-01", "cc-\(trace)-\(span)-01-",
        "cc-\(trace)-\(span)-01-what-the-future-will-be-like", "fe-\(trace)-\(span)-01",
        "00-abcdefabcdefabcdefabcdefabcdefab-abcdefabcdefabcd-ff",
        "00-00000000000000000000000000000001-0000000000000001-00",
    ])
    func `a traceparent that is right is read`(text: String) throws {
        let context = try #require(TraceContext(traceparent: bytes(text)))
        let room = UnsafeMutablePointer<UInt8>.allocate(capacity: TraceContext.textBytes)
        defer { room.deallocate() }
        context.write(to: room)
        let written = String(Bytes(room, count: TraceContext.textBytes))
        // What is written is of version 00, with the flags that there are.
        #expect(written.dropFirst(2).prefix(51) == text.dropFirst(2).prefix(51))
        #expect(written.hasPrefix("00-"))
        let flags = UInt8(text.dropFirst(53).prefix(2), radix: 16) ?? 0
        #expect(context.flags == flags & 3)
        #expect(context.isSampled == (flags & 1 == 1))
    }

    @Test(arguments: [
        "", "00", "00-", trace,
        "00-\(trace)-\(span)-01.", "00-\(trace)-\(span)-01-",
        "00-\(trace)-\(span)-01-what-the-future-will-be-like",
        "cc-\(trace)-\(span)-01.what-the-future-will-not-be-like",
        "ff-\(trace)-\(span)-01", "ff-\(trace)-\(span)-01-what",
        ".0-\(trace)-\(span)-01", "0.-\(trace)-\(span)-01", "AA-\(trace)-\(span)-01",
        "000-\(trace)-\(span)-01", "0000-\(trace)-\(span)-01", "0-\(trace)-\(span)-01",
        "00-00000000000000000000000000000000-\(span)-01",
        "00-.2345678901234567890123456789012-\(span)-01",
        "00-1234567890123456789012345678901.-\(span)-01",
        "00-ABCDEFABCDEFABCDEFABCDEFABCDEFAB-\(span)-01",
        "00-123456789012345678901234567890123-\(span)-01",
        "00-1234567890123456789012345678901-\(span)-01",
        "00-\(trace)-0000000000000000-01", "00-\(trace)-.234567890123456-01",
        "00-\(trace)-123456789012345.-01", "00-\(trace)-12345678901234567-01",
        "00-\(trace)-123456789012345-01", "00-\(trace)-ABCDEFABCDEFABCD-01",
        "00-\(trace)-\(span)-.0", "00-\(trace)-\(span)-0.", "00-\(trace)-\(span)-0A",
        "00-\(trace)-\(span)-001", "00-\(trace)-\(span)-1", "00-\(trace)-\(span)-",
        "00-\(trace)-\(span)", "00_\(trace)-\(span)-01", "00-\(trace)_\(span)-01",
        "00-\(trace)-\(span)_01", " 00-\(trace)-\(span)-01", "00-\(trace)-\(span)-01 ",
    ])
    func `a traceparent that breaks a rule is none`(text: String) {
        #expect(TraceContext(traceparent: bytes(text)) == nil)
    }

    @Test func `every byte of a traceparent counts`() {
        let right = Array("00-\(Self.trace)-\(Self.span)-01".utf8)
        var wrong: [String] = []
        for offset in right.indices {
            for byte in UInt8.min...UInt8.max where byte != right[offset] {
                var text = right
                text[offset] = byte
                let isDigit = 0x30...0x39 ~= byte || 0x61...0x66 ~= byte
                let isDash = offset == 2 || offset == 35 || offset == 52
                let expected = isDigit && !isDash
                let isRead = text.withUnsafeBufferPointer { buffer in
                    let start = buffer.baseAddress.unsafelyUnwrapped
                    return TraceContext(traceparent: Bytes(start, count: buffer.count)) != nil
                }
                if isRead != expected { wrong.append("\(byte) at \(offset)") }
            }
        }
        #expect(wrong == [])
    }

    @Test func `all prefixes are refused`() {
        let right = "00-\(Self.trace)-\(Self.span)-01"
        for length in 0..<right.utf8.count {
            #expect(TraceContext(traceparent: bytes(String(right.prefix(length)))) == nil)
        }
    }

    @Test(arguments: [
        ("0", false), ("1", true), ("d", true),
        ("\(trace)-\(span)-0", false), ("\(trace)-\(span)-1", true),
        ("\(trace)-\(span)-d", true), ("\(trace)-\(span)-1-\(span)", true),
        ("\(trace)-\(span)", nil), ("\(span)-\(span)-1", true),
    ])
    func `B3 is read`(text: String, isSampled: Bool?) throws {
        let b3 = try #require(B3(bytes(text)))
        #expect(b3.isSampled == isSampled)
        #expect((b3.context != nil) == (text.utf8.count > 1))
        if let context = b3.context {
            #expect(context.spanID == 0x1234_5678_9012_3456)
            #expect(context.isSampled == (isSampled == true))
            #expect(context.traceHigh == (text.hasPrefix(Self.trace) ? 0x1234_5678_9012_3456 : 0))
        }
    }

    @Test(arguments: [
        "", "2", "01", "-", "\(trace)", "\(trace)-", "\(trace)-\(span)-", "\(trace)-\(span)-2",
        "\(trace)-\(span)-1-", "\(trace)-\(span)-1-12", "\(trace)-\(span)-1_\(span)",
        "\(trace)-0000000000000000-1", "00000000000000000000000000000000-\(span)-1",
        "1234567890123456789-\(span)-1", "\(trace)-\(span)-11", "\(trace)-\(span)-1-\(span)0",
        "ABCDEFABCDEFABCD-\(span)-1",
    ])
    func `B3 that breaks a rule is none`(text: String) {
        #expect(B3(bytes(text)) == nil)
    }
}
