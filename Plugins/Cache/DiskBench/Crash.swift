internal import CacheDisk
internal import Glibc
internal import TinyUFOWorkloads

/// `CacheDiskBench crash FOLDER SEED`: stores, replaces and removes objects on two threads until it
/// is killed, for the tests.
///
/// What it is about to do and what it has done are lines of its output: "b NUMBER VERSION" and
/// "e NUMBER VERSION", with the version 0 for a removal. Each number belongs to one thread.
enum Crash {
    static func run(_ arguments: [String]) throws {
        guard arguments.count == 2, let seed = UInt64(arguments[1]) else { return usage() }
        let objects = try Objects(arguments[0], size: 4 << 20)
        while objects.store.workBlocking(filesMax: 1_000) {}
        say("ready")
        Threads.run(2) { thread in
            var chance = Chance(seed: seed &* 2 &+ UInt64(thread))
            while true { step(objects, thread, &chance) }
        }
    }

    /// At once, and not when there is a lot to say.
    private static func say(_ text: String) {
        let line = Array("\(text)\n".utf8)
        write(1, line, line.count)
    }

    private static func step(_ objects: Objects, _ thread: Int, _ chance: inout Chance) {
        let number = chance.below(40) * 2 + thread
        if chance.below(5) == 0 {
            say("b \(number) 0")
            guard (try? objects.store.removeBlocking(hash: Objects.hash(number))) != nil else {
                return
            }
            say("e \(number) 0")
        } else {
            let version = 1 + chance.below(1_000_000_000)
            let count = chance.below(chance.below(5) == 0 ? 300_000 : 20_000)
            say("b \(number) \(version)")
            guard objects.put(number, version: version, count: count) else { return }
            say("e \(number) \(version)")
        }
    }
}
