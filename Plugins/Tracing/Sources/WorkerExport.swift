import CTracing
import SluiceSDK

/// What one worker has to send: the spans, and the batch of the oldest of them that is under way.
///
/// It belongs to the instance, because it outlives the worker: what is left moves to the instance
/// that comes after.
struct WorkerExport: ~Copyable {
    /// The worker.
    let index: Int
    var queue: SpanQueue
    /// What the wall clock is ahead of the monotonic one, in nanoseconds.
    var wallOffset = tracing_wall_offset()
    /// The batch as it is sent: `ExportSettings.bodyBytesMax` of room, made when needed first.
    private var body: UnsafeMutablePointer<UInt8>?
    private(set) var bodyBytes = 0
    /// Spans of the batch, the oldest of the queue; 0 when there is none.
    private(set) var batch = 0
    var schedule = RetrySchedule()
    /// Whether the collector was asked, and has not answered.
    var isSending = false
    /// The number of the last request to it, and when it must have ended, by the monotonic clock.
    private(set) var request: UInt64 = 0
    private(set) var deadline: UInt64 = 0
    /// Whether work was posted that looks whether there is something to send.
    var isAsked = false
    /// The process ends.
    var isDraining = false
    /// The last export failed, and the log says so.
    var isDown = false

    init(_ index: Int, capacity: Int) {
        self.index = index
        queue = SpanQueue(capacity: capacity)
    }

    deinit { body?.deallocate() }

    /// The batch's bytes.
    var bytes: Bytes {
        guard let body else { return .empty }
        return Bytes(UnsafePointer(body), count: bodyBytes)
    }

    /// Writes a batch of the oldest spans, when there is none.
    mutating func makeBatch(_ settings: ExportSettings) {
        guard batch == 0, queue.count > 0 else { return }
        let room = body ?? .allocate(capacity: ExportSettings.bodyBytesMax)
        body = room
        var sink = ByteSink(room, capacity: ExportSettings.bodyBytesMax)
        batch = settings.encoder.encode(queue, most: settings.batchSize, to: &sink)
        precondition(batch > 0, "a span does not fit into a batch")
        bodyBytes = sink.count
    }

    /// The batch goes to the collector.
    ///
    /// - Parameter timeout: of the request, in nanoseconds.
    mutating func sent(now: UInt64, timeout: UInt64) {
        isSending = true
        deadline = now + timeout + Self.graceNanoseconds
    }

    /// A number for the next request.
    mutating func nextRequest() -> UInt64 {
        request += 1
        return request
    }

    /// Nanoseconds after its timeout in which the host must have said what came of a request.
    static let graceNanoseconds: UInt64 = 10_000_000_000

    /// Forgets the batch with its spans; how many they were.
    mutating func dropBatch() -> Int {
        let number = batch
        queue.removeFirst(number)
        batch = 0
        bodyBytes = 0
        return number
    }

    /// Forgets all; how many spans there were.
    mutating func removeAll() -> Int {
        let number = queue.count
        queue.removeFirst(number)
        batch = 0
        return number
    }

    func wall(_ monotonic: UInt64) -> UInt64 { monotonic &+ wallOffset }
}
