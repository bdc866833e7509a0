import Synchronization
public import Sys

/// Finds workers that do not come back from the code of a plugin.
///
/// It looks at their breadcrumbs from a thread of its own, so that the workers do nothing for it
/// but count the turns of their loops.
public enum Watchdog {
    /// Looks in the time after which a call counts as stuck.
    static let looks: UInt64 = 8
    /// Bounds of the time between two looks, in nanoseconds.
    private static let pauseMin: UInt64 = 10_000_000
    private static let pauseMax: UInt64 = 1_000_000_000

    private struct Watched: @unchecked Sendable {
        // Safe: there until `remove`, which waits for a look to end.
        let crumb: UnsafeMutablePointer<Breadcrumb>
        var detector: HangDetector
    }

    private static let workers = Mutex<[Watched]>([])

    /// Watches a worker from now on. [the worker]
    public static func add(_ crumb: UnsafeMutablePointer<Breadcrumb>) {
        let watched = Watched(crumb: crumb, detector: HangDetector())
        workers.withLock { $0.append(watched) }
    }

    /// The worker has ended. [the worker]
    public static func remove(_ crumb: UnsafeMutablePointer<Breadcrumb>) {
        let address = UInt(bitPattern: crumb)
        workers.withLock { $0.removeAll { UInt(bitPattern: $0.crumb) == address } }
    }

    /// Looks after the workers until the process ends.
    ///
    /// - Parameter hang: nanoseconds in one call after which a worker is stuck: the process is then
    ///   ended, with a record as of a crash.
    public static func run(hang: UInt64) -> Never {
        let pause = min(max(hang / looks, pauseMin), pauseMax)
        var last = Clock.kernelNanoseconds()
        while true {
            Process.sleep(milliseconds: UInt32(pause / 1_000_000))
            let now = Clock.kernelNanoseconds()
            // A machine that stood still says nothing of its workers: no look counts for more than
            // two pauses.
            let passed = min(now &- last, 2 * pause)
            last = now
            workers.withLock { workers in
                for index in workers.indices {
                    let crumb = UnsafePointer(workers[index].crumb)
                    let time = workers[index].detector.look(Breadcrumb.sample(crumb), passed)
                    if time >= hang { CrashRecord.endStuck(crumb, nanoseconds: time) }
                }
            }
        }
    }
}

/// How long a worker has been in the same call, as far as looks at it can tell.
struct HangDetector {
    private var last = Breadcrumb.Sample(turns: 0, call: 0)
    private var time: UInt64 = 0

    /// A look at the worker.
    ///
    /// - Parameter passed: nanoseconds since the last one.
    /// - Returns: nanoseconds for which it has been in one call.
    mutating func look(_ sample: Breadcrumb.Sample, _ passed: UInt64) -> UInt64 {
        // When the loop has not turned since, the same call for the same request is stuck, however
        // often it may have been made within the turn.
        time = sample.call != 0 && sample == last ? time + passed : 0
        last = sample
        return time
    }
}
