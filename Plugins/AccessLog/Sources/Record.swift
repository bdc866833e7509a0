import SluiceSDK

/// What is kept of a request until its end, because it is not there any more then: the target as it
/// came, fields of the response, and what came of each attempt.
///
/// All of it lies in one block of the request's memory, which is taken when the head is seen: later
/// on another plugin may have used the request's memory up.
package struct Record: BitwiseCopyable {
    /// Attempts that a line tells of; later ones are not told.
    static let attemptsMax = 8
    /// Bytes of a peer's address that are kept.
    static let peerBytesMax = 112
    /// Bytes of a response's field that are kept.
    static let fieldBytesMax = 256
    /// Bytes of a target that are kept: no line has room for more.
    static let targetBytesMax = 32_768

    /// One attempt.
    struct Attempt: BitwiseCopyable {
        /// Nanoseconds of the monotonic clock; 0 where it did not happen.
        var begin: UInt64
        var connected: UInt64
        var firstByte: UInt64
        /// When it failed; 0 of one with a response.
        var end: UInt64
        var status: UInt16
        var isReused: Bool
        var peerCount: UInt8
    }

    /// How the block is divided.
    struct Layout: BitwiseCopyable {
        var hasAttempts = false
        var fieldCount = 0
        var hasTarget = false

        private static let attemptBytes = MemoryLayout<Attempt>.stride + Record.peerBytesMax
        private static let fieldBytes = 2 + Record.fieldBytesMax

        func attempt(_ index: Int) -> Int { index &* Layout.attemptBytes }

        private var attemptsEnd: Int { hasAttempts ? attempt(Record.attemptsMax) : 0 }

        func field(_ place: Int) -> Int { attemptsEnd &+ place &* Layout.fieldBytes }

        /// Where the target's texts begin; the length of all else.
        var target: Int { field(fieldCount) }

        var isEmpty: Bool { target == 0 && !hasTarget }
    }

    /// Nil of a request whose head no hook has seen.
    var memory: UnsafeMutableRawPointer?
    var attemptCount: UInt32
    var methodCount: UInt16
    var authorityCount: UInt16
    var targetCount: UInt32

    // MARK: The target

    /// Keeps what the head says.
    mutating func begin(
        _ exchange: borrowing Exchange<AccessLogPlugin>,
        _ layout: Layout
    ) {
        let fields = exchange.requestFields
        let (method, target, authority) = (fields.method, fields.target, fields.authority)
        let targetCount = min(target.count, Record.targetBytesMax)
        let authorityCount = min(authority.count, Int(UInt16.max))
        let methodCount = min(method.count, Int(UInt16.max))
        let texts = layout.hasTarget ? targetCount &+ authorityCount &+ methodCount : 0
        guard let block = exchange.memory(layout.target &+ texts) else { return }
        memory = block
        // Safe: the block has `layout.target` bytes and those of the texts.
        for place in 0..<layout.fieldCount {
            block.storeBytes(of: UInt16.max, toByteOffset: layout.field(place), as: UInt16.self)
        }
        guard layout.hasTarget else { return }
        self.methodCount = UInt16(methodCount)
        self.authorityCount = UInt16(authorityCount)
        self.targetCount = UInt32(targetCount)
        var at = block + layout.target
        at.copyMemory(from: method.start, byteCount: methodCount)
        at += methodCount
        at.copyMemory(from: authority.start, byteCount: authorityCount)
        at += authorityCount
        at.copyMemory(from: target.start, byteCount: targetCount)
    }

    private func text(_ layout: Layout, _ offset: Int, _ count: Int) -> Bytes {
        guard let memory, count > 0 else { return .empty }
        // Safe: `begin` wrote the texts one behind the other.
        let start = memory + layout.target + offset
        return Bytes(UnsafePointer(start.assumingMemoryBound(to: UInt8.self)), count: count)
    }

    // A request that the host answers by itself passes no hook of its head: then nothing was kept,
    // and nobody has changed its fields.

    func method(_ layout: Layout, _ fields: Fields) -> Bytes {
        memory == nil ? fields.method : text(layout, 0, Int(methodCount))
    }

    func authority(_ layout: Layout, _ fields: Fields) -> Bytes {
        memory == nil
            ? fields.authority : text(layout, Int(methodCount), Int(authorityCount))
    }

    func target(_ layout: Layout, _ fields: Fields) -> Bytes {
        memory == nil
            ? fields.target
            : text(layout, Int(methodCount) &+ Int(authorityCount), Int(targetCount))
    }

    // MARK: Fields of the response

    /// Keeps a field's value, or its begin; nil forgets one of a response before.
    func keep(_ value: Bytes?, at place: Int, _ layout: Layout) {
        guard let memory else { return }
        let block = memory + layout.field(place)
        guard let value else {
            block.storeBytes(of: UInt16.max, as: UInt16.self)
            return
        }
        let count = min(value.count, Record.fieldBytesMax)
        // Safe: there is room for the length and `fieldBytesMax` bytes.
        block.storeBytes(of: UInt16(count), as: UInt16.self)
        (block + 2).copyMemory(from: value.start, byteCount: count)
    }

    /// A field's value; nil when the response has none.
    func field(_ place: Int, _ layout: Layout) -> Bytes? {
        guard let memory else { return nil }
        let block = memory + layout.field(place)
        let count = block.load(as: UInt16.self)
        guard count != .max else { return nil }
        return Bytes(
            UnsafePointer((block + 2).assumingMemoryBound(to: UInt8.self)),
            count: Int(count)
        )
    }

    // MARK: Attempts

    /// Notes what came of an attempt.
    mutating func add(_ facts: Facts, _ layout: Layout) {
        guard let memory, attemptCount < Record.attemptsMax else { return }
        let place = memory + layout.attempt(Int(attemptCount))
        let peerCount = min(facts.peer.count, Record.peerBytesMax)
        let hasResponse = facts.attemptResult == .response
        let attempt = Attempt(
            begin: facts.attemptNanoseconds,
            connected: facts.connectedNanoseconds,
            firstByte: hasResponse ? facts.firstByteNanoseconds : 0,
            end: hasResponse ? 0 : facts.nowNanoseconds,
            status: Record.status(facts),
            isReused: facts.isReused,
            peerCount: UInt8(peerCount)
        )
        // Safe: there is room for `attemptsMax` of them, each with its peer behind it.
        place.storeBytes(of: attempt, as: Attempt.self)
        (place + MemoryLayout<Attempt>.stride).copyMemory(
            from: facts.peer.start,
            byteCount: peerCount
        )
        attemptCount &+= 1
    }

    /// The status that nginx shows for an attempt without a response; 0 for one that has none of
    /// its own, because another beside it was quicker.
    private static func status(_ facts: Facts) -> UInt16 {
        switch facts.attemptResult {
        case .response: UInt16(truncatingIfNeeded: facts.status)
        case .timeout: 504
        case .abandoned: 0
        case .connect, .closed, .malformed: 502
        }
    }

    /// An attempt, 0 up to `attemptCount`, and its peer.
    func attempt(_ index: Int, _ layout: Layout) -> (attempt: Attempt, peer: Bytes)? {
        guard let memory, index < Int(attemptCount) else { return nil }
        let place = memory + layout.attempt(index)
        let attempt = place.load(as: Attempt.self)
        let peer = (place + MemoryLayout<Attempt>.stride).assumingMemoryBound(to: UInt8.self)
        return (attempt, Bytes(UnsafePointer(peer), count: Int(attempt.peerCount)))
    }
}
