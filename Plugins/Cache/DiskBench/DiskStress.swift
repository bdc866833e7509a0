internal import CacheDisk
internal import Glibc
internal import Synchronization
internal import TinyUFOWorkloads

/// `CacheDiskBench stress FOLDER SIZE STEPS`: four threads on the same keys, of which two look for
/// objects as workers do.
enum DiskStress {
    static func run(_ arguments: [String]) throws {
        guard arguments.count == 3, let size = UInt64(arguments[1]), let steps = Int(arguments[2])
        else { return usage() }
        let objects = try Objects(arguments[0], size: size)
        let total = Counts()
        Threads.run(4) { thread in
            var chance = Chance(seed: UInt64(thread))
            var held: Entry?
            for step in 0..<steps {
                if thread < 2 {
                    read(objects, &chance, &held, total)
                } else {
                    write(objects, step, &chance, total)
                }
            }
        }
        while objects.store.workBlocking(filesMax: 100) {}
        print(objects.store.statistics)
        let faults = total.faults.load(ordering: .relaxed)
        print("read \(total.read.load(ordering: .relaxed))")
        print("faults \(faults)")
        exit(faults == 0 && total.read.load(ordering: .relaxed) > 100 ? 0 : 1)
    }

    private final class Counts: Sendable {
        let read = Atomic(0)
        let faults = Atomic(0)
    }

    private static func read(
        _ objects: Objects,
        _ chance: inout Chance,
        _ held: inout Entry?,
        _ counts: Counts
    ) {
        let number = chance.below(60)
        let finding = Objects.key(number).span.withUnsafeBytes {
            objects.store.find($0, hash: Objects.hash(number))
        }
        var entry: Entry?
        switch consume finding {
        case .absent: return
        case .open(let found): entry = consume found
        case .closed: entry = objects.open(number)
        }
        guard let entry else { return }
        check(entry, counts)
        // Some are held while others come and go.
        guard chance.below(4) == 0 else { return }
        if let old = held.take() { check(old, counts) }
        held = consume entry
    }

    private static func check(_ entry: borrowing Entry, _ counts: Counts) {
        counts.read.wrappingAdd(1, ordering: .relaxed)
        if !Objects.isWhole(entry) { counts.faults.wrappingAdd(1, ordering: .relaxed) }
    }

    private static func write(
        _ objects: Objects,
        _ step: Int,
        _ chance: inout Chance,
        _ counts: Counts
    ) {
        let number = chance.below(60)
        switch chance.below(200) {
        case 0: _ = try? objects.store.removeAllBlocking()
        case 1...10: _ = try? objects.store.removeBlocking(hash: Objects.hash(number))
        case 11...20: objects.store.forget(hash: Objects.hash(number))
        case 21...30: _ = objects.store.workBlocking(filesMax: 20)
        case 31:
            var sweep = DiskStore.Sweep()
            let unwanted = UInt8(ascii: "0") + UInt8(chance.below(10))
            while let isMore = try? objects.store.sweepBlocking(
                &sweep,
                objectsMax: 10,
                { key, _ in key.last == unwanted }
            ), isMore {}
        case 32...120:
            let count = chance.below(chance.below(5) == 0 ? 200_000 : 20_000)
            _ = objects.put(number, version: step, count: count)
        default:
            if let entry = objects.open(number) { check(entry, counts) }
        }
    }
}
