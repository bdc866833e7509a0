package import SluiceSDK
import Synchronization

/// Spans on their way to another instance, in a form that carries its version.
package enum SpanRest {
    /// "SLTRACE" and the version of the records' layout.
    static let magic: UInt64 = 0x4543_4152_544C_5301

    /// Writes the spans of a queue, each with its length before it.
    static func write(_ queue: borrowing SpanQueue, to sink: inout StateSink) {
        for index in 0..<queue.count {
            let place = queue[index]
            let length = place.byteCount
            sink.write(value: UInt64(length))
            // Safe: the place has so many bytes, all of them written.
            sink.write(Bytes(place.start.assumingMemoryBound(to: UInt8.self), count: length))
        }
    }

    /// The records, without what stands before them, when all are sound.
    ///
    /// - Throws: why they are not understood.
    static func records(_ rest: Bytes) throws(PluginError) -> (records: Bytes, count: Int) {
        guard rest.load(UInt64.self, at: 0) == magic else {
            throw PluginError("spans of another version")
        }
        let records = rest.dropFirst(8)
        var (offset, count) = (0, 0)
        while offset < records.count {
            guard let length = length(records, offset) else { throw PluginError("broken spans") }
            offset += 8 + length
            count += 1
        }
        return (records, count)
    }

    /// Bytes of the record at an offset; nil when it is none.
    private static func length(_ records: Bytes, _ offset: Int) -> Int? {
        guard let length = records.load(UInt64.self, at: offset),
            length >= UInt64(SpanRecord.headBytes), length <= UInt64(SpanRecord.strideBytes),
            offset + 8 + Int(length) <= records.count,
            let record = records.load(SpanRecord.self, at: offset + 8), record.isSound
        else { return nil }
        var sum = SpanRecord.headBytes
        for text in SpanText.allCases { sum += record.length(of: text) }
        return sum == Int(length) ? Int(length) : nil
    }

    /// Moves the record at an offset into a queue with room.
    ///
    /// - Returns: the offset of the next one.
    static func move(_ records: Bytes, at offset: Int, to queue: inout SpanQueue) -> Int {
        let length = Int(records.load(UInt64.self, at: offset) ?? 0)
        let place = queue.add()
        // Safe: the record was checked, and a place has room for all that may be in one.
        place.start.copyMemory(from: records.start + offset + 8, byteCount: length)
        return offset + 8 + length
    }
}

/// Spans that came from another instance, until workers have taken them.
///
/// Taken under a lock: when an instance has taken another's place, and then by a timer.
package final class SpanInbox: Sendable {
    private struct Contents: ~Copyable {
        var records: [UInt8] = []
        var offset = 0
        var count = 0
    }

    private let lock = Atomic<Bool>(false)
    private let count = Atomic<Int>(0)
    private let most: Int
    // Safe: used under the lock alone.
    private nonisolated(unsafe) var contents = Contents()

    /// - Parameter most: spans that it takes.
    package init(most: Int) { self.most = most }

    private func withLock<Result>(_ body: (inout Contents) -> Result) -> Result {
        // Held for as long as it takes to copy some spans.
        while lock.exchange(true, ordering: .acquiring) {
            while lock.load(ordering: .relaxed) {}
        }
        defer { lock.store(false, ordering: .releasing) }
        return body(&contents)
    }

    /// Spans in it.
    package var spanCount: Int { count.load(ordering: .relaxed) }

    /// Takes what `exportRest` wrote.
    ///
    /// - Returns: spans that it has no room for.
    /// - Throws: when it is not understood; then nothing was taken.
    package func add(_ rest: Bytes) throws(PluginError) -> Int {
        let (records, number) = try SpanRest.records(rest)
        return withLock { contents in
            guard contents.count + number <= most else { return number }
            contents.records.removeFirst(contents.offset)
            contents.offset = 0
            contents.records += UnsafeBufferPointer(start: records.start, count: records.count)
            contents.count += number
            count.store(contents.count, ordering: .relaxed)
            return 0
        }
    }

    /// Writes and forgets what no worker has taken.
    func write(to sink: inout StateSink) {
        guard spanCount > 0 else { return }
        // Workers have stopped: nobody else takes from it.
        let records = withLock { contents in
            defer { contents = Contents() }
            count.store(0, ordering: .relaxed)
            return Array(contents.records[contents.offset...])
        }
        records.withUnsafeBufferPointer { buffer in
            guard let start = buffer.baseAddress else { return }
            sink.write(Bytes(start, count: buffer.count))
        }
    }

    /// Moves as many as there is room for into a worker's queue.
    package func take(into queue: inout SpanQueue) {
        guard spanCount > 0 else { return }
        withLock { contents in
            contents.records.withUnsafeBufferPointer { buffer in
                guard let start = buffer.baseAddress else { return }
                let records = Bytes(start, count: buffer.count)
                while contents.count > 0, queue.room > 0 {
                    contents.offset = SpanRest.move(records, at: contents.offset, to: &queue)
                    contents.count -= 1
                }
            }
            if contents.count == 0 {
                contents.records = []
                contents.offset = 0
            }
            count.store(contents.count, ordering: .relaxed)
        }
    }
}
