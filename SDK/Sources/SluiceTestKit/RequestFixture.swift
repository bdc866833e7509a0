public import CSluice
public import SluiceSDK

/// One request for tests: what the host would keep for it, and what its hooks did.
public final class RequestFixture {
    /// The request's fields; edits of request hooks are applied to it.
    public var request: Message
    /// The response's fields; edits of response hooks are applied to it.
    public var response = Message()
    /// Whether the response was made by the host or a plugin.
    public var isLocal = false
    /// Whether no body follows the heads.
    public var hasNoBody = false
    /// What is known besides the fields.
    ///
    /// Set texts by `setFacts`.
    public var facts = sluice_facts()
    /// Edits of the last hook.
    public var edits: [EditRecord] = []
    /// Edits that there is room for.
    public var editCapacity = 64
    /// `error_code` of the last hook.
    public var errorCode: UInt32 = 0
    /// The body of the reply that a hook gave.
    public var replyBody: String?
    /// The id of the attempt's peer, for plugins that ask `sluice.peers/1`; 0 for none.
    public var peerID: UInt64 = 0
    /// Bytes of request memory that plugins may take.
    public var memoryBudget = 65_536

    /// What the plugin said of the bodies' lengths; nil where it said nothing.
    public internal(set) var bodyPolicies: [BodySide: BodyPolicy] = [:]
    /// Phases that the plugin is still interested in; nil for all.
    public internal(set) var interest: PhaseSet?
    /// Whether the plugin holds the response's head.
    public internal(set) var isHeld = false
    /// Whether the plugin wants no further hook of this request but the last.
    public internal(set) var isDetached = false
    /// What the balancer hashes, when a plugin has said so.
    public internal(set) var hashKey: String?
    /// From how many nanoseconds on plugins asked for calls that took long; nil when none did.
    public internal(set) var slowHookThreshold: UInt64?
    /// Whether the request waits for somebody to resume it.
    public var isSuspended: Bool { wait.map { wait in locked { wait.end == nil } } ?? false }

    var slowHooks: [sluice_slow_hook] = []
    var attributes: [UInt32: AttributeValue] = [:]
    var attributeSlices: [UInt32: sluice_slice] = [:]
    var wait: Wait?
    /// The hook that runs.
    var running: RunningHook?
    var bodies: [Phase: BodyRecord] = [:]
    var buffering: [Phase: BodyBuffering] = [:]
    var headPhases: Set<Phase> = []
    /// Views of hooks that have returned, poisoned.
    var retired: [Arena] = []

    let arena = Arena()
    private let memory = Arena()
    private var contexts: [ObjectIdentifier: UnsafeMutableRawPointer] = [:]

    /// A request from `client`: "192.0.2.1", "2001:db8::1" or "unix:".
    public init(
        _ method: String = "GET",
        _ target: String = "/",
        authority: String = "example.com",
        fields: [(String, String)] = [],
        client: String = "192.0.2.1",
        port: Int = 50_000,
        secure: Bool = false
    ) {
        request = Message(
            [
                (":method", method), (":scheme", secure ? "https" : "http"),
                (":authority", authority), (":path", target),
            ] + fields
        )
        facts.size = UInt32(MemoryLayout<sluice_facts>.size)
        facts.http_version = UInt32(SLUICE_HTTP_1_1)
        facts.request_number = 1
        facts.secure = secure ? 1 : 0
        facts.client_port = UInt32(port)
        setClient(client)
    }

    /// Sets texts of `facts`.
    public func setFacts(route: String = "", upstream: String = "", peer: String = "") {
        facts.route = arena.slice(route)
        facts.upstream = arena.slice(upstream)
        facts.peer = arena.slice(peer)
    }

    /// Makes the client's connection one with TLS.
    ///
    /// - Parameters:
    ///   - version: 0x0303 or 0x0304.
    ///   - clientSubject: of the client's certificate; empty when it has none.
    ///   - clientFingerprint: likewise.
    public func setTLS(
        version: UInt32 = 0x0304,
        cipher: String = "TLS_AES_128_GCM_SHA256",
        serverName: String = "",
        clientSubject: String = "",
        clientFingerprint: String = ""
    ) {
        var tls = sluice_tls_facts()
        tls.size = UInt32(MemoryLayout<sluice_tls_facts>.size)
        tls.version = version
        tls.cipher = arena.slice(cipher)
        tls.server_name = arena.slice(serverName)
        tls.client_subject = arena.slice(clientSubject)
        tls.client_fingerprint = arena.slice(clientFingerprint)
        facts.tls = UnsafePointer(arena.allocate(tls, count: 1))
        facts.secure = 1
    }

    /// The status of the attempt's response.
    public func setStatus(_ status: Int) { facts.status = UInt32(status) }

    /// Sets the version of the client's request: 10, 11 or 20.
    public func setHTTPVersion(_ version: UInt32) { facts.http_version = version }

    /// Gives the request a response, as from its origin.
    public func respond(
        status: Int,
        fields: [(String, String)] = [],
        isLocal: Bool = false
    ) {
        response = Message([(":status", "\(status)")] + fields)
        facts.status = UInt32(status)
        self.isLocal = isLocal
    }

    private func setClient(_ client: String) {
        facts.client_address = arena.slice(client)
        var bytes = [UInt8](repeating: 0, count: 16)
        if client == "unix:" {
            facts.client_family = 0
        } else if client.contains(":") {
            facts.client_family = 6
            bytes = v6Bytes(client)
        } else {
            facts.client_family = 4
            for (index, part) in client.split(separator: ".").enumerated() {
                bytes[index] = UInt8(part) ?? 0
            }
        }
        withUnsafeMutableBytes(of: &facts.client_ip) { $0.copyBytes(from: bytes) }
    }

    private func v6Bytes(_ text: String) -> [UInt8] {
        let halves = text.split(separator: "::", omittingEmptySubsequences: false)
        let groups = halves.map { half in
            half.split(separator: ":").map { UInt16($0, radix: 16) ?? 0 }
        }
        let last = groups.count > 1 ? groups[1] : []
        let zeros = [UInt16](repeating: 0, count: 8 - groups[0].count - last.count)
        return (groups[0] + zeros + last).flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] }
    }

    func allocate(_ length: UInt64) -> UnsafeMutableRawPointer? {
        guard length > 0, memory.byteCount + Int(length) <= memoryBudget else { return nil }
        return memory.allocate(byteCount: Int(length))
    }

    /// Poisons the context of a plugin's instance, as the request is over.
    func endContext(of instance: PluginFixture) {
        let byteCount = instance.contextByteCount
        contexts.removeValue(forKey: ObjectIdentifier(instance))?
            .initializeMemory(as: UInt8.self, repeating: 0xDD, count: byteCount)
    }

    /// The context of a plugin's instance: zeroed when it is asked for first.
    func context(of instance: PluginFixture, byteCount: Int) -> UnsafeMutableRawPointer? {
        guard byteCount > 0 else { return nil }
        let id = ObjectIdentifier(instance)
        if let context = contexts[id] { return context }
        let context = arena.allocate(byteCount: byteCount)
        context.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
        contexts[id] = context
        return context
    }

    /// The facts as one hook sees them.
    func layOutFacts(in arena: Arena, _ now: UInt64) -> UnsafePointer<sluice_facts> {
        let place = arena.allocate(facts, count: 1)
        if facts.time_now == 0 { place.pointee.time_now = now }
        place.pointee.client_address = arena.copy(facts.client_address)
        place.pointee.local_address = arena.copy(facts.local_address)
        place.pointee.route = arena.copy(facts.route)
        place.pointee.upstream = arena.copy(facts.upstream)
        place.pointee.peer = arena.copy(facts.peer)
        place.pointee.tls = facts.tls.map { layOutTLS($0.pointee, in: arena) }
        return UnsafePointer(place)
    }

    private func layOutTLS(
        _ facts: sluice_tls_facts,
        in arena: Arena
    ) -> UnsafePointer<sluice_tls_facts> {
        let place = arena.allocate(facts, count: 1)
        place.pointee.cipher = arena.copy(facts.cipher)
        place.pointee.server_name = arena.copy(facts.server_name)
        place.pointee.alpn = arena.copy(facts.alpn)
        place.pointee.client_subject = arena.copy(facts.client_subject)
        place.pointee.client_fingerprint = arena.copy(facts.client_fingerprint)
        return UnsafePointer(place)
    }

    var handle: OpaquePointer { OpaquePointer(Unmanaged.passUnretained(self).toOpaque()) }

    static func of(_ handle: OpaquePointer?) -> RequestFixture {
        guard let handle else { preconditionFailure("the plugin passed no request") }
        return Unmanaged<RequestFixture>.fromOpaque(UnsafeRawPointer(handle)).takeUnretainedValue()
    }
}
