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
        let box = Unmanaged.passRetained(Body(run: body))
        var handle = pthread_t()
        let result = pthread_create(
            &handle,
            nil,
            { context in
                // Safe: `start` passed a retained box, taken once.
                guard let context else { return nil }
                Unmanaged<Body>.fromOpaque(context).takeRetainedValue().run()
                return nil
            },
            box.toOpaque()
        )
        precondition(result == 0, "pthread_create failed with \(result)")
        clinux_name_thread(handle, String(name.prefix(15)))
        return PinnedThread(handle: handle)
    }

    /// Waits for its end.
    public func join() {
        pthread_join(handle, nil)
    }

    private final class Body {
        let run: @Sendable () -> Void
        init(run: @escaping @Sendable () -> Void) { self.run = run }
    }
}
