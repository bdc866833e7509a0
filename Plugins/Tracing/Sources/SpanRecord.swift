import SluiceSDK

/// One span that has ended: numbers, and behind them the texts, in a place of a fixed size.
///
/// Nothing in it points anywhere, so that it can be moved and handed to another process. All bytes
/// of a place are written before it is read: those that a span does not use are 0.
package struct SpanRecord: BitwiseCopyable {
    /// Bytes of a place: numbers and texts.
    package static let strideBytes = 2_048
    /// Bytes of the numbers.
    static let headBytes = 144

    /// What a span is of.
    package enum Kind: UInt8, BitwiseCopyable {
        /// The cache's look.
        case cache = 1
        /// The request of the client.
        case request = 2
        /// One attempt at a peer.
        case attempt = 3
        /// A call of a plugin's hook that took long.
        case hook = 4
    }

    /// Why a span is exported.
    package enum Cause: UInt8, BitwiseCopyable {
        case sampled = 0
        /// The trace is not recorded, but the request failed.
        case error = 1
        /// The trace is not recorded, but the request was slow.
        case slow = 2
    }

    /// Bits of `marks`.
    enum Mark {
        /// The parent is in another process.
        static let remoteParent: UInt8 = 1
        static let secure: UInt8 = 2
        static let reused: UInt8 = 4
        static let grpc: UInt8 = 8
        static let link: UInt8 = 16
    }

    package var traceHigh: UInt64 = 0
    package var traceLow: UInt64 = 0
    package var spanID: UInt64 = 0
    /// 0 for none.
    package var parentID: UInt64 = 0
    package var linkHigh: UInt64 = 0
    package var linkLow: UInt64 = 0
    package var linkSpan: UInt64 = 0
    /// Nanoseconds since 1970.
    package var start: UInt64 = 0
    package var end: UInt64 = 0
    /// Of the peer's response; 0 for none.
    package var firstByte: UInt64 = 0
    package var bytesIn: UInt64 = 0
    package var bytesOut: UInt64 = 0
    package var status: UInt16 = 0
    package var clientPort: UInt16 = 0
    /// Attempts of a request, the number of one, or the waits of a hook.
    package var attempt: UInt16 = 0
    package var tlsVersion: UInt16 = 0
    /// 10, 11 or 20.
    package var httpVersion: UInt8 = 0
    /// A `Kind`.
    package var kind: UInt8 = 0
    /// A `Cause`.
    package var cause: UInt8 = 0
    /// Of the request: a number of `SLUICE_OUTCOME_`.
    package var outcome: UInt8 = 0
    /// Of an attempt: an `AttemptEnd`; of a hook `cancelled` when it waited to the request's end.
    package var result: UInt8 = 0
    /// A number of `SLUICE_CACHE_STATUS_`.
    package var cacheStatus: UInt8 = 0
    package var traceFlags: UInt8 = 0
    package var linkFlags: UInt8 = 0
    package var marks: UInt8 = 0
    /// Of a hook: a number of `SLUICE_PHASE_`.
    package var phase: UInt8 = 0
    private var padding: (UInt8, UInt8) = (0, 0)
    /// Bytes of each text, and two more for the alignment.
    private var lengths: InlineArray<14, UInt16> = InlineArray(repeating: 0)

    package init() {}

    /// Of a hook: nanoseconds that it did not wait, which stand where a request has `bytesIn`.
    package var busy: UInt64 {
        get { bytesIn }
        set { bytesIn = newValue }
    }

    /// `SpanKind` of OTLP.
    var protocolKind: UInt64 {
        switch Kind(rawValue: kind) {
        case .request: 2
        case .attempt: 3
        default: 1
        }
    }

    func length(of text: SpanText) -> Int { Int(lengths[text.rawValue]) }

    mutating func setLength(_ length: Int, of text: SpanText) {
        lengths[text.rawValue] = UInt16(length)
    }

    /// Whether the texts lie within the place, and numbers are some that we write.
    var isSound: Bool {
        for text in SpanText.allCases where length(of: text) > text.bytesMax { return false }
        return Kind(rawValue: kind) != nil && Cause(rawValue: cause) != nil
            && AttemptEnd(rawValue: result) != nil
    }
}

/// How an attempt ended.
package enum AttemptEnd: UInt8, BitwiseCopyable {
    // The numbers of `SLUICE_ATTEMPT_`.
    case response = 0
    case connect = 1
    case timeout = 2
    case closed = 3
    case malformed = 4
    /// The client left, or another attempt had answered (`SLUICE_ATTEMPT_ABANDONED`).
    case cancelled = 5
    /// None yet.
    case open = 6
}

/// The place of a record.
package struct SpanPlace: BitwiseCopyable {
    let start: UnsafeMutableRawPointer

    /// - Parameter start: `SpanRecord.strideBytes` bytes, aligned to 8.
    package init(_ start: UnsafeMutableRawPointer) { self.start = start }

    /// The numbers.
    package var record: UnsafeMutablePointer<SpanRecord> {
        // Safe: a place begins with the numbers, and is never of another type.
        start.assumingMemoryBound(to: SpanRecord.self)
    }

    /// Bytes of the place that are in use.
    package var byteCount: Int {
        var count = SpanRecord.headBytes
        for text in SpanText.allCases { count += record.pointee.length(of: text) }
        return count
    }

    /// A text; empty when there is none.
    func text(_ wanted: SpanText) -> Bytes {
        var offset = SpanRecord.headBytes
        for index in 0..<wanted.rawValue {
            offset += record.pointee.length(of: SpanText(rawValue: index).unsafelyUnwrapped)
        }
        return Bytes(
            UnsafePointer((start + offset).assumingMemoryBound(to: UInt8.self)),
            count: record.pointee.length(of: wanted)
        )
    }
}

/// Writes a record's texts, in the order of `SpanText`.
package struct SpanWriter: ~Copyable {
    private let place: SpanPlace
    private var offset = SpanRecord.headBytes
    private var next = 0

    /// Begins a record with these numbers.
    package init(_ place: SpanPlace, _ record: SpanRecord) {
        self.place = place
        // Safe: a place has room for the numbers.
        place.record.initialize(to: record)
    }

    /// Writes a text; those that were left out are empty.
    mutating func put(_ text: SpanText, _ bytes: Bytes) {
        put(text) { $0.append(bytes) }
    }

    /// Writes a text piece by piece.
    mutating func put(_ text: SpanText, _ body: (inout TextCopier) -> Void) {
        precondition(text.rawValue >= next, "texts of a span out of their order")
        next = text.rawValue + 1
        // Safe: the bounds of all texts together fit behind the numbers.
        let room = (place.start + offset).assumingMemoryBound(to: UInt8.self)
        var copier = TextCopier(room, capacity: text.bytesMax)
        body(&copier)
        place.record.pointee.setLength(copier.count, of: text)
        offset += copier.count
    }
}

/// Spans that wait for their export: a ring of places that is made once.
package struct SpanQueue: ~Copyable {
    private let start: UnsafeMutableRawPointer
    /// Places.
    package let capacity: Int
    private var head = 0
    /// Spans in it.
    package private(set) var count = 0

    /// - Parameter capacity: 1 or more spans. Their memory is not touched before it is used.
    package init(capacity: Int) {
        precondition(MemoryLayout<SpanRecord>.size <= SpanRecord.headBytes, "numbers of a span")
        self.capacity = capacity
        start = .allocate(byteCount: capacity * SpanRecord.strideBytes, alignment: 16)
    }

    deinit { start.deallocate() }

    /// Places that are free.
    package var room: Int { capacity - count }

    /// The place of the span at an index, 0 for the oldest.
    package subscript(index: Int) -> SpanPlace {
        precondition(index >= 0 && index < count, "index outside of the queue")
        return place(index)
    }

    private func place(_ index: Int) -> SpanPlace {
        let place = head + index
        // Safe: the place is below the capacity.
        return SpanPlace(
            start + (place < capacity ? place : place - capacity) * SpanRecord.strideBytes
        )
    }

    /// A place for a new span, which the caller writes; there must be room.
    package mutating func add() -> SpanPlace {
        precondition(count < capacity, "no room for a span")
        count += 1
        return place(count - 1)
    }

    /// Forgets the oldest spans.
    package mutating func removeFirst(_ number: Int) {
        precondition(number >= 0 && number <= count, "more spans than there are")
        head = (head + number) % capacity
        count -= number
    }
}
