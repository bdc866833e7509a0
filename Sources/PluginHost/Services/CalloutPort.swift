import CSluice
import Synchronization
import Sys

/// Callouts of one worker's plugins: `sluice.http_client/1`, up to where the worker makes them.
public final class CalloutPort: @unchecked Sendable {
    // Safe: used by its worker's thread alone.

    /// Callouts of one worker at the same time.
    public static let calloutsMax = 1_024
    /// Callouts of one request at the same time.
    public static let calloutsPerRequestMax = 16

    private let worker: Int
    private var requests: [CalloutRequest] = [] {
        didSet { noteRequests() }
    }
    private var sequence: UInt64 = 0
    /// Callouts that were asked for and have not ended.
    private var count = 0
    /// Probes among them.
    private var probeCount = 0
    /// Numbers that were cancelled while they ran, for the worker to end.
    public private(set) var cancelled: [UInt64] = [] {
        didSet { noteRequests() }
    }
    /// What `hasRequests` says; at a fixed address, because the loop asks in every turn and a
    /// property of a class that other modules see costs a check of exclusive access.
    private let hasRequestsNow: UnsafeMutablePointer<Bool>
    private var running: Set<UInt64> = []

    private init(worker: Int) {
        self.worker = worker
        hasRequestsNow = .allocate(capacity: 1)
        hasRequestsNow.initialize(to: false)
    }

    private func noteRequests() {
        hasRequestsNow.pointee = !requests.isEmpty || !cancelled.isEmpty
    }

    private static let ports = Mutex<[Int: CalloutPort]>([:])

    /// The port of a worker, the same for the life of the process.
    public static func of(worker: Int) -> CalloutPort {
        ports.withLock { ports in
            if let port = ports[worker] { return port }
            let port = CalloutPort(worker: worker)
            ports[worker] = port
            return port
        }
    }

    private struct Upstreams {
        /// Numbers of all names that there ever were.
        var numbers: [String: Int] = [:]
        /// Those that there are now.
        var names: Set<String> = []

        mutating func number(_ name: String) -> Int {
            if let number = numbers[name] { return number }
            let number = numbers.count
            numbers[name] = number
            return number
        }
    }

    private static let upstreams = Mutex(Upstreams())

    /// Says which upstreams there are, by name. [control]
    public static func setUpstreams(_ names: Set<String>) {
        upstreams.withLock { upstreams in
            upstreams.names = names
            for name in names.sorted() { _ = upstreams.number(name) }
        }
    }

    /// The number of an upstream's name: the same for the life of the process. [control]
    public static func number(of name: String) -> Int {
        upstreams.withLock { $0.number(name) }
    }

    private static func upstream(_ name: sluice_slice) -> Int? {
        guard let bytes = name.ptr, name.len <= 256 else { return nil }
        let text = String(
            decoding: UnsafeBufferPointer(start: bytes, count: Int(name.len)),
            as: UTF8.self
        )
        return upstreams.withLock { $0.names.contains(text) ? $0.numbers[text] : nil }
    }

    // MARK: The worker

    /// Whether there are requests to begin, or to end.
    public var hasRequests: Bool { hasRequestsNow.pointee }

    /// The requests that were asked for; from now on they run.
    public func takeRequests() -> [CalloutRequest] {
        let taken = requests
        requests = []
        for request in taken { running.insert(request.sequence) }
        return taken
    }

    public func takeCancelled() -> [UInt64] {
        let taken = cancelled
        cancelled = []
        return taken
    }

    /// A callout that ran is over.
    public func ended(_ request: CalloutRequest) {
        running.remove(request.sequence)
        count -= 1
        if request.probe != nil { probeCount -= 1 }
        if let owner = request.owner, owner.pointee.calloutCount > 0 {
            owner.pointee.calloutCount -= 1
        }
    }

    /// Forgets what a request that ends had asked for and was not begun.
    public func forget(_ owner: UnsafeMutablePointer<RequestContext>) {
        let kept = requests.filter { $0.owner != owner }
        count -= requests.count - kept.count
        requests = kept
    }

    /// Forgets what an instance that stops had asked for and was not begun.
    public func forget(_ instance: PluginInstance) {
        for request in requests where request.isOf(instance) {
            count -= 1
            if request.probe != nil { probeCount -= 1 }
            if let owner = request.owner, owner.pointee.calloutCount > 0 {
                owner.pointee.calloutCount -= 1
            }
        }
        requests.removeAll { $0.isOf(instance) }
    }

    // MARK: Plugins

    private func start(
        _ call: UnsafePointer<sluice_call>,
        _ handle: InstanceHandle,
        _ owner: UnsafeMutablePointer<RequestContext>?,
        _ token: UnsafeMutablePointer<sluice_token>
    ) -> Int32 {
        guard let upstream = Self.upstream(call.pointee.upstream) else {
            return Int32(SLUICE_ESTALE)
        }
        guard count < Self.calloutsMax,
            (owner?.pointee.calloutCount ?? 0) < Self.calloutsPerRequestMax
        else { return Int32(SLUICE_ENOMEM) }
        guard
            let request = CalloutRequest(
                call,
                upstream: upstream,
                handle,
                owner: owner,
                sequence: sequence + 1
            )
        else { return Int32(SLUICE_EINVAL) }
        sequence += 1
        count += 1
        owner?.pointee.calloutCount += 1
        requests.append(request)
        token.pointee = sluice_token(slot: UInt32(worker), generation: 1, sequence: sequence)
        return Int32(SLUICE_OK)
    }

    /// `probe` of `sluice.peers/1`.
    func start(
        _ probe: UnsafePointer<sluice_probe>,
        _ handle: InstanceHandle,
        _ token: UnsafeMutablePointer<sluice_token>
    ) -> Int32 {
        guard let order = ProbeOrder(probe) else { return Int32(SLUICE_EINVAL) }
        guard let place = PeerDirectory.shared.place(of: order.peer),
            let upstream = Self.upstream(probe.pointee.upstream),
            place.upstream == upstream
        else { return Int32(SLUICE_ESTALE) }
        guard probeCount < ProbeOrder.probesMax, count < Self.calloutsMax else {
            return Int32(SLUICE_EAGAIN)
        }
        var placed = order
        placed.index = place.index
        guard
            let request = CalloutRequest(
                probe,
                placed,
                upstream: upstream,
                handle,
                sequence: sequence + 1
            )
        else { return Int32(SLUICE_EINVAL) }
        sequence += 1
        count += 1
        probeCount += 1
        requests.append(request)
        token.pointee = sluice_token(slot: UInt32(worker), generation: 1, sequence: sequence)
        return Int32(SLUICE_OK)
    }

    func cancel(_ token: sluice_token) -> Int32 {
        guard token.slot == UInt32(worker), token.generation == 1 else {
            return Int32(SLUICE_ESTALE)
        }
        if let index = requests.firstIndex(where: { $0.sequence == token.sequence }) {
            let request = requests.remove(at: index)
            ended(request)
            return Int32(SLUICE_OK)
        }
        guard running.remove(token.sequence) != nil else { return Int32(SLUICE_ESTALE) }
        cancelled.append(token.sequence)
        return Int32(SLUICE_OK)
    }

    /// Whether the callout was cancelled, so that its plugin must not hear of it.
    public func isCancelled(_ request: CalloutRequest) -> Bool {
        !running.contains(request.sequence)
    }

    // Safe: filled once, never changed and never freed.
    nonisolated(unsafe) static let functions: UnsafePointer<sluice_http_client> = {
        let table = UnsafeMutablePointer<sluice_http_client>.allocate(capacity: 1)
        table.initialize(to: sluice_http_client())
        table.pointee.size = UInt32(MemoryLayout<sluice_http_client>.size)
        table.pointee.start = { host, request, call, token in
            guard let host, let call, let token else { return Int32(SLUICE_EINVAL) }
            let worker = ThreadRole.workerIndex
            guard worker >= 0 else { return Int32(SLUICE_ENOTSUP) }
            return InstanceHandle.with(host) { handle in
                CalloutPort.of(worker: worker).start(
                    call,
                    handle,
                    // Safe: `sluice_req` is the address of a context (`HookCall.enter`).
                    request.map { UnsafeMutablePointer<RequestContext>($0) },
                    token
                )
            }
        }
        table.pointee.cancel = { _, token in
            let worker = ThreadRole.workerIndex
            guard let token, worker >= 0 else { return Int32(SLUICE_ESTALE) }
            return CalloutPort.of(worker: worker).cancel(token.pointee)
        }
        table.pointee.has_upstream = { _, name in CalloutPort.upstream(name) == nil ? 0 : 1 }
        return UnsafePointer(table)
    }()
}
