/// What a hook answers.
///
/// A verdict that its phase does not have counts as an error; `docs/phases.md` has the table.
public struct Verdict: RawRepresentable, Equatable, Sendable {
    /// The number, as in the C header.
    public let rawValue: UInt32

    /// Takes the number as it is.
    @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Goes on, with the edits that the hook asked for.
    @inlinable public static var next: Verdict { Verdict(rawValue: 0) }
    /// Answers with the reply; see `Exchange.respond`.
    @inlinable public static var respond: Verdict { Verdict(rawValue: 1) }
    /// Waits, after `Exchange.suspend` or `Exchange.wait` gave a token.
    @inlinable public static var suspend: Verdict { Verdict(rawValue: 2) }
    /// Keeps the response's head until the body hook lets it go by `Exchange.release`; in
    /// `responseHeaders` only.
    @inlinable public static var hold: Verdict { Verdict(rawValue: 3) }
    /// Goes on, and calls no further hook of this plugin for this request but `requestEnd`.
    @inlinable public static var detach: Verdict { Verdict(rawValue: 4) }
    /// Cuts the client's connection without an answer.
    @inlinable public static var reset: Verdict { Verdict(rawValue: 5) }
    /// Calls the body hook again, with the rest of the chunk, when there is room; see
    /// `Exchange.more`, which also says what the rest is.
    @inlinable public static var more: Verdict { Verdict(rawValue: 6) }
    /// Failed: none of the edits is applied, and the manifest's `on_error` decides.
    @inlinable public static var error: Verdict { Verdict(rawValue: 7) }
}
