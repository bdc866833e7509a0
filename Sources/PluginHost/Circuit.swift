/// When the faults of a plugin take it out of requests.
public struct CircuitSettings: Sendable, Equatable {
    /// Faults in `window` that are borne; 0 bears all.
    public var faults: Int
    /// Milliseconds.
    public var window: UInt64
    /// Milliseconds for which it is left out, before one request tries it.
    public var retry: UInt64

    public init(faults: Int, window: UInt64, retry: UInt64) {
        self.faults = faults
        self.window = window
        self.retry = retry
    }

    /// For callers that have no manifest.
    public static let off = CircuitSettings(faults: 0, window: 10_000, retry: 30_000)
}

/// Whether the requests of one worker pass a plugin, by its faults.
///
/// More than `faults` of them in `window` make it suspect: only then requests are counted, so that
/// a plugin that works costs nothing. It opens when as many faults again have come and at least
/// every second request brought one: a few bad requests among many good ones do not take a plugin
/// away from all. After `retry` one request tries it, and decides.
public struct Circuit {
    private enum State: UInt8 {
        case closed
        case suspect
        case open
        case trial
    }

    /// What is worth telling.
    public enum Change: Sendable, Equatable {
        case opened
        case closed
    }

    private var state = State.closed
    /// Milliseconds: the window's begin; while open, when a request may try.
    private var since: UInt64 = 0
    private var faults = 0
    private var passes = 0
    /// The request that tries.
    private var trial: UnsafeRawPointer?

    public init() {}

    /// Whether requests have to ask (`admit`).
    public var isWatched: Bool { state != .closed }

    /// Whether it is out of requests.
    public var isOpen: Bool { state == .open || state == .trial }

    /// The plugin had a fault.
    ///
    /// - Parameter now: milliseconds.
    public mutating func fault(now: UInt64, _ settings: CircuitSettings) -> Change? {
        guard settings.faults > 0 else { return nil }
        switch state {
        case .closed:
            if now &- since > settings.window || faults == 0 { begin(.closed, now) }
            faults += 1
            if faults > settings.faults { begin(.suspect, now) }
        case .suspect:
            faults += 1
            guard faults >= settings.faults else { return nil }
            guard passes <= 2 * faults else {
                begin(.closed, now)
                return nil
            }
            begin(.open, now + settings.retry)
            return .opened
        case .open: break
        case .trial: begin(.open, now + settings.retry)
        }
        return nil
    }

    /// Whether a request passes the plugin.
    ///
    /// - Parameters:
    ///   - request: its address while it lives.
    ///   - now: milliseconds.
    public mutating func admit(
        _ request: UnsafeRawPointer,
        now: UInt64,
        _ settings: CircuitSettings
    ) -> Bool {
        switch state {
        case .closed: return true
        case .suspect:
            passes += 1
            if now &- since > settings.window { begin(.closed, now) }
            return true
        case .open, .trial:
            // A trial that does not end is no answer: another one may try.
            guard now >= since else { return false }
            begin(.trial, now + settings.retry)
            trial = request
            return true
        }
    }

    /// A request is over.
    public mutating func end(_ request: UnsafeRawPointer, now: UInt64) -> Change? {
        guard state == .trial, trial == request else { return nil }
        begin(.closed, now)
        return .closed
    }

    private mutating func begin(_ state: State, _ since: UInt64) {
        self = Circuit()
        self.state = state
        self.since = since
    }
}
