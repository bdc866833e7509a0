/// Sees a request when its head is parsed and checked: before it is routed in a global chain, after
/// that in a route's.
public protocol RequestHeadersHook: Plugin, ~Copyable {
    /// Reads the head, asks for edits, answers, or waits.
    func requestHeaders(_ exchange: borrowing Exchange<Self>) -> Verdict
}

/// Sees each chunk of a request's body.
public protocol RequestBodyHook: Plugin, ~Copyable {
    /// Reads `exchange.chunk`, and says by `exchange.output` what goes on in its place.
    func requestBody(_ exchange: borrowing Exchange<Self>) -> Verdict
}

/// Sees each attempt's request before its head is written to the peer.
public protocol UpstreamRequestHook: Plugin, ~Copyable {
    /// Reads the head that is about to be sent, and asks for edits.
    func upstreamRequest(_ exchange: borrowing Exchange<Self>) -> Verdict
}

/// Sees what came of each attempt.
public protocol UpstreamResultHook: Plugin, ~Copyable {
    /// Reads `exchange.facts.attemptResult`. There are no edits.
    func upstreamResult(_ exchange: borrowing Exchange<Self>) -> Verdict
}

/// Sees the origin's head, before a cache would store it.
public protocol UpstreamResponseHook: Plugin, ~Copyable {
    /// Reads the head, and asks for edits.
    func upstreamResponse(_ exchange: borrowing Exchange<Self>) -> Verdict
}

/// Sees each chunk of the origin's body, before a cache would store it.
public protocol UpstreamBodyHook: Plugin, ~Copyable {
    /// Reads `exchange.chunk`, and says by `exchange.output` what goes on in its place.
    func upstreamBody(_ exchange: borrowing Exchange<Self>) -> Verdict
}

/// Sees a response before its head goes to the client, also one that the proxy made itself.
public protocol ResponseHeadersHook: Plugin, ~Copyable {
    /// Reads the response's head, and asks for edits.
    func responseHeaders(_ exchange: borrowing Exchange<Self>) -> Verdict
}

/// Sees each chunk of what the client gets.
public protocol ResponseBodyHook: Plugin, ~Copyable {
    /// Reads `exchange.chunk`, and says by `exchange.output` what goes on in its place.
    func responseBody(_ exchange: borrowing Exchange<Self>) -> Verdict
}

/// Sees an error that the host or a plugin made, before it is sent.
public protocol LocalReplyHook: Plugin, ~Copyable {
    /// Reads the reply's fields; edits apply to it.
    func localReply(_ exchange: borrowing Exchange<Self>) -> Verdict
}

/// Sees the end of each request exactly once, whatever its outcome.
public protocol RequestEndHook: Plugin, ~Copyable {
    /// Reads what is known of the request. There are no edits, and nothing to answer.
    func requestEnd(_ exchange: borrowing Exchange<Self>)
}

/// Goes on after a wait: what a plugin needs to return `Verdict.suspend` from any of its hooks.
public protocol ResumedHook: Plugin, ~Copyable {
    /// Says what becomes of the phase that waited, `exchange.phase`, with all that its hook has.
    ///
    /// Called exactly once for a wait, on the request's worker, unless the request is over before.
    /// `exchange.resumeReason` and `resumePayload` say why.
    func resumed(_ exchange: borrowing Exchange<Self>) -> Verdict
}

/// Writes to files that an operator may move away.
public protocol ReopenHook: Plugin, ~Copyable {
    /// Opens them again by their names, or has it done soon.
    ///
    /// On the control thread, while requests run: USR1, or `POST /v1/reopen_logs`.
    func reopenLogs()
}
