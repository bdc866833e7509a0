import CCache
package import SluiceSDK
import TinyUFO

// A hot swap: the next instance goes on with the same store.

extension CacheFilter {
    /// Makes the store unless another instance's was taken over: it is large.
    package func warm() throws(PluginError) { try makeStore() }

    func makeStore() throws(PluginError) {
        let lock = place.pointee.lock
        lock.lock()
        defer { lock.unlock() }
        guard place.pointee.store == nil else { return }
        place.pointee.store = try Store.make(
            memoryBytes: configuration.memoryBytes,
            workerCount: host.workerCount,
            rules: configuration.rules,
            seed: (cache_random(), cache_random())
        )
    }

    package func exportState(to sink: inout StateSink) throws(PluginError) {
        place.pointee.handOver?.take()?.release()
        try makeStore()
        guard let slot = HandOverSlot(store) else {
            throw PluginError("more than \(HandOverSlot.countMax) caches are handed over at once")
        }
        place.pointee.handOver = slot
        sink.write(value: slot.message)
    }

    package func importState(_ state: Bytes) throws(PluginError) {
        guard state.count == MemoryLayout<HandOverSlot.Message>.size,
            let message = state.load(HandOverSlot.Message.self, at: 0),
            message.magic == HandOverSlot.magic
        else { throw PluginError("no state of a cache") }
        guard message.process == cache_process() else {
            throw PluginError("the state of another process's cache, which is in its memory")
        }
        guard message.layout == Store.layout else {
            throw PluginError("the state of a version that lays memory out in another way")
        }
        guard let slot = message.slot else { throw PluginError("no state of a cache") }
        guard let other = slot.take() else { throw PluginError("the state was taken already") }
        guard other.pointee.memoryBytes == configuration.memoryBytes,
            other.pointee.workerCount == host.workerCount,
            other.pointee.rules == configuration.rules
        else {
            other.release()
            host.log(.info, "the cache begins empty: its memory or the rules for keys have changed")
            return
        }
        place.pointee.store?.release()
        place.pointee.store = other
    }
}
