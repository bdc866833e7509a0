import SluiceSDK

/// What is known of one attempt at a peer.
package struct Attempt: BitwiseCopyable {
    /// Bytes of the peer's address that are kept.
    static let peerBytesMax = 64

    /// 0 when there is none.
    var spanID: UInt64
    /// By the monotonic clock.
    var start: UInt64
    var firstByte: UInt64
    /// 0 while it runs.
    var end: UInt64
    var status: UInt16
    var number: UInt16
    /// An `AttemptEnd`.
    var result: UInt8
    var isReused: Bool
    var peerBytes: UInt8
    private var padding: UInt8
    private var peer: InlineArray<64, UInt8>

    init(_ number: Int, spanID: UInt64, start: UInt64, peer text: Bytes) {
        self.spanID = spanID
        self.start = start
        firstByte = 0
        end = 0
        status = 0
        self.number = UInt16(truncatingIfNeeded: number)
        result = AttemptEnd.open.rawValue
        isReused = false
        padding = 0
        peer = InlineArray(repeating: 0)
        let count = min(text.count, Self.peerBytesMax)
        peerBytes = UInt8(count)
        for offset in 0..<count { peer[offset] = text[offset] }
    }

    /// Where the peer's address lies within an attempt.
    static let peerOffset = MemoryLayout<Attempt>.size - peerBytesMax
}

/// One request's part of a trace.
///
/// Zeroed memory is one that has not begun.
package struct RequestTrace: BitwiseCopyable {
    /// Attempts that get a span; those beyond have an id all the same.
    static let attemptsMax = 8

    enum Mark {
        static let begun: UInt8 = 1
        /// The parent's `tracestate` goes on.
        static let keepsState: UInt8 = 2
        static let link: UInt8 = 4
    }

    /// `traceparent;desc="` + a traceparent + `"`: where edits point to.
    var text: InlineArray<80, UInt8>
    var context: TraceContext
    var parentID: UInt64
    var link: TraceContext
    /// When the request's head had come, and when the last attempt that failed ended.
    var begun: UInt64
    var lastEnd: UInt64
    var marks: UInt8
    var attemptCount: UInt8
    var attempts: InlineArray<8, Attempt>

    /// Offset of the traceparent in `text`.
    static let parentOffset = 18
}

extension UnsafeMutablePointer where Pointee == RequestTrace {
    var hasBegun: Bool { pointee.marks & RequestTrace.Mark.begun != 0 }

    /// Memory of `text`, valid until the end of the request.
    private var text: UnsafeMutablePointer<UInt8> {
        // Safe: the text is the first member.
        UnsafeMutableRawPointer(self).assumingMemoryBound(to: UInt8.self)
    }

    /// Writes a traceparent with a span's id; valid until the next one is written.
    func traceparent(_ spanID: UInt64) -> Bytes {
        var context = pointee.context
        context.spanID = spanID
        let start = text + RequestTrace.parentOffset
        context.write(to: start)
        return Bytes(UnsafePointer(start), count: TraceContext.textBytes)
    }

    /// Writes the value of `Server-Timing` around the traceparent.
    func serverTiming() -> Bytes {
        let head: Bytes = "traceparent;desc=\""
        for offset in head.indices { text[offset] = head[offset] }
        let end = RequestTrace.parentOffset + TraceContext.textBytes
        text[end] = 0x22
        return Bytes(UnsafePointer(text), count: end + 1)
    }

    /// The attempt of a number, the latest one of it; nil when it has no place.
    func attempt(_ number: Int) -> Int? {
        for index in (0..<Int(pointee.attemptCount)).reversed()
        where Int(pointee.attempts[index].number) == number {
            return index
        }
        return nil
    }

    /// The peer's address of an attempt.
    func peer(_ index: Int) -> Bytes {
        precondition(index < RequestTrace.attemptsMax)
        let attempts =
            UnsafeMutableRawPointer(self)
            + (MemoryLayout<RequestTrace>.size
                - RequestTrace.attemptsMax * MemoryLayout<Attempt>.stride)
        // Safe: the attempts are the last member, and the address the last of each.
        let start = attempts + index * MemoryLayout<Attempt>.stride + Attempt.peerOffset
        return Bytes(
            start.assumingMemoryBound(to: UInt8.self),
            count: Int(pointee.attempts[index].peerBytes)
        )
    }
}
