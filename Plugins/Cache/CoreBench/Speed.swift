internal import TinyUFO
internal import TinyUFOWorkloads

/// `TinyUFOBench speed`: nanoseconds of a call, beside LRU under a lock.
///
/// LRU has it easier: it stores numbers as keys and no values, so it neither compares bytes nor
/// counts references nor allocates.
enum Speed {
    private static let objects = 10_000
    private static let calls = 1_000_000
    private static let rounds = 5

    /// What a thread asks for, one number after the other.
    private struct Job: Sendable {
        var name: String
        /// Numbers for each thread.
        var numbers: [[UInt64]]
        /// Objects that the cache has room for.
        var capacity: Int
        var gets: Bool
        var puts: Bool
    }

    private final class Subjects: Sendable {
        let tinyUFO: NumberCache
        let lru: LockedLRU

        init(_ job: Job, threads: Int) throws {
            var configuration = TinyUFO.Configuration(weightMax: job.capacity)
            configuration.workerCount = threads
            tinyUFO = try NumberCache(configuration)
            lru = LockedLRU(capacity: job.capacity)
            for number in 0..<UInt64(min(objects, job.capacity)) {
                tinyUFO.put(number)
                lru.put(number)
            }
        }

        @inline(__always)
        func work(_ job: Job, _ thread: Int, _ get: (UInt64) -> Bool, _ put: (UInt64) -> Void) {
            for number in job.numbers[thread] {
                if job.gets, get(number) { continue }
                if job.puts { put(number) }
            }
        }
    }

    static func run() throws {
        print("ns of a call and thread, the least of \(rounds) rounds of \(calls) calls")
        print("| what | threads | TinyUFO | LRU, lock | ratio |")
        print("|---|--:|--:|--:|--:|")
        for threads in [1, 2] {
            for job in jobs(threads: threads) {
                let (ours, lru) = try measure(job, threads: threads)
                let numbers = [Ratios.hundredths(ours), Ratios.hundredths(lru)]
                print(
                    "| \(job.name) | \(threads) | \(numbers.joined(separator: " | "))"
                        + " | \(Ratios.hundredths(ours / lru)) |"
                )
            }
        }
    }

    /// Zipf 1.03 over 10,000 objects, as the authors of TinyUFO measure.
    private static func jobs(threads: Int) -> [Job] {
        let distribution = Zipf(count: objects, exponent: 1.03)
        let popular = (0..<threads).map { thread in
            var chance = Chance(seed: UInt64(thread + 1))
            return (0..<calls).map { _ in UInt64(distribution.rank(&chance)) }
        }
        let fresh = (0..<threads).map { thread in
            (0..<calls).map { UInt64(thread + 1) << 32 | UInt64($0) }
        }
        return [
            Job(name: "get, hit", numbers: popular, capacity: objects, gets: true, puts: false),
            Job(name: "get, miss", numbers: fresh, capacity: objects, gets: true, puts: false),
            Job(
                name: "get, and put what is missed, room for 10 %",
                numbers: popular,
                capacity: objects / 10,
                gets: true,
                puts: true
            ),
            Job(
                name: "put of a new key that drives out another",
                numbers: fresh,
                capacity: objects,
                gets: false,
                puts: true
            ),
        ]
    }

    /// Both in turns, so that what else the machine does hits both.
    private static func measure(
        _ job: Job,
        threads: Int
    ) throws -> (tinyUFO: Double, lru: Double) {
        var least = (tinyUFO: Double.infinity, lru: Double.infinity)
        for _ in 0..<rounds {
            let subjects = try Subjects(job, threads: threads)
            least.tinyUFO = min(
                least.tinyUFO,
                time(threads) { thread in
                    subjects.work(
                        job,
                        thread,
                        { subjects.tinyUFO.get($0, worker: thread) },
                        { subjects.tinyUFO.put($0) }
                    )
                }
            )
            least.lru = min(
                least.lru,
                time(threads) { thread in
                    subjects.work(
                        job,
                        thread,
                        { subjects.lru.get($0) },
                        { subjects.lru.put($0) }
                    )
                }
            )
        }
        return least
    }

    private static func time(_ threads: Int, _ body: @escaping @Sendable (Int) -> Void) -> Double {
        let start = Threads.now()
        Threads.run(threads, body)
        return Double(Threads.now() - start) / Double(calls)
    }
}
