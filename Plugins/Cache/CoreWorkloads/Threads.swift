internal import Glibc

/// Threads that begin together and are waited for.
public enum Threads {
    private final class Start {
        let body: (Int) -> Void
        let index: Int

        init(_ body: @escaping (Int) -> Void, _ index: Int) {
            self.body = body
            self.index = index
        }
    }

    /// Runs the body once on each of so many threads, and returns when all are done.
    ///
    /// - Parameter body: takes the thread's number, 0 up to the count.
    public static func run(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
        var threads = [pthread_t](repeating: 0, count: count)
        for index in 0..<count {
            let start = Unmanaged.passRetained(Start(body, index)).toOpaque()
            let error = pthread_create(
                &threads[index],
                nil,
                { start in
                    guard let start else { return nil }
                    // Safe: it is the object that was retained for this thread.
                    let own = Unmanaged<Start>.fromOpaque(start).takeRetainedValue()
                    own.body(own.index)
                    return nil
                },
                start
            )
            precondition(error == 0, "pthread_create: error \(error)")
        }
        for thread in threads { pthread_join(thread, nil) }
    }

    /// Nanoseconds of a clock that only goes on.
    public static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
