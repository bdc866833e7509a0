import CSluice
import Sys

/// Why the hooks of a request are timed.
public struct HookTiming: OptionSet, Sendable, BitwiseCopyable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// It is one of those whose calls are in the metrics.
    public static let sampled = HookTiming(rawValue: 1)
    /// A plugin wants to know which calls took long.
    public static let watched = HookTiming(rawValue: 2)
}

/// A call of a hook that has just returned.
struct TimedCall {
    /// Nanoseconds of the monotonic clock.
    let start: UInt64
    let end: UInt64
    /// It went on after a wait.
    let isResumed: Bool
    /// It began a wait, which the host takes.
    let waits: Bool
}

/// The calls of one request's hooks that took long (`watch_hooks` of `sluice.http/1`): plain memory
/// of the request, made with the first of them.
///
/// A call that waits is in the list from then on, and is taken out again when it ends in time.
struct SlowHooks: BitwiseCopyable {
    /// Calls that are kept; those that come later are left out.
    static let countMax = Int(SLUICE_SLOW_HOOKS_MAX)

    private(set) var count = 0
    let list: UnsafeMutablePointer<sluice_slow_hook>
    /// The hooks of those that wait; nil of those that have ended.
    private let waiting: UnsafeMutablePointer<UnsafePointer<HookEntry>?>

    /// Memory for a list; nil when the arena's bound is reached.
    fileprivate static func make(
        in context: UnsafeMutablePointer<RequestContext>
    ) -> UnsafeMutablePointer<SlowHooks>? {
        guard
            let slow = context.pointee.arena.allocate(SlowHooks.self, count: 1),
            let list = context.pointee.arena.allocate(sluice_slow_hook.self, count: countMax),
            let waiting = context.pointee.arena.allocate(
                UnsafePointer<HookEntry>?.self,
                count: countMax
            )
        else { return nil }
        slow.initialize(to: SlowHooks(list: list, waiting: waiting))
        return slow
    }

    private init(
        list: UnsafeMutablePointer<sluice_slow_hook>,
        waiting: UnsafeMutablePointer<UnsafePointer<HookEntry>?>
    ) {
        self.list = list
        self.waiting = waiting
    }

    /// The place of a call that waits; the latest, as an attempt's may have been given up.
    fileprivate func place(of entry: UnsafePointer<HookEntry>) -> Int? {
        // Safe: both lists have `countMax` places, of which `count` are filled.
        (0..<count).last { waiting[$0] == entry }
    }

    /// Keeps a call, while there is room.
    fileprivate mutating func add(_ hook: sluice_slow_hook, _ entry: UnsafePointer<HookEntry>?) {
        guard count < Self.countMax else { return }
        (list + count).initialize(to: hook)
        (waiting + count).initialize(to: entry)
        count += 1
    }

    /// A call that waited goes on: it waits again, or ends.
    ///
    /// - Parameter threshold: what it must have taken to be kept.
    fileprivate mutating func goOn(_ place: Int, _ call: TimedCall, threshold: UInt64) {
        list[place].busy &+= call.end &- call.start
        if call.waits {
            list[place].waits &+= 1
            return
        }
        waiting[place] = nil
        list[place].end = call.end
        guard call.end &- list[place].start < threshold else { return }
        for next in place + 1..<count {
            list[next - 1] = list[next]
            waiting[next - 1] = waiting[next]
        }
        count -= 1
    }
}

extension RequestContext {
    /// Keeps the calls that take so long, from now on: `watch_hooks` of `sluice.http/1`. [worker]
    ///
    /// - Parameter threshold: nanoseconds, 1 or more.
    static func watch(_ context: UnsafeMutablePointer<RequestContext>, threshold: UInt64) -> Int32 {
        guard threshold > 0 else { return Int32(SLUICE_EINVAL) }
        let isFirst = !context.pointee.timing.contains(.watched)
        if isFirst || threshold < context.pointee.slowFrom { context.pointee.slowFrom = threshold }
        context.pointee.timing.insert(.watched)
        return Int32(SLUICE_OK)
    }

    /// Those that were kept: `slow_hooks` of `sluice.http/1`. [worker]
    static func slowHooks(
        _ context: UnsafeMutablePointer<RequestContext>,
        _ hooks: UnsafeMutablePointer<UnsafePointer<sluice_slow_hook>?>
    ) -> UInt32 {
        guard let slow = context.pointee.slowHooks, slow.pointee.count > 0 else { return 0 }
        hooks.pointee = UnsafePointer(slow.pointee.list)
        return UInt32(slow.pointee.count)
    }

    /// Takes note of a call of a hook of a request that is watched.
    static func note(
        _ call: TimedCall,
        of entry: UnsafePointer<HookEntry>,
        phase: UInt32,
        _ context: UnsafeMutablePointer<RequestContext>
    ) {
        let threshold = context.pointee.slowFrom
        if call.isResumed, let slow = context.pointee.slowHooks,
            let place = slow.pointee.place(of: entry)
        {
            slow.pointee.goOn(place, call, threshold: threshold)
            return
        }
        guard call.waits || call.end &- call.start >= threshold else { return }
        if context.pointee.slowHooks == nil {
            context.pointee.slowHooks = SlowHooks.make(in: context)
        }
        var hook = sluice_slow_hook()
        hook.instance = sluice_slice(entry.pointee.plugin.pointee.name)
        hook.phase = phase
        hook.waits = call.waits ? 1 : 0
        hook.start = call.start
        hook.end = call.waits ? 0 : call.end
        hook.busy = call.end &- call.start
        context.pointee.slowHooks?.pointee.add(hook, call.waits ? entry : nil)
    }
}
