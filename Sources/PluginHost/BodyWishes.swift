import CSluice
import Sys

/// What a plugin does to the length of a body.
public enum BodyPolicy: UInt32, Sendable, BitwiseCopyable {
    case same = 0
    case unknown = 1
    case exact = 2
    case drop = 3
}

/// What plugins asked for about the bodies of one request (`SLUICE_ASK_*`).
public struct BodyWishes: BitwiseCopyable {
    /// The last one counts: hooks of heads and of bodies run in the same order.
    public var requestPolicy = BodyPolicy.same
    public var requestLength: UInt64 = 0
    public var responsePolicy = BodyPolicy.same
    public var responseLength: UInt64 = 0
    /// Positions whose body hook sees another body than it passes on: they can't be stepped over.
    public var changers: UInt64 = 0
    var buffers: UnsafeMutablePointer<BufferWish>?
    /// Memory for the next one.
    var spare: UnsafeMutablePointer<BufferWish>?

    /// What the body hook of a plugin wants kept; nil when it takes chunks.
    public func buffer(_ phase: Phase, position: Int) -> BufferWish? {
        var next = buffers
        while let wish = next {
            if wish.pointee.phase == phase, wish.pointee.position == position {
                return wish.pointee
            }
            next = wish.pointee.next
        }
        return nil
    }
}

/// A body hook that wants the whole body at once.
public struct BufferWish: BitwiseCopyable {
    public let position: Int
    public let phase: Phase
    /// Bytes, as asked.
    public let bytesMax: UInt64
    /// Whether a longer body comes in chunks after all; else it is refused.
    public let streamsOverflow: Bool
    let next: UnsafeMutablePointer<BufferWish>?
}

extension RequestContext {
    /// Whether a hook may have all that it asked for, for which there is memory then; an error
    /// when its phase does not give that.
    mutating func reserve(
        _ args: UnsafeMutablePointer<sluice_args>,
        _ phase: Phase
    ) -> EditError? {
        let asks = Asks(args)
        guard args.pointee.asks >> 4 == 0 else { return .badAsk }
        if asks.has(SLUICE_ASK_RELEASE), !phase.isOfBody { return .badAsk }
        if asks.has(SLUICE_ASK_INTEREST), masks == nil {
            masks = arena.allocate(UInt64.self, count: Phase.countOfABI)
            masks?.initialize(repeating: 0, count: Phase.countOfABI)
            guard masks != nil else { return .outOfMemory }
        }
        guard asks.has(SLUICE_ASK_BODY_POLICY) || asks.has(SLUICE_ASK_BUFFER) else { return nil }
        guard phase.bodyToCome != nil else { return .badAsk }
        if asks.has(SLUICE_ASK_BODY_POLICY) {
            guard BodyPolicy(rawValue: args.pointee.body_policy) != nil,
                args.pointee.body_length <= UInt64(Int64.max)
            else { return .badAsk }
        }
        if bodyWishes == nil {
            bodyWishes = arena.allocate(BodyWishes.self, count: 1)
            bodyWishes?.initialize(to: BodyWishes())
        }
        guard let wishes = bodyWishes else { return .outOfMemory }
        if asks.has(SLUICE_ASK_BUFFER), wishes.pointee.spare == nil {
            wishes.pointee.spare = arena.allocate(BufferWish.self, count: 1)
            guard wishes.pointee.spare != nil else { return .outOfMemory }
        }
        return nil
    }

    /// Takes note of what a hook asked for, which `reserve` has said that it may.
    mutating func grant(
        _ args: UnsafeMutablePointer<sluice_args>,
        _ phase: Phase,
        position: Int
    ) {
        let asks = Asks(args)
        if asks.has(SLUICE_ASK_INTEREST), let masks {
            for phase in 0..<Phase.countOfABI
            where args.pointee.interest & (1 << UInt64(phase)) == 0 {
                masks[phase] |= 1 << UInt64(position)
            }
        }
        guard let wishes = bodyWishes, let bodyPhase = phase.bodyToCome else { return }
        if asks.has(SLUICE_ASK_BODY_POLICY),
            let policy = BodyPolicy(rawValue: args.pointee.body_policy)
        {
            if bodyPhase == .requestBody {
                wishes.pointee.requestPolicy = policy
                wishes.pointee.requestLength = args.pointee.body_length
            } else {
                wishes.pointee.responsePolicy = policy
                wishes.pointee.responseLength = args.pointee.body_length
            }
            if policy != .same { wishes.pointee.changers |= 1 << UInt64(position) }
        }
        if asks.has(SLUICE_ASK_BUFFER), let wish = wishes.pointee.spare {
            wish.initialize(
                to: BufferWish(
                    position: position,
                    phase: bodyPhase,
                    bytesMax: args.pointee.buffer_max,
                    streamsOverflow: args.pointee.buffer_overflow
                        == UInt32(SLUICE_OVERFLOW_STREAM),
                    next: wishes.pointee.buffers
                )
            )
            wishes.pointee.buffers = wish
            wishes.pointee.spare = nil
        }
    }

    /// Whether a plugin's hook of a phase is called for this request.
    @inline(__always)
    public func isInterested(_ phase: Phase, position: Int) -> Bool {
        let skipped = detached | (masks.map { $0[phase.rawValue] } ?? 0)
        return skipped & (1 << UInt64(position)) == 0
    }
}

/// What a hook asked for (`SLUICE_ASK_*`).
private struct Asks {
    private let bits: UInt64

    init(_ args: UnsafeMutablePointer<sluice_args>) { bits = args.pointee.asks }

    func has(_ bit: some BinaryInteger) -> Bool { bits & UInt64(bit) != 0 }
}

extension Phase {
    /// The hook of the body whose head a hook of this phase sees; nil of other phases.
    fileprivate var bodyToCome: Phase? {
        switch self {
        case .requestHeaders: .requestBody
        case .upstreamResponse: .upstreamBody
        case .responseHeaders: .responseBody
        default: nil
        }
    }
}
