import CCache
package import SluiceSDK
import Synchronization

// A hot swap: the next instance goes on with the same store.

extension CacheFilter {
    /// What is handed over: nothing of it is an object, so another process has no use for it.
    struct HandOver: BitwiseCopyable {
        var magic: UInt64
        /// `Store.layout`.
        var layout: UInt64
        /// `cache_process`.
        var process: UInt64
        /// Address of `Store.Ticket`.
        var ticket: UInt64
    }

    /// "SluiceCa"
    static let magic: UInt64 = 0x6143_6563_6975_6c53

    package func exportState(to sink: inout StateSink) throws(PluginError) {
        let ticket = store.pointee.ticket
        let (isTaken, _) = ticket.pointee.store.compareExchange(
            expected: 0,
            desired: UInt(bitPattern: store),
            ordering: .acquiringAndReleasing
        )
        // One that is there already has its reference.
        if isTaken { store.pointee.retain() }
        sink.write(
            value: HandOver(
                magic: Self.magic,
                layout: Store.layout,
                process: cache_process(),
                ticket: UInt64(UInt(bitPattern: ticket))
            )
        )
    }

    package func importState(_ state: Bytes) throws(PluginError) {
        guard state.count == MemoryLayout<HandOver>.size,
            let handOver = state.load(HandOver.self, at: 0), handOver.magic == Self.magic
        else { throw PluginError("no state of a cache") }
        guard handOver.process == cache_process() else {
            throw PluginError("the state of another process's cache, which is in its memory")
        }
        guard handOver.layout == Store.layout else {
            throw PluginError("the state of a version that lays memory out in another way")
        }
        // Safe: a ticket is never freed, and this process made it.
        guard let ticket = UnsafeMutablePointer<Store.Ticket>(bitPattern: UInt(handOver.ticket))
        else { throw PluginError("no state of a cache") }
        let address = ticket.pointee.store.exchange(0, ordering: .acquiringAndReleasing)
        guard let other = Store.Pointer(bitPattern: address) else {
            throw PluginError("the state was taken already")
        }
        guard other.pointee.memoryBytes == configuration.memoryBytes,
            other.pointee.workerCount == host.workerCount,
            other.pointee.rules == configuration.rules
        else {
            other.release()
            host.log(.info, "the cache begins empty: its memory or the rules for keys have changed")
            return
        }
        let own = store
        place.pointee = other
        own.release()
    }
}
