internal import Synchronization
internal import TinyUFO

/// Readers of keys that are always there, while others of the same places come and go.
///
/// Whatever is taken out of the index moves those behind it, and some of the keys get new values
/// all the time; a reader must find them at every moment.
public enum Movement {
    fileprivate static let keyCount = 100

    fileprivate struct Shared: ~Copyable, Sendable {
        let cache: TinyUFO
        let missed = Atomic<Int>(0)
        let isOver = Atomic<Bool>(false)
    }

    private final class Box: Sendable {
        let shared: Shared

        init(_ shared: consuming Shared) { self.shared = shared }
    }

    /// - Parameters:
    ///   - readers: threads; another one changes the index.
    ///   - steps: keys that each of them asks for.
    /// - Returns: how often a key was not found.
    public static func run(readers: Int, steps: Int) throws -> Int {
        var configuration = TinyUFO.Configuration(weightMax: 1_000)
        configuration.workerCount = readers
        let box = Box(Shared(cache: try TinyUFO(configuration)))
        // In turns, so that those which go are before those which stay.
        for number in 0..<keyCount {
            box.shared.put(number)
            box.shared.put(number + 1_000)
        }
        Threads.run(readers + 1) { thread in
            if thread == readers {
                box.shared.change()
            } else {
                box.shared.read(thread, steps: steps)
                if thread == 0 { box.shared.isOver.store(true, ordering: .relaxed) }
            }
        }
        return box.shared.missed.load(ordering: .relaxed)
    }

    /// All have one home, or the one next to it.
    fileprivate static func hash(_ number: Int) -> UInt64 { UInt64(number % 2) }
}

extension Movement.Shared {
    func put(_ number: Int) {
        withUnsafeBytes(of: number) { key in
            guard let value = ByteBlock(capacity: 8) else { return }
            value.append(key)
            _ = cache.put(value, key: key, hash: Movement.hash(number), weight: 1)
        }
    }

    /// Numbers of 1,000 and more go and come back; every fourth of the others is replaced.
    func change() {
        var chance = Chance(seed: 1)
        while !isOver.load(ordering: .relaxed) {
            let number = chance.below(Movement.keyCount)
            if number % 4 == 0 { put(number) }
            let other = 1_000 + chance.below(Movement.keyCount)
            withUnsafeBytes(of: other) { _ = cache.remove($0, hash: Movement.hash(other)) }
            put(1_000 + chance.below(Movement.keyCount))
        }
    }

    func read(_ worker: Int, steps: Int) {
        var chance = Chance(seed: UInt64(worker + 2))
        for _ in 0..<steps {
            let number = chance.below(Movement.keyCount)
            let isThere = withUnsafeBytes(of: number) { key in
                guard let pin = cache.get(key, hash: Movement.hash(number), worker: worker) else {
                    return false
                }
                return pin.bytes.elementsEqual(key)
            }
            if !isThere { missed.wrappingAdd(1, ordering: .relaxed) }
        }
    }
}
