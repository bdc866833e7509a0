import CSluice
import PluginHost
import Sys

/// What becomes of a request whose route has a cache, from its lookup on: plain memory of the
/// request's arena.
struct CacheState {
    enum Step: UInt8 {
        /// Its lookup has not said how it goes on.
        case lookup
        /// With the origin; the cache is shown the response.
        case miss
        /// The origin's body is written to the cache, until `writer` is gone.
        case store
        /// Answered by the cache.
        case answer
        /// The cache has no more to do with it.
        case over
    }

    let cache: UnsafePointer<ChainCache>
    var step = Step.lookup
    /// `read` waits for bytes.
    var isWaiting = false
    /// There is a reader, or a writer, to be ended.
    var hasReader = false
    var hasWriter = false
    var reader: UnsafeMutableRawPointer?
    var writer: UnsafeMutableRawPointer?
    /// Of the last attempt: `SLUICE_ATTEMPT_*`.
    var result = UInt32(SLUICE_ATTEMPT_CONNECT)

    // The answer.

    var parts: UnsafePointer<sluice_cache_part>?
    var partCount = 0
    /// The part that is read, and how much of it has been.
    var part = 0
    var offset: UInt64 = 0
    /// Body bytes that are still to be sent; `UInt64.max` when not all lengths are known.
    var left: UInt64 = 0
    /// Read, and not sent: bytes of the plugin's, or part of a file.
    var bytes: UnsafePointer<UInt8>?
    var count = 0
    var file: Int32 = -1
    var fileOffset: UInt64 = 0
    /// A head in the worker's memory that goes out with the first bytes.
    var headCount = 0
    /// The stream to the client has been ended with its last bytes.
    var isEndSent = false

    /// What stands for the cache among a body's hooks; nil when nothing is stored.
    var stage: UnsafeMutablePointer<HookEntry>? {
        step == .store ? cache.pointee.stage : nil
    }

    /// The request takes a way of its own: the cache is not asked for an answer any more.
    mutating func giveUp() {
        if step == .lookup || step == .miss { step = .over }
    }

    /// Bytes have been sent, or given to the hooks of the body.
    mutating func took(_ taken: Int) {
        if file < 0 { bytes = bytes.map { $0 + taken } }
        fileOffset &+= UInt64(taken)
        count &-= taken
        if left != .max { left &-= UInt64(taken) }
    }
}
