import CSluice
import Sys

/// The cache of a chain, compiled: made once, read by all workers, never freed.
public struct ChainCache {
    let table: UnsafePointer<sluice_cache>
    /// Stands for the role's calls where a hook's entry would: in crash records and faults.
    let entry: UnsafeMutablePointer<HookEntry>
    // `PluginInstance.check` has seen that they are there.
    let lookup: Lookup
    let admit: Response
    let failed: Response
    let write: Write
    let commit: End
    let abort: End
    let read: Read
    let close: End

    typealias Lookup =
        @convention(c) (
            UnsafeMutableRawPointer?, UnsafeMutableRawPointer?, OpaquePointer?,
            UnsafeMutableRawPointer?, UnsafeMutablePointer<sluice_cache_lookup>?
        ) -> UInt32
    typealias Response =
        @convention(c) (
            UnsafeMutableRawPointer?, UnsafeMutableRawPointer?, OpaquePointer?,
            UnsafeMutableRawPointer?, UnsafeMutablePointer<sluice_cache_response>?
        ) -> UInt32
    typealias Write =
        @convention(c) (
            UnsafeMutableRawPointer?, UnsafeMutableRawPointer?, UnsafeMutableRawPointer?,
            sluice_slice
        ) -> Int32
    typealias End =
        @convention(c) (
            UnsafeMutableRawPointer?, UnsafeMutableRawPointer?, UnsafeMutableRawPointer?
        ) -> Void
    typealias Read =
        @convention(c) (
            UnsafeMutableRawPointer?, UnsafeMutableRawPointer?, OpaquePointer?,
            UnsafeMutableRawPointer?, UnsafeMutablePointer<sluice_cache_chunk>?
        ) -> UInt32

    /// Place of the plugin in its chain.
    public var position: Int { Int(entry.pointee.position) }

    /// Stands for the cache among the hooks that a body goes through.
    public var stage: UnsafeMutablePointer<HookEntry> { entry }

    static func make(
        _ table: UnsafePointer<sluice_cache>,
        _ entry: HookEntry
    ) -> UnsafePointer<ChainCache>? {
        let functions = table.pointee
        guard let lookup = functions.lookup, let admit = functions.admit,
            let failed = functions.failed, let write = functions.write,
            let commit = functions.commit, let abort = functions.abort,
            let read = functions.read, let close = functions.close
        else { return nil }
        let place = UnsafeMutablePointer<HookEntry>.allocate(capacity: 1)
        place.initialize(to: entry)
        let cache = UnsafeMutablePointer<ChainCache>.allocate(capacity: 1)
        cache.initialize(
            to: ChainCache(
                table: table,
                entry: place,
                lookup: lookup,
                admit: admit,
                failed: failed,
                write: write,
                commit: commit,
                abort: abort,
                read: read,
                close: close
            )
        )
        return UnsafePointer(cache)
    }
}

/// What a cache is to forget.
public enum CachePurge: Sendable, Equatable {
    case url(String)
    case prefix(String)
    case tag(String)
    case all

    var kind: Int {
        switch self {
        case .url: SLUICE_CACHE_PURGE_URL
        case .prefix: SLUICE_CACHE_PURGE_PREFIX
        case .tag: SLUICE_CACHE_PURGE_TAG
        case .all: SLUICE_CACHE_PURGE_ALL
        }
    }

    var value: String {
        switch self {
        case .url(let value), .prefix(let value), .tag(let value): value
        case .all: ""
        }
    }
}

extension PluginInstance {
    /// Refuses a table of the cache's role that lacks a function.
    func checkCache(_ table: UnsafePointer<sluice_cache>) throws(PluginError) {
        let functions = table.pointee
        var missing: [String] = []
        if functions.lookup == nil { missing.append("lookup") }
        if functions.admit == nil { missing.append("admit") }
        if functions.failed == nil { missing.append("failed") }
        if functions.write == nil { missing.append("write") }
        if functions.commit == nil { missing.append("commit") }
        if functions.abort == nil { missing.append("abort") }
        if functions.read == nil { missing.append("read") }
        if functions.close == nil { missing.append("close") }
        guard missing.isEmpty else {
            let names = missing.joined(separator: ", ")
            throw PluginError("plugins.\(name): its \(SLUICE_CACHE_ID) has no \(names)")
        }
    }

    /// Has a cache forget what an order says. [control]
    ///
    /// - Parameter isSoft: what it hits stays, and counts as stale.
    /// - Returns: how many objects it hit.
    /// - Throws: when it is no cache or refuses, and when it does not return in time; what it was
    ///   given is never freed then.
    public func purge(_ order: CachePurge, isSoft: Bool) throws(PluginError) -> UInt64 {
        guard let table = cacheTable else {
            throw PluginError("plugin \(name) is no cache")
        }
        guard let function = table.pointee.purge else {
            throw PluginError("plugin \(name) is a cache that can't purge")
        }
        // Safe: the value is in memory that is never freed, as the call may never return.
        nonisolated(unsafe) let value = sluice_slice(permanent: order.value)
        nonisolated(unsafe) let call = function
        let done = try control.run("plugin \(name): purge") { [self] in
            var count: UInt64 = 0
            let done = Self.withErrorText { error in
                var purge = sluice_cache_purge()
                purge.size = UInt32(MemoryLayout<sluice_cache_purge>.size)
                purge.kind = UInt32(order.kind)
                purge.is_soft = isSoft ? 1 : 0
                purge.value = value
                let result = Breadcrumb.mark(.purge, of: label) { call(state, &purge, error) }
                count = purge.count
                return result
            }
            return (result: done.result, text: done.text, count: count)
        }
        guard done.result == SLUICE_OK else {
            let reason = done.text.isEmpty ? "result \(done.result)" : done.text
            throw PluginError("plugin \(name): purge: \(reason)")
        }
        return done.count
    }
}
