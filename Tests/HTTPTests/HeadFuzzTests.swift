import HTTP
import Testing

/// A small generator that gives the same numbers for the same seed (SplitMix64).
private struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// Random changes to good messages: nothing traps, and what is accepted means the same when it is
/// written again.
struct HeadFuzzTests {
    static let seeds: [UInt64] = [1, 2, 3, 4]

    private let fragments = [
        "\r\n", "\n", "\r", " ", "\t", ":", ",", ";", "/", "?", "#", "%", "\u{0}", "\u{7F}",
        "\u{FF}",
        "chunked", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "Host: a\r\n",
        "Connection: close\r\n", "HTTP/1.0", "0\r\n", "\r\n ",
        "Connection: upgrade\r\nUpgrade: a\r\n",
        "http://", "*", "[::1]", "\r\n\r\n",
    ]

    private func mutated(_ bytes: [UInt8], _ random: inout Seeded) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            let place = Int.random(in: 0...bytes.count, using: &random)
            switch Int.random(in: 0..<6, using: &random) {
            case 0 where place < bytes.count:
                bytes[place] = UInt8.random(in: 0...255, using: &random)
            case 1 where place < bytes.count:
                bytes[place] ^= 1 << UInt8.random(in: 0...7, using: &random)
            case 2 where place < bytes.count: bytes.remove(at: place)
            case 3:
                let end = min(bytes.count, place + Int.random(in: 0...20, using: &random))
                let target = Int.random(in: 0...bytes.count, using: &random)
                bytes.insert(contentsOf: Array(bytes[place..<end]), at: target)
            case 4: bytes.removeSubrange(place..<min(bytes.count, place + 8))
            default:
                let fragment = fragments[Int.random(in: 0..<fragments.count, using: &random)]
                bytes.insert(contentsOf: latin1(fragment), at: place)
            }
        }
        return bytes
    }

    @Test(arguments: seeds)
    func `an accepted request is the same when it is written again`(seed: UInt64) {
        print("seed \(seed)")
        var random = Seeded(state: seed)
        var accepted = 0
        for round in 0..<5_000 {
            let original = HeadSplitTests.requests[round % HeadSplitTests.requests.count]
            let bytes = mutated(latin1(original), &random)
            let parsed = request(bytes)
            guard parsed.outcome == .complete else { continue }
            accepted += 1
            let head = parsed.head
            checkSpans(parsed.spans, from: head.fieldsStart, to: head.fieldsEnd, head.byteCount)
            let method = parsed.slice(head.methodStart, head.methodLength)
            let isWhole = head.method == .connect || head.flags.contains(.absoluteForm)
            let start = isWhole ? head.methodStart + head.methodLength + 1 : head.pathStart
            let target = parsed.slice(start, head.pathStart + head.targetLength - start)
            let fields = parsed.fields.map { "\($0.name): \($0.value)\r\n" }.joined()
            let again = request("\(method) \(target) HTTP/1.\(head.minorVersion)\r\n\(fields)\r\n")
            #expect(again.outcome == .complete)
            #expect(again.fields == parsed.fields)
            #expect(again.head.flags == head.flags)
            #expect(again.head.framing == head.framing)
            #expect(again.head.method == head.method)
            checkFraming(parsed)
        }
        #expect(accepted > 300)
    }

    @Test(arguments: seeds)
    func `an accepted response is the same when it is written again`(seed: UInt64) {
        print("seed \(seed)")
        var random = Seeded(state: seed)
        var accepted = 0
        for round in 0..<5_000 {
            let original = HeadSplitTests.responses[round % HeadSplitTests.responses.count]
            let parsed = response(mutated(latin1(original), &random))
            guard parsed.outcome == .complete else { continue }
            accepted += 1
            let head = parsed.head
            checkSpans(parsed.spans, from: head.fieldsStart, to: head.fieldsEnd, head.byteCount)
            let reason = parsed.slice(head.reasonStart, head.reasonLength)
            let fields = parsed.fields.map { "\($0.name): \($0.value)\r\n" }.joined()
            let again = response(
                "HTTP/1.\(head.minorVersion) \(head.status) \(reason)\r\n\(fields)\r\n"
            )
            #expect(again.outcome == .complete)
            #expect(again.fields == parsed.fields)
            #expect(again.head.flags == head.flags)
            #expect(again.head.framing == head.framing)
        }
        #expect(accepted > 300)
    }

    @Test(arguments: seeds)
    func `a chunked body means the same in any pieces`(seed: UInt64) {
        print("seed \(seed)")
        var random = Seeded(state: seed)
        let bodies = ChunkedDecoderTests.bodies.map { $0.0 }
        for round in 0..<5_000 {
            let bytes = mutated(latin1(bodies[round % bodies.count]), &random)
            let whole = decode(bytes)
            var cuts: [Int] = []
            for _ in 0..<Int.random(in: 0...5, using: &random) {
                cuts.append(Int.random(in: 0...bytes.count, using: &random))
            }
            let pieces = decode(bytes, cutAt: cuts.sorted())
            #expect(pieces == whole)
            #expect(whole.data.count <= bytes.count)
        }
    }

    @Test(arguments: seeds)
    func `random bytes never trap`(seed: UInt64) {
        print("seed \(seed)")
        var random = Seeded(state: seed)
        for _ in 0..<5_000 {
            let count = Int.random(in: 0...120, using: &random)
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
            let lines = latin1("GET / HTTP/1.1\r\nHost: ") + bytes
            #expect(request(bytes).outcome != .complete)
            _ = request(lines)
            _ = response(latin1("HTTP/1.1 200 ") + bytes)
            _ = trailers(bytes)
            _ = decode(bytes)
        }
    }

    /// Lines are contiguous, and names and values lie within theirs.
    private func checkSpans(
        _ spans: [FieldSpan],
        from start: UInt16,
        to end: UInt16,
        _ byteCount: UInt16
    ) {
        #expect(byteCount == end + 2)
        for (index, span) in spans.enumerated() {
            let lineStart = index == 0 ? start : spans[index].nameStart
            let lineEnd = index + 1 < spans.count ? spans[index + 1].nameStart : end
            #expect(span.nameStart == lineStart)
            #expect(span.nameLength > 0)
            #expect(span.valueStart > span.nameStart + span.nameLength)
            #expect(span.valueStart + span.valueLength + 2 <= lineEnd)
        }
    }

    /// What smuggling needs: two answers to where the body ends.
    private func checkFraming(_ parsed: Parsed<RequestHead>) {
        let lengths = parsed.fields.filter { $0.id == .contentLength }
        let codings = parsed.fields.filter { $0.id == .transferEncoding }
        #expect(lengths.count + codings.count <= 1)
        #expect(lengths.allSatisfy { !$0.isDropped })
        #expect(codings.allSatisfy { $0.isDropped && $0.value.lowercased() == "chunked" })
        #expect(parsed.fields.filter { $0.id == .host }.count <= 1)
        if case .length(let length) = parsed.head.framing {
            #expect(lengths.map { Int64($0.value) } == [length])
        }
    }
}
