/// A point in the life of a request at which hooks run.
public enum Phase: UInt32, Sendable, BitwiseCopyable {
    /// The request's head is parsed and checked.
    case requestHeaders = 0
    /// A chunk of the request's body.
    case requestBody = 2
    /// An attempt's head is about to be written to the peer.
    case upstreamRequest = 4
    /// An attempt has a response's head, or failed.
    case upstreamResult = 5
    /// The origin's head.
    case upstreamResponse = 6
    /// A chunk of the origin's body.
    case upstreamBody = 7
    /// The head that goes to the client.
    case responseHeaders = 8
    /// A chunk of what the client gets.
    case responseBody = 9
    /// An error that was made here is about to be sent.
    case localReply = 10
    /// The request is over.
    case requestEnd = 11
}

/// Phases of a plugin's hooks.
public struct PhaseSet: OptionSet, Sendable, BitwiseCopyable {
    /// A bit for each phase, as in the C header.
    public let rawValue: UInt64

    /// Takes the bits as they are.
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// The set of one phase.
    @inlinable public init(_ phase: Phase) { rawValue = 1 &<< UInt64(phase.rawValue) }

    /// The request's head.
    @inlinable public static var requestHeaders: PhaseSet { PhaseSet(.requestHeaders) }
    /// The request's body.
    @inlinable public static var requestBody: PhaseSet { PhaseSet(.requestBody) }
    /// The head of each attempt.
    @inlinable public static var upstreamRequest: PhaseSet { PhaseSet(.upstreamRequest) }
    /// The result of each attempt.
    @inlinable public static var upstreamResult: PhaseSet { PhaseSet(.upstreamResult) }
    /// The origin's head.
    @inlinable public static var upstreamResponse: PhaseSet { PhaseSet(.upstreamResponse) }
    /// The origin's body.
    @inlinable public static var upstreamBody: PhaseSet { PhaseSet(.upstreamBody) }
    /// The head that goes to the client.
    @inlinable public static var responseHeaders: PhaseSet { PhaseSet(.responseHeaders) }
    /// The body that goes to the client.
    @inlinable public static var responseBody: PhaseSet { PhaseSet(.responseBody) }
    /// Errors that were made here.
    @inlinable public static var localReply: PhaseSet { PhaseSet(.localReply) }
    /// The end.
    @inlinable public static var requestEnd: PhaseSet { PhaseSet(.requestEnd) }
}
