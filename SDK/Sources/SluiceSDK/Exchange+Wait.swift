import CSluice

/// What the host knows a wait, a timer or a callout by; all zero for none.
struct HostToken: Equatable, Sendable, BitwiseCopyable {
    let slot: UInt32
    let generation: UInt32
    let sequence: UInt64

    init(_ token: sluice_token = sluice_token()) {
        slot = token.slot
        generation = token.generation
        sequence = token.sequence
    }

    var cToken: sluice_token {
        sluice_token(slot: slot, generation: generation, sequence: sequence)
    }
}

/// A wait of one request.
///
/// A plain value that may be kept anywhere and used on any thread: when the wait is over, whatever
/// the reason, it does nothing any more.
public struct Token: Equatable, Sendable, BitwiseCopyable {
    private let token: HostToken
    /// Address of the host's table that it came from, which outlives it; 0 of no wait.
    private let table: UInt

    init(_ token: sluice_token, of table: UnsafePointer<sluice_http>?) {
        self.token = HostToken(token)
        self.table = UInt(bitPattern: table)
    }

    /// The token of no wait, which is also what zeroed memory is.
    public static var none: Token { Token(sluice_token(), of: nil) }

    /// Whether this is the token of no wait.
    public var isNone: Bool { self == .none }

    /// Ends the wait: `resumed` is then called on the request's worker.
    ///
    /// Before the hook that began the wait has returned, it is kept until then.
    ///
    /// - Parameter payload: what `Exchange.resumePayload` says then.
    /// - Returns: whether this call ended it; false for every call but one.
    @discardableResult
    public func resume(payload: UInt64 = 0) -> Bool {
        guard let http = UnsafePointer<sluice_http>(bitPattern: table) else { return false }
        var token = token.cToken
        return http.pointee.resume(&token, payload) == SLUICE_OK
    }
}

/// Why `resumed` is called.
public enum ResumeReason: UInt32, Sendable {
    /// Somebody called `Token.resume`.
    case resumed = 1
    /// The time is over.
    case deadline = 2
    /// Somebody called `Waitset.wake`.
    case woken = 3
}

extension Exchange where Owner: ResumedHook, Owner: ~Copyable {
    /// Begins a wait. The hook must then return `Verdict.suspend`:
    ///
    ///     guard let token = try? exchange.suspend(nanoseconds: 200_000_000) else { return .next }
    ///     exchange.context.token = token
    ///     return .suspend
    ///
    /// - Parameter nanoseconds: how long at most; 0 for the host's bound (60 s unless the manifest
    ///   says otherwise), which is also what a longer time is cut to.
    /// - Throws: `unsupported` in a phase that cannot wait, or when the plugin does not offer
    ///   `resumed`; `invalid` when the request waits already; `outOfMemory` when too many wait.
    public func suspend(nanoseconds: UInt64 = 0) throws(ServiceError) -> Token {
        guard let http = services.pointee.http else { throw .unsupported }
        var token = sluice_token()
        try ServiceError.check(http.pointee.suspend(request, nanoseconds, &token))
        return Token(token, of: http)
    }

    /// Begins a wait that a wake-up of the key ends as well; see `Waitset`.
    ///
    /// - Parameters:
    ///   - key: not both words 0.
    ///   - ticket: taken before it was decided to wait.
    ///   - nanoseconds: as of `suspend`.
    /// - Throws: `again` when the key may have been woken since the ticket: look again.
    ///   Otherwise as `suspend`.
    public func wait(
        for key: SharedKey,
        _ ticket: WaitTicket,
        nanoseconds: UInt64 = 0
    ) throws(ServiceError) -> Token {
        guard let waitset = services.pointee.waitset else { throw .unsupported }
        var token = sluice_token()
        let handle = services.pointee.handle
        try ServiceError.check(
            waitset.pointee.wait(handle, request, key.key, ticket.number, nanoseconds, &token)
        )
        return Token(token, of: services.pointee.http)
    }

    /// Why `resumed` is called; nil in other hooks.
    public var resumeReason: ResumeReason? { ResumeReason(rawValue: args.pointee.resume_reason) }

    /// What the one who ended the wait gave.
    public var resumePayload: UInt64 { args.pointee.resume_payload }
}
