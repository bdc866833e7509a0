import CLinux

/// What happened to a descriptor; bits as the kernel gives them.
public struct Readiness: OptionSet, Sendable {
    public var rawValue: UInt32

    @inlinable
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    // EPOLLIN and its kin; `SysTests` compares them with the header's.

    @inlinable public static var readable: Readiness { Readiness(rawValue: 0x1) }
    @inlinable public static var writable: Readiness { Readiness(rawValue: 0x4) }
    /// The peer will send no more.
    @inlinable public static var readClosed: Readiness { Readiness(rawValue: 0x2000) }
    @inlinable public static var closed: Readiness { Readiness(rawValue: 0x10) }
    @inlinable public static var failed: Readiness { Readiness(rawValue: 0x8) }
}

/// An epoll instance with room for one batch of events.
public struct Epoll: ~Copyable {
    private let descriptor: FileDescriptor
    private let events: UnsafeMutablePointer<epoll_event>
    /// Events that one wait can bring.
    public static let batchMax = 512

    public init() throws(Errno) {
        descriptor = FileDescriptor(owning: Int32(try Errno.check(Int(clinux_epoll_create()))))
        events = .allocate(capacity: Self.batchMax)
    }

    deinit { events.deallocate() }

    /// Watches both directions of a connection, edge-triggered, until it is closed.
    ///
    /// - Parameter token: comes back with each event.
    public func add(connection fd: Int32, token: UInt64) throws(Errno) {
        _ = try Errno.check(Int(clinux_epoll_add_connection(descriptor.number, fd, token)))
    }

    /// Watches for input, level-triggered.
    ///
    /// - Parameter shared: other workers watch the same descriptor; one of them is woken.
    public func add(input fd: Int32, token: UInt64, shared: Bool) throws(Errno) {
        _ = try Errno.check(
            Int(clinux_epoll_add_input(descriptor.number, fd, token, shared ? 1 : 0))
        )
    }

    public func remove(_ fd: Int32) {
        _ = clinux_epoll_remove(descriptor.number, fd)
    }

    /// Waits up to `milliseconds` (-1: for ever) and returns the number of events, 0 to `batchMax`.
    public func wait(milliseconds: Int32) -> Int {
        let count = Int(
            clinux_epoll_wait(descriptor.number, events, Int32(Self.batchMax), milliseconds)
        )
        precondition(count >= 0, "epoll_wait failed with errno \(-count)")
        return count
    }

    /// The event at `index` of the last wait.
    @inline(__always)
    public func event(_ index: Int) -> (token: UInt64, readiness: Readiness) {
        (
            clinux_event_token(events, index),
            Readiness(rawValue: clinux_event_flags(events, index))
        )
    }
}

/// A descriptor that one thread makes readable for another.
public struct Wakeup: ~Copyable, Sendable {
    private let descriptor: FileDescriptor

    public init() throws(Errno) {
        descriptor = FileDescriptor(owning: Int32(try Errno.check(Int(clinux_eventfd()))))
    }

    public var number: Int32 { descriptor.number }

    public borrowing func signal() {
        _ = clinux_eventfd_add(descriptor.number)
    }

    public borrowing func clear() {
        _ = clinux_eventfd_take(descriptor.number)
    }
}
