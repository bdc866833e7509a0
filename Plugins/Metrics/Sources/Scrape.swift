import SluiceSDK

/// The text of one answer: written on a thread that may block, then sent by the request's worker.
///
/// The job and the request each hold a reference, so that either may end first.
package final class Scrape {
    /// Bytes of all metrics: more is a mistake in somebody's labels.
    static let bytesMax = 64 * 1_048_576

    private(set) var format: MetricsFormat
    private var start: UnsafeMutablePointer<UInt8>
    private var capacity = 262_144
    private var count = 0
    /// Whether all of it is there.
    private(set) var isWhole = false

    init(_ format: MetricsFormat) {
        self.format = format
        start = .allocate(capacity: capacity)
    }

    deinit { start.deallocate() }

    /// Writes all metrics; as text, where the host has nothing else.
    func fill(_ host: Host) {
        do throws(ServiceError) {
            try host.writeMetrics(format) { append($0) }
            isWhole = true
        } catch {
            guard error == .unsupported, format != .text else { return }
            format = .text
            fill(host)
        }
    }

    /// What was written, until the last reference is gone.
    var text: Bytes { Bytes(start, count: count) }

    /// Adds a piece; false when it would be too much.
    func append(_ piece: Bytes) -> Bool {
        guard count + piece.count <= Scrape.bytesMax else { return false }
        if count + piece.count > capacity { grow(to: count + piece.count) }
        // Safe: there is room for all of it.
        (start + count).update(from: piece.start, count: piece.count)
        count += piece.count
        return true
    }

    private func grow(to least: Int) {
        while capacity < least { capacity *= 2 }
        let larger = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
        // Safe: it is larger than what it takes the place of.
        larger.update(from: start, count: count)
        start.deallocate()
        start = larger
    }
}
