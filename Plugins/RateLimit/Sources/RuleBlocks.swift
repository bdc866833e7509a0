import RateLimiting
import SluiceSDK

/// The memory that an instance's rules count in, in common with the instance before it.
///
/// Where a block lies is a value of `sluice.shared`, which belongs to the instance's name: who
/// takes an instance's place finds it, and both count in the same words until the old one is gone.
/// So a swap neither loses a count nor counts one twice, and what is under way is taken back where
/// it was counted. Values also move to a process that takes this one's place, where the address is
/// none: the process is part of the value.
final class RuleBlocks {
    /// What two instances' rules must have in common to have the same block.
    struct Identity {
        let name: Bytes
        let algorithm: UInt64
        /// Nanoseconds.
        let window: UInt64
        let words: UInt64
        let table: UInt64
        /// Which store has been told of the counts; 0 for none.
        let store: UInt64
    }

    /// A value of the table.
    private struct Place: BitwiseCopyable, Equatable {
        let process: KeyHash
        let address: UInt64
    }

    private struct Owned {
        let key: SharedKey
        let place: Place
        let block: Block
    }

    private let host: Host
    private let values: SharedValues
    private var owned: [Owned] = []

    init(_ host: Host) throws(PluginError) {
        self.host = host
        // Far more than rules, so that none has to make room.
        values = try SharedValues(host, "org.sluice.rate-limit/blocks", capacity: 4_096)
    }

    /// The block of a rule: that of the instance before, or a new one.
    func block(_ identity: Identity) throws(PluginError) -> Block {
        let key = self.key(identity)
        let words = Int(identity.words)
        if let place = read(key), place.process == Machine.process,
            let block = Block(at: UInt(place.address), wordCount: words)
        {
            block.retain()
            owned.append(Owned(key: key, place: place, block: block))
            return block
        }
        guard let block = Block(wordCount: words) else {
            throw PluginError(
                "no memory for the \(words * 8) bytes of rule \(String(identity.name))"
            )
        }
        let place = Place(process: Machine.process, address: UInt64(block.address))
        owned.append(Owned(key: key, place: place, block: block))
        write(place, key)
        return block
    }

    deinit {
        for one in owned where one.block.release() {
            if read(one.key) == one.place { write(nil, one.key) }
        }
    }

    private func key(_ identity: Identity) -> SharedKey {
        withUnsafeTemporaryAllocation(of: UInt64.self, capacity: 5) { words in
            // Safe: there are five words.
            let start = words.baseAddress.unsafelyUnwrapped
            start.initialize(to: identity.algorithm)
            (start + 1).initialize(to: identity.window)
            (start + 2).initialize(to: identity.words)
            (start + 3).initialize(to: identity.table)
            (start + 4).initialize(to: identity.store)
            let bytes = UnsafeRawPointer(start).assumingMemoryBound(to: UInt8.self)
            let numbers = Bytes(bytes, count: 40)
            return values.key(of: host.memory.join([numbers, identity.name]))
        }
    }

    private func read(_ key: SharedKey) -> Place? {
        values.read(key) { bytes, _ in bytes.load(Place.self, at: 0) } ?? nil
    }

    private func write(_ place: Place?, _ key: SharedKey) {
        guard !host.isChecking else { return }
        guard let place else {
            _ = try? values.set(.empty, for: key, ttlNanoseconds: 0)
            return
        }
        withUnsafeBytes(of: place) { bytes in
            // Safe: the bytes are the value's, until the closure returns.
            let start = bytes.baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: UInt8.self)
            // Without it a swap begins anew: no reason not to serve.
            _ = try? values.set(
                Bytes(start, count: bytes.count),
                for: key,
                ttlNanoseconds: 0
            )
        }
    }
}
