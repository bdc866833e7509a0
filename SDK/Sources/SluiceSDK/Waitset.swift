import CSluice

/// What says which wake-ups a request has seen; see `Waitset`.
public struct WaitTicket: Equatable, Sendable, BitwiseCopyable {
    @usableFromInline let number: UInt64
}

/// Requests that wait for a key, on whatever workers they are: a cache lock, a queue.
///
/// Take a ticket, look whether there is a reason to wait, then wait with the ticket: a wake-up in
/// between is not lost.
///
///     let ticket = waitset.ticket(key)
///     if isReady(key) { return .next }
///     _ = try exchange.wait(for: key, ticket)
///     return .suspend
///
/// Keys of different instances are different.
public struct Waitset: BitwiseCopyable {
    private let services: UnsafePointer<Services>?

    /// The keys of the plugin whose host this is.
    public init(_ host: Host) { services = host.services }

    /// Whether the host has one.
    public var isAvailable: Bool { services?.pointee.waitset != nil }

    /// A ticket for what comes now.
    ///
    /// Any thread.
    public func ticket(_ key: SharedKey) -> WaitTicket {
        guard let services, let waitset = services.pointee.waitset else {
            return WaitTicket(number: 0)
        }
        return WaitTicket(number: waitset.pointee.ticket(services.pointee.handle, key.key))
    }

    /// Wakes requests, those first that have waited longest.
    ///
    /// Any thread.
    ///
    /// - Parameters:
    ///   - key: what they wait for.
    ///   - count: how many at most; nil for all.
    ///   - payload: what `Exchange.resumePayload` says to each.
    /// - Returns: how many were woken.
    @discardableResult
    public func wake(_ key: SharedKey, count: Int? = nil, payload: UInt64 = 0) -> Int {
        guard let services, let waitset = services.pointee.waitset else { return 0 }
        let most = count.map { UInt32(clamping: $0) } ?? .max
        return Int(waitset.pointee.wake(services.pointee.handle, key.key, most, payload))
    }
}
