public import CSluice
import Sys

/// Stands between the host and the hooks of one instance, for tests: counts the calls, and gives
/// each of them views of its own that are spoilt afterwards.
///
/// A chain is compiled with the probe's functions in place of the plugin's, so a host without
/// probes pays nothing for them.
public final class HookProbe {
    /// What becomes of the views that a hook was given.
    public enum Views: Sendable {
        /// Nothing: the hook gets the host's own.
        case kept
        /// A copy for each call, filled with 0xdd when the next hook begins.
        case poisoned
        /// A copy for each call; reading it after the next hook began ends the process.
        case forbidden
    }

    /// A call that is about to be made.
    public struct Call: Sendable {
        /// Number of the phase in `http.h`.
        public let phase: Int
        public let isResumed: Bool
    }

    /// Calls by phase, `resumed` not counted.
    public private(set) var calls = [UInt64](repeating: 0, count: Phase.countOfABI)
    /// Calls of `resumed`.
    public private(set) var resumptions: UInt64 = 0
    /// Verdicts by their number; the last is any that the ABI does not know.
    public private(set) var verdicts = [UInt64](repeating: 0, count: 9)
    /// Waits that the hooks began, oldest first.
    public private(set) var waits: [sluice_token] = []
    /// Called before each call.
    public var willCall: ((Call) -> Void)?

    private let views: Views
    let state: UnsafeMutableRawPointer?
    private var hooks = [sluice_hook?](repeating: nil, count: Phase.countOfABI)
    private var resumed: sluice_hook?
    private var copies = ViewCopies()

    init(_ views: Views, state: UnsafeMutableRawPointer?) {
        self.views = views
        self.state = state
    }

    func add(_ hook: @escaping sluice_hook, _ phase: Phase) { hooks[phase.rawValue] = hook }

    func add(resumed hook: @escaping sluice_hook) { resumed = hook }

    /// What the probe is to the host: the state of its functions.
    ///
    /// The instance keeps it alive.
    var address: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }

    static let call: sluice_hook = { probe, slot, request, context, args in
        HookProbe.enter(probe, slot, request, context, args, isResumed: false)
    }

    static let callResumed: sluice_hook = { probe, slot, request, context, args in
        HookProbe.enter(probe, slot, request, context, args, isResumed: true)
    }

    private static func enter(
        _ probe: UnsafeMutableRawPointer?,
        _ slot: UnsafeMutableRawPointer?,
        _ request: OpaquePointer?,
        _ context: UnsafeMutableRawPointer?,
        _ args: UnsafeMutablePointer<sluice_args>?,
        isResumed: Bool
    ) -> UInt32 {
        guard let probe, let request, let args else { return UInt32(SLUICE_ERROR) }
        // Safe: `address` of a probe that its instance keeps for ever.
        return Unmanaged<HookProbe>.fromOpaque(probe).takeUnretainedValue()
            .run(slot, request, context, args, isResumed: isResumed)
    }

    private func run(
        _ slot: UnsafeMutableRawPointer?,
        _ request: OpaquePointer,
        _ context: UnsafeMutableRawPointer?,
        _ args: UnsafeMutablePointer<sluice_args>,
        isResumed: Bool
    ) -> UInt32 {
        let phase = Int(args.pointee.phase)
        willCall?(Call(phase: phase, isResumed: isResumed))
        if isResumed { resumptions += 1 } else { calls[phase] += 1 }
        let hook = isResumed ? resumed : hooks[phase]
        guard let hook else { return UInt32(SLUICE_ERROR) }
        let verdict: UInt32
        if views == .kept {
            verdict = hook(state, slot, request, context, args)
        } else {
            copies.retire(forbids: views == .forbidden)
            let original = args.pointee
            copies.replaceViews(in: args)
            verdict = hook(state, slot, request, context, args)
            args.pointee.headers = original.headers
            args.pointee.request_headers = original.request_headers
            args.pointee.facts = original.facts
            args.pointee.body_in = original.body_in
        }
        verdicts[min(Int(verdict), verdicts.count - 1)] += 1
        // Safe: `sluice_req` is the address of a context (`HookCall.enter`).
        let wait = UnsafeMutablePointer<RequestContext>(request).pointee.worker.pointee.wait
        if Int(verdict) == SLUICE_SUSPEND, wait.sequence != 0 { waits.append(wait) }
        return verdict
    }

    /// Spoils the views of the last call now, in place of when the next begins.
    public func retireViews() {
        copies.retire(forbids: views == .forbidden)
    }
}

/// Copies of what one hook may read, in memory that nothing else uses.
private struct ViewCopies {
    private var current: [GuardedPages] = []
    private var retired: [GuardedPages] = []

    /// Spoilt copies that are kept, so that their addresses are not used again soon.
    private static let retiredMax = 512

    mutating func retire(forbids: Bool) {
        for pages in current {
            if forbids {
                pages.forbid()
            } else {
                pages.start.initializeMemory(as: UInt8.self, repeating: 0xdd, count: pages.count)
            }
            retired.append(pages)
        }
        current = []
        while retired.count > Self.retiredMax { retired.removeFirst().release() }
    }

    mutating func replaceViews(in args: UnsafeMutablePointer<sluice_args>) {
        let isSame = args.pointee.headers == args.pointee.request_headers
        let request = copy(args.pointee.request_headers)
        args.pointee.headers = isSame ? request : copy(args.pointee.headers)
        args.pointee.request_headers = request
        args.pointee.facts = copy(args.pointee.facts)
        args.pointee.body_in = copy(args.pointee.body_in)
    }

    // MARK: Copies

    /// Room in pages of its own, taken piece by piece.
    private struct Room {
        var at: UnsafeMutableRawPointer
        var left: Int

        mutating func take(_ count: Int) -> UnsafeMutableRawPointer {
            let rounded = (count + 15) & ~15
            precondition(rounded <= left, "the copy of a view is larger than was counted")
            defer {
                at += rounded
                left -= rounded
            }
            return at
        }

        mutating func copy(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> UnsafePointer<UInt8>? {
            guard let bytes, count > 0 else { return bytes }
            let to = take(count)
            to.copyMemory(from: bytes, byteCount: count)
            return UnsafePointer(to.assumingMemoryBound(to: UInt8.self))
        }

        mutating func copy(_ slice: inout sluice_slice) {
            slice.ptr = copy(slice.ptr, Int(slice.len))
        }
    }

    private mutating func room(_ count: Int) -> Room {
        guard let pages = GuardedPages(count) else { preconditionFailure("no memory for views") }
        current.append(pages)
        return Room(at: pages.start, left: pages.count)
    }

    private static func round(_ count: Int) -> Int { (count + 15) & ~15 }

    private mutating func copy(
        _ headers: UnsafePointer<sluice_headers>?
    ) -> UnsafePointer<sluice_headers>? {
        guard let headers else { return nil }
        let fields = UnsafeBufferPointer(
            start: headers.pointee.fields,
            count: Int(headers.pointee.count)
        )
        var size = Self.round(MemoryLayout<sluice_headers>.size)
        size += Self.round(fields.count * MemoryLayout<sluice_field>.stride)
        for field in fields {
            size += Self.round(Int(field.name_len)) + Self.round(Int(field.value_len))
        }
        var room = room(size)
        let copy = room.take(MemoryLayout<sluice_headers>.size)
            .bindMemory(to: sluice_headers.self, capacity: 1)
        copy.initialize(to: headers.pointee)
        let list = room.take(fields.count * MemoryLayout<sluice_field>.stride)
            .bindMemory(to: sluice_field.self, capacity: fields.count)
        for (index, field) in fields.enumerated() {
            var field = field
            field.name = room.copy(field.name, Int(field.name_len))
            field.value = room.copy(field.value, Int(field.value_len))
            list.advanced(by: index).initialize(to: field)
        }
        copy.pointee.fields = UnsafePointer(list)
        return UnsafePointer(copy)
    }

    private mutating func copy(
        _ facts: UnsafePointer<sluice_facts>?
    ) -> UnsafePointer<sluice_facts>? {
        guard let facts else { return nil }
        var value = facts.pointee
        let slices = [
            value.client_address, value.local_address, value.route, value.upstream, value.peer,
        ]
        var size = Self.round(MemoryLayout<sluice_facts>.size)
        for slice in slices { size += Self.round(Int(slice.len)) }
        var room = room(size)
        let copy = room.take(MemoryLayout<sluice_facts>.size)
            .bindMemory(to: sluice_facts.self, capacity: 1)
        room.copy(&value.client_address)
        room.copy(&value.local_address)
        room.copy(&value.route)
        room.copy(&value.upstream)
        room.copy(&value.peer)
        copy.initialize(to: value)
        return UnsafePointer(copy)
    }

    private mutating func copy(
        _ chunk: UnsafeMutablePointer<sluice_body_in>?
    ) -> UnsafeMutablePointer<sluice_body_in>? {
        guard let chunk else { return nil }
        var value = chunk.pointee
        value.trailers = copy(value.trailers)
        var room = room(
            Self.round(MemoryLayout<sluice_body_in>.size) + Self.round(Int(value.data.len))
        )
        let copy = room.take(MemoryLayout<sluice_body_in>.size)
            .bindMemory(to: sluice_body_in.self, capacity: 1)
        room.copy(&value.data)
        copy.initialize(to: value)
        return copy
    }
}
