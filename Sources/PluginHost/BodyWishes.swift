import CSluice
import Sys

/// What a plugin does to the length of a body.
public enum BodyPolicy: UInt32, Sendable {
    case same = 0
    case unknown = 1
    case exact = 2
    case drop = 3
}

/// What plugins asked for about the bodies of one request (`SLUICE_ASK_*`).
public struct BodyWishes {
    /// The last one counts: hooks of heads and of bodies run in the same order.
    public var requestPolicy = BodyPolicy.same
    public var requestLength: UInt64 = 0
    public var responsePolicy = BodyPolicy.same
    public var responseLength: UInt64 = 0
    /// Positions whose body hook sees another body than it passes on: they can't be stepped over.
    public var changers: UInt64 = 0
    var buffers: UnsafeMutablePointer<BufferWish>?

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
public struct BufferWish {
    public let position: Int
    public let phase: Phase
    /// Bytes, as asked.
    public let bytesMax: UInt64
    /// Whether a longer body comes in chunks after all; else it is refused.
    public let streamsOverflow: Bool
    let next: UnsafeMutablePointer<BufferWish>?
}

extension RequestContext {
    /// Takes note of what a hook asked for; an error when its phase does not give that.
    mutating func take(
        _ args: UnsafeMutablePointer<sluice_args>,
        _ phase: Phase,
        position: Int
    ) -> EditError? {
        let asks = args.pointee.asks
        func asked(_ bit: some BinaryInteger) -> Bool { asks & UInt64(bit) != 0 }
        guard asks >> 4 == 0 else { return .badAsk }
        if asked(SLUICE_ASK_INTEREST) {
            guard narrow(args.pointee.interest, position: position) else { return .outOfMemory }
        }
        if asked(SLUICE_ASK_RELEASE), !phase.isOfBody { return .badAsk }
        guard asked(SLUICE_ASK_BODY_POLICY) || asked(SLUICE_ASK_BUFFER) else { return nil }
        let bodyPhase: Phase
        switch phase {
        case .requestHeaders: bodyPhase = .requestBody
        case .upstreamResponse: bodyPhase = .upstreamBody
        case .responseHeaders: bodyPhase = .responseBody
        default: return .badAsk
        }
        if bodyWishes == nil {
            bodyWishes = arena.allocate(MemoryLayout<BodyWishes>.stride)?
                .bindMemory(to: BodyWishes.self, capacity: 1)
            bodyWishes?.initialize(to: BodyWishes())
        }
        guard let wishes = bodyWishes else { return .outOfMemory }
        if asked(SLUICE_ASK_BODY_POLICY) {
            guard let policy = BodyPolicy(rawValue: args.pointee.body_policy),
                args.pointee.body_length <= UInt64(Int64.max)
            else { return .badAsk }
            if bodyPhase == .requestBody {
                wishes.pointee.requestPolicy = policy
                wishes.pointee.requestLength = args.pointee.body_length
            } else {
                wishes.pointee.responsePolicy = policy
                wishes.pointee.responseLength = args.pointee.body_length
            }
            if policy != .same { wishes.pointee.changers |= 1 << UInt64(position) }
        }
        if asked(SLUICE_ASK_BUFFER) {
            guard
                let wish = arena.allocate(MemoryLayout<BufferWish>.stride)?
                    .bindMemory(to: BufferWish.self, capacity: 1)
            else { return .outOfMemory }
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
        }
        return nil
    }

    /// Takes the phases out of a plugin's interest that are not in the mask.
    private mutating func narrow(_ interest: UInt64, position: Int) -> Bool {
        if masks == nil {
            masks = arena.allocate(UInt64.self, count: Phase.countOfABI)
            masks?.initialize(repeating: 0, count: Phase.countOfABI)
        }
        guard let masks else { return false }
        for phase in 0..<Phase.countOfABI where interest & (1 << UInt64(phase)) == 0 {
            masks[phase] |= 1 << UInt64(position)
        }
        return true
    }

    /// Whether a plugin's hook of a phase is called for this request.
    @inline(__always)
    public func isInterested(_ phase: Phase, position: Int) -> Bool {
        let skipped = detached | (masks.map { $0[phase.rawValue] } ?? 0)
        return skipped & (1 << UInt64(position)) == 0
    }
}
