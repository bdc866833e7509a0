import CacheDisk
import Glibc
import Testing
import TinyUFOWorkloads

/// A process that stores and removes is killed at any moment, again and again.
@Suite(.serialized)
struct CrashTests {
    /// On a disk, as what counts is what the kernel has when the process is gone.
    private let folder = TestFolder(in: "/tmp")

    /// What may be found under a key: a version, or nothing; 0 is nothing.
    private struct Known {
        var versions: Set<Int> = [0]
        var pending: Int?
    }

    @Test func `every object is whole after a kill, and none of before comes back`() throws {
        var chance = Chance(seed: 20)
        var known = [Known](repeating: Known(), count: 80)
        var found = 0
        var ready = 0
        for round in 0..<240 {
            let child = try Program(["crash", folder.path, "\(round)"])
            // A third dies while it looks for what was there.
            let delay = chance.below(round % 3 == 0 ? 15_000 : 80_000)
            let ended = child.kill(after: UInt32(delay))
            try #require(ended.status & 0x7f == SIGKILL, "it ended by itself")
            let lines = ended.lines
            if lines.first == ["ready"] { ready += 1 }
            for line in lines where line.count == 3 { note(line, &known) }
            for number in known.indices {
                if let pending = known[number].pending { known[number].versions.insert(pending) }
                known[number].pending = nil
            }
            guard round % 3 != 0 else { continue }
            found += try check(&known)
        }
        #expect(ready > 80)
        #expect(found > 1_000)
    }

    private func note(_ line: [Substring], _ known: inout [Known]) {
        guard let number = Int(line[1]), let version = Int(line[2]) else { return }
        if line[0] == "b" {
            if let pending = known[number].pending { known[number].versions.insert(pending) }
            known[number].pending = version
        } else {
            // It may have been driven out since.
            known[number].versions = [0, version]
            known[number].pending = nil
        }
    }

    /// Opens the folder, and looks at all that is there.
    private func check(_ known: inout [Known]) throws -> Int {
        let store = try TestStore(folder.path, size: 4 << 20)
        #expect(store.state == .storing)
        #expect(store.statistics.damaged == 0 && store.statistics.foreign == 0)
        #expect(store.statistics.bytes <= 4 << 20)
        #expect(folder.newFiles == [])
        #expect(store.statistics.objects == folder.files.count)
        var found = 0
        for number in known.indices {
            guard let object = store.get("key \(number)") else {
                #expect(known[number].versions.contains(0))
                known[number].versions = [0]
                continue
            }
            found += 1
            let words = object.meta.split(separator: " ").compactMap { Int($0) }
            try #require(words.count == 3 && words[0] == number)
            #expect(known[number].versions.contains(words[1]), "an older version of \(number)")
            #expect(object.body == Self.body(number, words[1], words[2]))
            known[number].versions = [0, words[1]]
        }
        #expect(store.statistics.damaged == 0)
        #expect(store.statistics.verified == found)
        return found
    }

    /// As `CacheDiskBench crash` makes it.
    private static func body(_ number: Int, _ version: Int, _ count: Int) -> [UInt8] {
        var chance = Chance(seed: UInt64(number) << 32 | UInt64(version))
        return (0..<count).map { _ in UInt8(truncatingIfNeeded: chance.next()) }
    }
}
