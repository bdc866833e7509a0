import CSluice
import Glibc

/// Handshakes of the process, one after the other.
///
/// Code that is linked into a test remembers one host, the last that said hello; from then until
/// its instance is made, no other host may say hello to it.
enum Handshakes {
    // Safe: a mutex of the C library, made once, which never moves.
    private nonisolated(unsafe) static let mutex: UnsafeMutablePointer<pthread_mutex_t> = {
        let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
        return mutex
    }()

    /// Functions that engines have yet to call, by the thread that opens the engine.
    ///
    /// Safe: read and written under the lock.
    private nonisolated(unsafe) static var pending: [pthread_t: sluice_plugin_hello_fn] = [:]

    static func begin() { pthread_mutex_lock(mutex) }

    static func end() { pthread_mutex_unlock(mutex) }

    /// What to give an engine that this thread is about to open in place of `hello`.
    ///
    /// An engine waits for its turn before it says hello, so the handshake begins in what it calls
    /// then; `finishOpening` ends it.
    static func open(_ hello: @escaping sluice_plugin_hello_fn) -> sluice_plugin_hello_fn {
        setPending(hello)
        return { Handshakes.greet($0, $1) }
    }

    /// To be called when the engine was opened, or was not.
    static func finishOpening() {
        if takePending() == nil { end() }
    }

    private static func greet(
        _ host: UnsafePointer<sluice_host_hello>?,
        _ answer: UnsafeMutablePointer<sluice_plugin_hello>?
    ) -> Int32 {
        guard let hello = takePending() else { return Int32(SLUICE_EINVAL) }
        begin()
        return hello(host, answer)
    }

    private static func setPending(_ hello: @escaping sluice_plugin_hello_fn) {
        let thread = pthread_self()
        locked { pending[thread] = hello }
    }

    private static func takePending() -> sluice_plugin_hello_fn? {
        let thread = pthread_self()
        return locked { pending.removeValue(forKey: thread) }
    }
}
