import CCache
package import SluiceSDK

// A hot swap: the next instance goes on with the same store.

extension CacheFilter {
    package func exportState(to sink: inout StateSink) throws(PluginError) {
        place.pointee.handOver?.take()?.release()
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
            other.pointee.rules == configuration.rules, hasDisk(of: other)
        else {
            other.release()
            host.log(
                .info,
                "the cache begins empty: its storage or the rules for keys have changed"
            )
            return
        }
        let own = store
        place.pointee.store = other
        own.release()
    }

    /// Whether a store has the disk that this instance is to have.
    private func hasDisk(of other: Store.Pointer) -> Bool {
        guard let own = configuration.diskTier else { return other.pointee.disk == nil }
        return other.pointee.disk?.pointee.isFor(own.settings, own.path) ?? false
    }
}
