import SluiceSDK
import Testing

@testable import Tracing

struct SpanQueueTests {
    private func add(_ number: UInt64, to queue: inout SpanQueue) {
        var record = SpanRecord()
        record.kind = SpanRecord.Kind.request.rawValue
        record.spanID = number
        var writer = SpanWriter(queue.add(), record)
        writer.put(.path, bytes("/\(number)"))
        writer.put(.peer, bytes("peer\(number)"))
    }

    @Test func `spans come out in their order, around the end of the ring`() {
        var queue = SpanQueue(capacity: 5)
        var next: UInt64 = 1
        var oldest: UInt64 = 1
        for round in 0..<50 {
            while queue.room > 0 {
                add(next, to: &queue)
                next += 1
            }
            #expect(queue.count == 5)
            for index in 0..<5 {
                #expect(queue[index].record.pointee.spanID == oldest + UInt64(index))
                #expect(String(queue[index].text(.path)) == "/\(oldest + UInt64(index))")
                #expect(String(queue[index].text(.peer)) == "peer\(oldest + UInt64(index))")
                #expect(queue[index].text(.query).isEmpty && queue[index].text(.state).isEmpty)
            }
            let gone = round % 6
            queue.removeFirst(gone)
            oldest += UInt64(gone)
            #expect(queue.count == 5 - gone)
        }
    }

    @Test func `the longest texts fit into a place`() {
        #expect(MemoryLayout<SpanRecord>.size == SpanRecord.headBytes)
        let most = SpanText.allCases.reduce(SpanRecord.headBytes) { $0 + $1.bytesMax }
        #expect(most <= SpanRecord.strideBytes)
        var queue = SpanQueue(capacity: 2)
        let long = bytes(String(repeating: "x", count: 5_000))
        for _ in 0..<2 {
            var record = SpanRecord()
            record.kind = SpanRecord.Kind.request.rawValue
            var writer = SpanWriter(queue.add(), record)
            for text in SpanText.allCases { writer.put(text, long) }
        }
        for index in 0..<2 {
            for text in SpanText.allCases {
                #expect(queue[index].text(text).count == text.bytesMax)
            }
            #expect(queue[index].byteCount == most)
        }
    }

    @Test func `an attempt's address lies where it is looked for`() {
        let trace = UnsafeMutablePointer<RequestTrace>.allocate(capacity: 1)
        defer { trace.deallocate() }
        UnsafeMutableRawPointer(trace).initializeMemory(
            as: UInt8.self,
            repeating: 0,
            count: MemoryLayout<RequestTrace>.size
        )
        #expect(MemoryLayout<RequestTrace>.size <= 4_096)
        for index in 0..<RequestTrace.attemptsMax {
            let peer = bytes("[2001:db8::\(index)]:65535" + String(repeating: "y", count: 90))
            trace.pointee.attempts[index] = Attempt(index, spanID: 1, start: 2, peer: peer)
            trace.pointee.attemptCount += 1
            #expect(trace.peer(index) == peer.prefix(Attempt.peerBytesMax))
            #expect(trace.attempt(index) == index)
        }
        #expect(trace.attempt(99) == nil)
    }

    @Test func `fields of a message are found`() {
        // 1: 300; 2: "ab"; 3: fixed32; 4: fixed64; 5: { 1: 7 }
        let message = bytes([
            0x08, 0xAC, 0x02, 0x12, 2, 0x61, 0x62, 0x1D, 1, 2, 3, 4, 0x21, 1, 2, 3, 4, 5, 6, 7, 8,
            0x2A, 2, 0x08, 7,
        ])
        #expect(Protobuf.field(1, of: message)?.number == 300)
        #expect(Protobuf.field(2, of: message)?.bytes == "ab")
        let inner = Protobuf.field(5, of: message)?.bytes
        #expect(inner.flatMap { Protobuf.field(1, of: $0)?.number } == 7)
        #expect(Protobuf.field(6, of: message) == nil)
        for length in 0..<message.count where length != 3 && length != 7 {
            // A broken message has no field behind the break.
            #expect(Protobuf.field(5, of: message.prefix(min(length, 21))) == nil)
        }
        #expect(Protobuf.field(1, of: bytes([0x0B])) == nil)
        #expect(Protobuf.field(1, of: bytes([UInt8](repeating: 0xFF, count: 12))) == nil)
    }
}
