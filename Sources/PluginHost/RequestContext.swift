public import CSluice
public import HTTP
public import Sys

/// What the host keeps of a request for its plugins; `sluice_req` of the ABI is a pointer to it.
///
/// Plain memory at a fixed address inside the exchange's block: plugins hold raw pointers into it
/// for as long as the headers say.
public struct RequestContext {
    public var arena: Arena
    public var request: Message
    public var response: Message
    public var facts: sluice_facts
    /// The worker that the request runs on.
    public var worker: UnsafeMutablePointer<WorkerLinks>
    /// Contexts of the plugins before and after routing; offsets are in the hook entries.
    public var globalContexts: UnsafeMutableRawPointer?
    public var routeContexts: UnsafeMutableRawPointer?
    /// Plugins that the request has come to, in chain order; they are left on the way out.
    public var entered = 0
    /// Plugins whose response hooks run: fewer than `entered` after one of them answered.
    public var leaving = 0
    /// Bit per chain position: no more hooks but `request_end`.
    public var detached: UInt64 = 0
    /// Bit per chain position: the request does not pass the plugin at all.
    public var absent: UInt64 = 0
    /// Bit per chain position, for each phase: not interested; nil while all are.
    var masks: UnsafeMutablePointer<UInt64>?
    /// What plugins asked for about bodies; nil while nobody did.
    public internal(set) var bodyWishes: UnsafeMutablePointer<BodyWishes>?
    /// Id of the attempt's peer (`sluice.peers/1`); 0 before there is one.
    public var peerID: UInt64 = 0
    /// Why its hooks are timed; one byte, so that a hook that is not asks once.
    public var timing: HookTiming = []
    /// `SLUICE_ARGS_INTERNAL` of a request that the host made itself, else 0.
    public var flags: UInt32 = 0
    /// Callouts that run for the request.
    public var calloutCount = 0
    /// Bytes that plugins took by `request_alloc`.
    public var pluginBytes = 0
    /// What plugins set; nil until the first one does.
    var attributes: UnsafeMutablePointer<Attributes.Table>?
    /// What the balancer hashes in place of what the manifest says; nil unless a plugin set it.
    public internal(set) var hashKey: Slice?
    /// Nanoseconds from which on a call is kept in `slowHooks`, while `timing` says `watched`.
    var slowFrom: UInt64 = 0
    /// Calls that took long; nil until there is one.
    var slowHooks: UnsafeMutablePointer<SlowHooks>?
    /// Views as built last, and whether they still hold.
    var requestView: UnsafeMutablePointer<sluice_headers>?
    var responseView: UnsafeMutablePointer<sluice_headers>?
    var requestViewIsCurrent = false
    var responseViewIsCurrent = false

    /// Bytes that all plugins of a request may take together.
    public static let pluginBytesMax = 65_536

    /// Makes a context in memory that is all zeroes.
    public static func prepare(
        _ context: UnsafeMutablePointer<RequestContext>,
        arena: Arena,
        request: Message,
        worker: UnsafeMutablePointer<WorkerLinks>
    ) {
        // Safe: every member is trivial; zeroes are nil, false and 0 in those not set here. The
        // response is read only after `replaceResponse`.
        context.pointee.arena = arena
        context.pointee.request = request
        context.pointee.worker = worker
        context.pointee.globalContexts = nil
        context.pointee.routeContexts = nil
        context.pointee.masks = nil
        context.pointee.bodyWishes = nil
        context.pointee.attributes = nil
        context.pointee.hashKey = nil
        context.pointee.peerID = 0
        context.pointee.requestView = nil
        context.pointee.responseView = nil
        context.pointee.facts.size = UInt32(MemoryLayout<sluice_facts>.size)
    }

    /// Forgets what was built of the response: it was replaced.
    public mutating func replaceResponse(_ message: Message) {
        response = message
        responseViewIsCurrent = false
    }

    /// The response's bytes stand elsewhere now.
    public mutating func moveResponse(
        head: UnsafePointer<UInt8>,
        fields: UnsafeMutablePointer<FieldSpan>
    ) {
        response.head = head
        response.fields = fields
        responseViewIsCurrent = false
    }

    /// The request changed outside of a hook.
    public mutating func requestChanged() {
        requestViewIsCurrent = false
    }

    /// Memory of the request for a plugin; nil when the plugins' budget or the arena is used up.
    mutating func allocateForPlugin(_ count: Int) -> UnsafeMutableRawPointer? {
        guard pluginBytes + count <= Self.pluginBytesMax, let memory = arena.allocate(count) else {
            return nil
        }
        pluginBytes += count
        return memory
    }

    /// A copy of bytes that lives as long as the request.
    public mutating func keep(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> Slice? {
        guard let copy = arena.copy(bytes, count) else { return nil }
        return Slice(copy, count)
    }
}

extension sluice_slice {
    public init(_ slice: Slice) {
        self.init(ptr: slice.bytes, len: UInt64(slice.count))
    }

    public init(_ text: StaticString) {
        self.init(ptr: text.utf8Start, len: UInt64(text.utf8CodeUnitCount))
    }
}
