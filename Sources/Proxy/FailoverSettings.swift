/// When a request is tried again.
package struct RetrySettings: Sendable, Equatable {
    /// Attempts in all, the first one included: 1 to 16.
    package var attempts = 3
    /// Bytes of a request body kept to send them again: 0 to 1,048,576.
    package var replayBytes = 65_536
    package var on = RetryConditions.usual
    /// Milliseconds from an attempt's begin to its response's head; 0 is no bound but those of
    /// `UpstreamTimeouts`.
    package var tryTimeout = 0
    /// Milliseconds from the first attempt's begin to a response's head, waits in between included;
    /// 0 is no bound.
    package var timeout = 0
    package var budget = RetryBudget()

    package init() {}
}

/// What may be wrong with an attempt so that another one follows.
///
/// Plain bits: they are looked at on the way of a request.
package struct RetryConditions: Sendable, Equatable {
    package var events: Events
    /// Bit per status, beginning with that of 400.
    private var statuses: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    /// What is not a response.
    package struct Events: OptionSet, Sendable {
        package var rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }

        /// No connection, also for want of time.
        package static let connect = Events(rawValue: 1 << 0)
        /// The connection ended before a byte of the response.
        package static let reset = Events(rawValue: 1 << 1)
        /// The peer did nothing with the request, and said so (RFC 9113 §8.7).
        package static let refused = Events(rawValue: 1 << 2)
        /// The request went out, and no response's head came in time.
        package static let timeout = Events(rawValue: 1 << 3)
    }

    /// Those that cost no origin any work.
    package static let usual = RetryConditions(events: [.connect, .refused])

    /// Statuses that may be listed.
    package static let statusRange: ClosedRange<UInt16> = 400...599

    package init(events: Events) { self.events = events }

    /// - Parameter status: of `statusRange`.
    package mutating func add(status: UInt16) {
        let bit = Int(status - Self.statusRange.lowerBound)
        switch bit / 64 {
        case 0: statuses.0 |= 1 << UInt64(bit % 64)
        case 1: statuses.1 |= 1 << UInt64(bit % 64)
        case 2: statuses.2 |= 1 << UInt64(bit % 64)
        default: statuses.3 |= 1 << UInt64(bit % 64)
        }
    }

    package func contains(status: UInt16) -> Bool {
        guard Self.statusRange.contains(status) else { return false }
        let bit = Int(status - Self.statusRange.lowerBound)
        let word =
            switch bit / 64 {
            case 0: statuses.0
            case 1: statuses.1
            case 2: statuses.2
            default: statuses.3
            }
        return word & 1 << UInt64(bit % 64) != 0
    }

    package var hasStatuses: Bool { statuses.0 | statuses.1 | statuses.2 | statuses.3 != 0 }

    /// Whether a request may be tried again that a peer has got: its body has to be kept for that.
    package var includesSent: Bool {
        hasStatuses || events.contains(.reset) || events.contains(.timeout)
    }

    package static func == (a: Self, b: Self) -> Bool {
        a.events == b.events && a.statuses == b.statuses
    }
}

/// How many requests of an upstream may be in an attempt that was made because a peer that had the
/// request did not answer it, or not well.
///
/// What Envoy calls a retry budget, with its defaults. Attempts after a failed connect or a refused
/// stream do not count: nobody has worked for them.
package struct RetryBudget: Sendable, Equatable {
    /// Of the requests that are with the upstream: 0 to 100.
    package var percent = 20
    /// As many may be in any case.
    package var min = 3

    package init() {}

    /// Retries that may be under way at the same time.
    ///
    /// - Parameter active: requests that are with the upstream.
    @inline(__always)
    func most(active: Int) -> Int { Swift.max(min, active &* percent / 100) }
}

/// A second attempt beside one that takes long.
package struct HedgeSettings: Sendable, Equatable {
    /// Milliseconds after which another peer is asked as well; 0 is off.
    package var after = 0

    package init() {}
}

/// Bounds of what peers are given at the same time, over all workers; 0 is no bound.
///
/// Over one: the request waits where `pending` allows it, else 503.
package struct UpstreamLimits: Sendable, Equatable {
    /// Connections to all peers, those in the pool included.
    package var connections = 0
    /// Requests that are with the peers.
    package var inFlight = 0
    /// Requests that wait for one of the other limits.
    package var pending = 0
    /// Milliseconds that a request may wait.
    package var pendingTimeout = 1_000
    /// Seconds that a refused client is told to wait: `Retry-After` (RFC 9110 §10.2.3).
    package var retryAfterSeconds = 1
    package var perPeer = PeerLimits()

    package init() {}

    /// Whether anything is bounded.
    package var isUsed: Bool { connections > 0 || inFlight > 0 || perPeer != PeerLimits() }
}

/// The same of each peer.
package struct PeerLimits: Sendable, Equatable {
    package var connections = 0
    package var inFlight = 0

    package init() {}
}
