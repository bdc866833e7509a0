import CLinux

/// Lets one thread wait until others have come so far.
public final class Latch: @unchecked Sendable {
    // Safe: a semaphore is made for use by many threads, and stays where it is until the end.
    private let semaphore: UnsafeMutablePointer<sem_t>

    public init() {
        semaphore = .allocate(capacity: 1)
        semaphore.initialize(to: sem_t())
        sem_init(semaphore, 0, 0)
    }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    /// Says that the calling thread has come so far. [any thread]
    public func arrive() { sem_post(semaphore) }

    /// Waits until `count` threads have; each is counted once.
    public func wait(for count: Int) {
        for _ in 0..<count {
            // Only a signal's handler interrupts it.
            while sem_wait(semaphore) != 0 {}
        }
    }
}
