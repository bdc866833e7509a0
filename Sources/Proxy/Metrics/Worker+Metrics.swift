import CSluice
import HTTP
import PluginHost
import Reactor
import Sys

/// What a worker counts on the path of a request: a few plain words, and no clock but that of the
/// loop's turn.
extension Worker {
    /// A request is over: the whole response was written, or there will be none.
    @inline(__always)
    mutating func countEnd(_ exchange: UnsafeMutablePointer<Exchange>) {
        ownRow.add(WorkerWords.inFlight, .max)
        guard calls.worker.pointee.isCounting else { return }
        let time = nowNanoseconds &- exchange.pointee.begunAt
        let rest =
            exchange.pointee.outcome | exchange.pointee.context.facts.cache_status
            | exchange.pointee.context.flags
        // Most requests have a good answer and no body; one test tells them from the others.
        guard UInt64(rest) | exchange.pointee.requestBody.byteCount == 0,
            exchange.pointee.context.facts.status &- 200 < 100
        else {
            Self.countUnusual(exchange, time, times, sizes)
            return
        }
        let words = exchange.pointee.row + 2 &* RouteWords.stride
        words.observe(RouteWords.time, time, times)
        words.observe(RouteWords.bytesOut, exchange.pointee.context.facts.bytes_out, sizes)
    }

    /// The same of any request.
    @inline(never)
    private static func countUnusual(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ time: UInt64,
        _ times: Buckets,
        _ sizes: Buckets
    ) {
        let row = exchange.pointee.row
        guard exchange.pointee.context.flags == 0 else {
            // One that the host made itself, as to renew what a cache has, is no client's.
            row.add(RouteWords.background)
            return
        }
        let kind = RouteWords.statusClass(exchange.pointee.context.facts.status)
        let words = row + kind &* RouteWords.stride
        words.observe(RouteWords.time, time, times)
        words.observe(RouteWords.bytesOut, exchange.pointee.context.facts.bytes_out, sizes)
        // Those without a body are found by the difference when sizes are shown.
        let bytesIn = exchange.pointee.requestBody.byteCount
        if bytesIn != 0 { words.observe(RouteWords.bytesIn, bytesIn, sizes) }
        let outcome = Int(exchange.pointee.outcome)
        if outcome > 0, outcome < RouteWords.outcomeNames.count {
            row.add(RouteWords.outcomes &+ outcome)
        }
        let cache = Int(exchange.pointee.context.facts.cache_status)
        if cache > 0, cache < RouteWords.cacheNames.count { row.add(RouteWords.cache &+ cache) }
    }

    /// An attempt's request goes out.
    @inline(__always)
    func countSent(_ exchange: UnsafeMutablePointer<Exchange>) {
        guard calls.worker.pointee.isCounting else { return }
        let isReused = Int(exchange.pointee.context.facts.is_reused)
        tally(exchange, UpstreamWords.sentNew &+ isReused)
    }

    /// The head of an attempt's final response has come.
    @inline(__always)
    func countResponse(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ up: UnsafeMutablePointer<Upstream>,
        status: UInt16
    ) {
        guard calls.worker.pointee.isCounting, let upstream = exchange.pointee.upstream else {
            return
        }
        let row = upstream.pointee.meter.row(index)
        row.add(UpstreamWords.responses &+ statusClass(status))
        if up.pointee.sentAt != 0 {
            row.observe(UpstreamWords.firstByte, nowNanoseconds &- up.pointee.sentAt, times)
        }
    }

    @inline(__always)
    private func statusClass(_ status: UInt16) -> Int {
        // The usual one by a comparison.
        status &- 200 < 100 ? 2 : RouteWords.statusClass(UInt32(status))
    }

    /// Counts something of the request's upstream.
    @inline(__always)
    func tally(_ exchange: UnsafeMutablePointer<Exchange>, _ word: Int) {
        exchange.pointee.upstream?.pointee.meter.row(index).add(word)
    }

    /// Another attempt of the request follows.
    func countRetry(_ exchange: UnsafeMutablePointer<Exchange>, _ reason: RetryReason) {
        tally(exchange, UpstreamWords.retries &+ reason.rawValue)
    }

    /// A step on the way to a connection is done, and the next one begins.
    ///
    /// - Parameter histogram: of `UpstreamWords`.
    func countStep(
        _ up: UnsafeMutablePointer<Upstream>,
        _ upstream: UnsafeMutablePointer<UpstreamPlan>,
        _ histogram: Int
    ) {
        upstream.pointee.meter.row(index)
            .observe(histogram, nowNanoseconds &- up.pointee.sentAt, times)
        up.pointee.sentAt = nowNanoseconds
    }

    /// A client's connection was not taken.
    ///
    /// - Parameter reason: its place in `ListenerWords.refusedNames`.
    func countRefusal(_ listener: UnsafeMutablePointer<ListenerPlan>, _ reason: Int) {
        listener.pointee.meter.row(index).add(ListenerWords.refused &+ reason)
    }
}
