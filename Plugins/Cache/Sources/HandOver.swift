import CCache
import Synchronization
import TinyUFO

/// Where a store waits for the instance that goes on with it.
///
/// Places are never freed, so that an old hand-over can be looked at; each has the number of the
/// store that it is for.
struct HandOverSlot: BitwiseCopyable {
    private let address: UnsafeMutablePointer<UInt64>
    private let serial: UInt64

    /// Hand-overs of this library that may wait at a time: instances that are exchanged at once.
    static let countMax = 256

    private static let slots = makeSlots()

    private static func makeSlots() -> UInt {
        let memory = cache_zeroed(countMax * 16)
        return UInt(bitPattern: memory)
    }

    /// Puts a store down, with a reference of its own.
    ///
    /// - Returns: nil when all places are taken.
    init?(_ store: Store.Pointer) {
        guard let memory = UnsafeMutableRawPointer(bitPattern: Self.slots) else { return nil }
        // Safe: there are `countMax` places of two words, used as atomics alone.
        for index in 0..<Self.countMax {
            let place = memory + index * 16
            let word = place.assumingMemoryBound(to: Atomic<UInt64>.self)
            guard word.pointee.load(ordering: .acquiring) == 0 else { continue }
            serial = store.pointee.number
            address = place.assumingMemoryBound(to: UInt64.self)
            number.pointee.store(serial, ordering: .releasing)
            store.pointee.retain()
            word.pointee.store(UInt64(UInt(bitPattern: store)), ordering: .releasing)
            return
        }
        return nil
    }

    private init(_ address: UnsafeMutablePointer<UInt64>, _ serial: UInt64) {
        self.address = address
        self.serial = serial
    }

    private var store: UnsafeMutablePointer<Atomic<UInt64>> {
        UnsafeMutableRawPointer(address).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    private var number: UnsafeMutablePointer<Atomic<UInt64>> {
        UnsafeMutableRawPointer(address + 1).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    /// The store with its reference; nil when somebody took it before.
    func take() -> Store.Pointer? {
        guard number.pointee.load(ordering: .acquiring) == serial else { return nil }
        let word = store.pointee.exchange(0, ordering: .acquiringAndReleasing)
        return Store.Pointer(bitPattern: UInt(word))
    }

    // MARK: As bytes

    /// What an instance writes for the next one.
    ///
    /// Only who knows a secret of the process can make it, so that no address is followed which
    /// comes from somewhere else.
    struct Message: BitwiseCopyable {
        var magic = HandOverSlot.magic
        /// `Store.layout`.
        var layout = Store.layout
        /// `cache_process`.
        var process = cache_process()
        fileprivate var address: UInt64 = 0
        fileprivate var serial: UInt64 = 0
        fileprivate var seal: UInt64 = 0

        fileprivate init() {}

        fileprivate var expectedSeal: UInt64 {
            var copy = self
            copy.seal = 0
            let hash = KeyHash(low: cache_secret(0), high: cache_secret(8))
            return withUnsafeBytes(of: copy) { hash($0) }
        }

        /// Nil when it was not made by this process.
        var slot: HandOverSlot? {
            guard seal == expectedSeal,
                let address = UnsafeMutablePointer<UInt64>(bitPattern: UInt(address))
            else { return nil }
            return HandOverSlot(address, serial)
        }
    }

    /// The letters "SluiceCa".
    static let magic: UInt64 = 0x6143_6563_6975_6c53

    var message: Message {
        var message = Message()
        message.address = UInt64(UInt(bitPattern: address))
        message.serial = serial
        message.seal = message.expectedSeal
        return message
    }
}
