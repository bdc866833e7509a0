import CLinux

/// A thread that runs one function to its end.
public struct PinnedThread: @unchecked Sendable {
    // Safe: a pthread_t is a number that any thread may use.
    private let handle: pthread_t

    /// Starts a thread.
    ///
    /// - Parameter name: up to 15 bytes, shown by tools.
    public static func start(
        name: String,
        _ body: @escaping @Sendable () -> Void
    ) -> PinnedThread {
        let box = Unmanaged.passRetained(Body(name: String(name.prefix(15)), run: body))
        var handle = pthread_t()
        let result = pthread_create(
            &handle,
            nil,
            { context in
                // Safe: `start` passed a retained box, taken once.
                guard let context else { return nil }
                let body = Unmanaged<Body>.fromOpaque(context).takeRetainedValue()
                // By itself, so that it has its name from the first.
                clinux_name_thread(pthread_self(), body.name)
                clinux_crash_stack()
                body.run()
                clinux_crash_free_stack()
                return nil
            },
            box.toOpaque()
        )
        precondition(result == 0, "pthread_create failed with \(result)")
        return PinnedThread(handle: handle)
    }

    /// Waits for its end.
    public func join() {
        pthread_join(handle, nil)
    }

    /// Nobody will wait for its end.
    public func abandon() {
        pthread_detach(handle)
    }

    private final class Body {
        let name: String
        let run: @Sendable () -> Void
        init(name: String, run: @escaping @Sendable () -> Void) {
            self.name = name
            self.run = run
        }
    }
}
