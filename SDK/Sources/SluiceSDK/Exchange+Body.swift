public import CSluice

extension Exchange where Owner: ~Copyable {
    /// What has arrived of a body, in a body hook.
    ///
    /// In another phase it is empty, and the hook's verdict becomes an error.
    @inlinable
    public var chunk: Chunk {
        if args.pointee.body_in == nil { failure.pointee = FailureCode.noBody.rawValue }
        return Chunk(args.pointee.body_in)
    }

    /// What goes on of a body, in a body hook.
    ///
    /// In another phase it takes nothing, and the hook's verdict becomes an error.
    @inlinable
    public var output: Output {
        if args.pointee.body_out == nil { failure.pointee = FailureCode.noBody.rawValue }
        return Output(args.pointee.body_out, failure: failure)
    }

    /// Asks to be called again with what is left of the chunk, when there is room:
    /// `return exchange.more(consumed: offset)`.
    ///
    /// - Parameter consumed: bytes of the chunk that are dealt with, 0 up to all of them.
    @inlinable
    public func more(consumed: Int) -> Verdict {
        guard consumed >= 0, consumed <= chunk.data.count else { return fail(.badRange) }
        output.consume(consumed)
        return .more
    }

    /// Says what the plugin does to the length of the body that follows.
    ///
    /// In `requestHeaders` it is the request's body, in `upstreamResponse` and `responseHeaders`
    /// the response's. A plugin that changes a length without a word has its exchange cut.
    @inlinable
    public func setBodyPolicy(_ policy: BodyPolicy) {
        args.pointee.asks |= UInt64(SLUICE_ASK_BODY_POLICY)
        switch policy {
        case .same: args.pointee.body_policy = UInt32(SLUICE_BODY_SAME)
        case .unknown: args.pointee.body_policy = UInt32(SLUICE_BODY_UNKNOWN)
        case .exact(let length):
            args.pointee.body_policy = UInt32(SLUICE_BODY_EXACT)
            args.pointee.body_length = length
        case .drop: args.pointee.body_policy = UInt32(SLUICE_BODY_DROP)
        }
    }

    /// Asks for the body in one chunk, in the same phases as `setBodyPolicy`.
    ///
    /// - Parameters:
    ///   - max: bytes that are kept, 1 up to the manifest's `limits.body_buffer`.
    ///   - overflow: what happens to a longer body.
    @inlinable
    public func bufferBody(upTo max: Int, onOverflow overflow: BodyOverflow = .refuse) {
        args.pointee.asks |= UInt64(SLUICE_ASK_BUFFER)
        args.pointee.buffer_max = UInt64(max)
        args.pointee.buffer_overflow = overflow.rawValue
    }

    /// Calls only these of the plugin's later hooks for this request; never adds to what an earlier
    /// hook left.
    @inlinable
    public func narrow(to phases: PhaseSet) {
        args.pointee.asks |= UInt64(SLUICE_ASK_INTEREST)
        args.pointee.interest = phases.rawValue
    }

    /// Whether the plugin holds the response's head, so that `edits` apply to it.
    @inlinable public var isHeld: Bool { has(SLUICE_ARGS_HELD) }

    /// Lets the head go that `Verdict.hold` kept, with the edits of this call; in a body hook.
    @inlinable public func release() { args.pointee.asks |= UInt64(SLUICE_ASK_RELEASE) }
}

/// What a plugin does to the length of a body.
public enum BodyPolicy: Equatable, Sendable {
    /// Nothing: it stays.
    case same
    /// The length is known only at the end.
    case unknown
    /// As many bytes as this.
    case exact(UInt64)
    /// There is no body at all.
    case drop
}

/// What happens to a body that is longer than a plugin has asked to have in one piece.
public enum BodyOverflow: UInt32, Sendable {
    /// A request is answered with 413, a response with 502.
    case refuse = 0
    /// It comes in chunks after all, the first of them what was kept.
    case stream = 1
}

/// What has arrived of a body.
///
/// Valid until the hook returns.
public struct Chunk {
    @usableFromInline let body: UnsafePointer<sluice_body_in>?

    @inlinable init(_ body: UnsafeMutablePointer<sluice_body_in>?) { self.body = .init(body) }

    /// The bytes; maybe none.
    @inlinable public var data: Bytes { body.map { Bytes($0.pointee.data) } ?? .empty }

    /// Bytes of this body that the plugin has consumed before.
    @inlinable public var offset: UInt64 { body?.pointee.offset ?? 0 }

    /// Whether the body ends with this chunk.
    ///
    /// Said once.
    @inlinable public var isEnd: Bool { has(SLUICE_BODY_EOS) }

    /// Whether the sender pauses here: what is kept back must go on now, or an event stream stalls.
    @inlinable public var isFlush: Bool { has(SLUICE_BODY_FLUSH) }

    /// Whether this is the whole body, as `Exchange.bufferBody` asked.
    @inlinable public var isWhole: Bool { has(SLUICE_BODY_WHOLE) }

    /// With the end: the trailer fields, which `edits` then apply to; nil where there are none.
    @inlinable
    public var trailers: Fields? {
        guard let trailers = body?.pointee.trailers else { return nil }
        return Fields(trailers)
    }

    @inlinable
    func has(_ flag: some BinaryInteger) -> Bool {
        guard let body else { return false }
        return body.pointee.flags & UInt32(truncatingIfNeeded: flag) != 0
    }
}

/// What goes on of a body.
///
/// A hook that touches nothing passes the chunk on. From the first call of a function here only
/// what was pushed or passed goes on, in that order; what does not fit is not taken, and then the
/// hook says how far it came:
///
///     func responseBody(_ exchange: borrowing Exchange<Self>) -> Verdict {
///         let (data, output) = (exchange.chunk.data, exchange.output)
///         var offset = 0
///         while offset < data.count {
///             let run = data.dropFirst(offset).firstIndex(of: 0x3C) ?? data.count - offset
///             offset += output.pass(offset..<offset + run)
///             if offset == data.count { break }
///             guard data[offset] == 0x3C, output.push("&lt;") else {
///                 return exchange.more(consumed: offset)
///             }
///             offset += 1
///         }
///         return .next
///     }
///
/// It all happens when the hook has returned, and not at all when it failed.
public struct Output {
    @usableFromInline let body: UnsafeMutablePointer<sluice_body_out>?
    @usableFromInline let failure: UnsafeMutablePointer<UInt32>

    @inlinable
    init(_ body: UnsafeMutablePointer<sluice_body_out>?, failure: UnsafeMutablePointer<UInt32>) {
        self.body = body
        self.failure = failure
    }

    /// Bytes that can still be pushed or passed in this call; at least 65,536 when a hook begins.
    @inlinable public var credit: Int { Int(body?.pointee.credit ?? 0) }

    /// Appends a copy of all the bytes, or, when there is no room for all of them, nothing.
    ///
    /// - Returns: whether they were taken.
    @inlinable
    public func push(_ bytes: Bytes) -> Bool {
        guard let body else { return false }
        body.pointee.replaces = 1
        return take(body.pointee.push(body, bytes.slice))
    }

    /// Appends a copy of as many of the bytes as there is room for.
    ///
    /// - Returns: how many were taken.
    @inlinable
    public func write(_ bytes: Bytes) -> Int {
        let count = min(bytes.count, credit)
        return push(bytes.prefix(count)) ? count : 0
    }

    /// Appends bytes of the chunk, without a copy where possible: as many as there is room for.
    ///
    /// - Parameter range: offsets in the chunk's data.
    /// - Returns: how many were taken.
    @inlinable
    public func pass(_ range: Range<Int>) -> Int {
        guard let body else { return 0 }
        body.pointee.replaces = 1
        let count = min(range.count, credit)
        let result = body.pointee.pass(body, UInt64(range.lowerBound), UInt64(count))
        return take(result) ? count : 0
    }

    /// Appends a buffer's bytes without a copy, all or nothing.
    ///
    /// - Returns: whether they were taken.
    @inlinable
    public func push(_ buffer: borrowing Buffer) -> Bool {
        guard let body else { return false }
        body.pointee.replaces = 1
        return take(body.pointee.push_buf(body, buffer.pointer))
    }

    /// Appends what a function writes into the host's memory.
    ///
    /// - Parameter write: is given room for as many bytes as it is told, at most `credit`, and
    ///   returns how many it wrote.
    /// - Returns: how many it wrote; 0 also when there was no room.
    @inlinable
    @discardableResult
    public func fill(_ write: (UnsafeMutablePointer<UInt8>, Int) -> Int) -> Int {
        guard let body else { return 0 }
        body.pointee.replaces = 1
        var room: UnsafeMutablePointer<UInt8>?
        var capacity: UInt64 = 0
        let result = body.pointee.reserve(body, &room, &capacity)
        guard take(result), let room, capacity > 0 else { return 0 }
        let count = write(room, Int(capacity))
        precondition(count >= 0 && count <= Int(capacity), "more was written than there is room")
        return take(body.pointee.commit(body, UInt64(count))) ? count : 0
    }

    /// Lets nothing of the chunk go on but what is pushed or passed.
    @inlinable public func drop() { body?.pointee.replaces = 1 }

    /// Says how many bytes of the chunk are dealt with; all of them unless it is said.
    ///
    /// The rest comes again after `Verdict.more` or a wait.
    @inlinable
    public func consume(_ count: Int) { body?.pointee.consumed = UInt64(count) }

    @inlinable
    func take(_ result: Int32) -> Bool {
        if result == 0 { return true }
        if result != Int32(SLUICE_EAGAIN) { fail(.badRange) }
        return false
    }

    @inlinable
    func fail(_ code: FailureCode) {
        if failure.pointee == 0 { failure.pointee = code.rawValue }
    }
}
