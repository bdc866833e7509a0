package import PluginHost
package import Proxy
import Reactor
import Sys

/// One worker of the real proxy on the calling thread, with a clock that is moved by hand and
/// clients and origins that are scripted.
///
/// Nothing of the proxy is made again here: this makes a plan and a worker from settings, as
/// starting up does, and turns the worker's loop. In place of listeners, `connect` hands the worker
/// one end of a pair of sockets; in place of its peers' addresses, the plan has Unix sockets that
/// the engine listens on. Both are used without blocking and without another thread, so that what
/// happens depends on the script alone.
///
/// The clock, the log and the tables of workers belong to the process: there is one engine at a
/// time (`Turnstile`).
package final class TestEngine {
    package let instances: [PluginInstance]
    /// In the order of `instances`.
    package let probes: [HookProbe]
    var worker: Worker
    private var log: MemoryFile
    /// Bytes of the log that there was no room for.
    private var unread: [UInt8] = []
    var origins: [Origin]
    private let folder: String
    let versions: EndVersions
    /// Our ends of connections, with clients and origins alike.
    var ends: Set<Int32> = []
    /// Ends that are translated.
    var translated: [Int32: (link: HTTP2Link, stream: TextStream)] = [:]
    /// Connections that are translated, oldest first.
    var links: [Link] = []
    /// The number of the next stream of an origin: above all descriptors.
    var nextStreamEnd: Int32 = 1 << 24
    let translationRoom = TranslationRoom()
    /// Nanoseconds of the clock.
    package private(set) var now: UInt64

    /// Turns after which `settle` gives up: something keeps the loop busy.
    package static let turnsMax = 200_000
    /// Connections that wait for `accept` at an origin.
    private static let backlog: Int32 = 64

    /// A connection that is translated.
    struct Link {
        let link: HTTP2Link
        /// Nil for a client's.
        let peer: Int?
    }

    /// Where the connections to a peer arrive.
    struct Origin {
        let address: SocketAddress
        /// -1 while connections are refused.
        var listening: Int32
    }

    /// - Parameters:
    ///   - settings: checked. Addresses of listeners and peers are names only.
    ///   - views: what becomes of the views that hooks were given.
    ///   - versions: what the test's text is translated to; the settings must agree.
    ///   - make: makes the instances of `settings.plugins`, in order, for one worker.
    /// - Throws: why there is no engine, in one or more lines.
    package init(
        _ settings: ProxySettings,
        views: HookProbe.Views,
        versions: EndVersions = EndVersions(),
        make: () throws(PluginError) -> [PluginInstance]
    ) throws(PluginError) {
        try versions.check(settings)
        self.versions = versions
        try Turnstile.enter()
        do throws(PluginError) {
            let opened = try Self.prepare(settings, views, make)
            folder = opened.folder
            origins = opened.origins
            instances = opened.instances
            probes = opened.probes
            now = opened.now
            log = opened.log
            worker = opened.worker
        } catch {
            Self.restore()
            throw error
        }
        worker.begin()
        settle()
    }

    private static func restore() {
        File.setErrorOutput(2)
        Clock.setManual(0)
        ThreadRole.enter(.other)
        Turnstile.leave()
    }

    private struct Opened: ~Copyable {
        let log: MemoryFile
        let folder: String
        let origins: [Origin]
        let instances: [PluginInstance]
        let probes: [HookProbe]
        let worker: Worker
        let now: UInt64
    }

    private static func prepare(
        _ settings: ProxySettings,
        _ views: HookProbe.Views,
        _ make: () throws(PluginError) -> [PluginInstance]
    ) throws(PluginError) -> Opened {
        Signals.ignorePipe()
        ThreadRole.enter(.control)
        let now = Clock.kernelNanoseconds()
        Clock.setManual(now)
        WorkerPort.of(worker: 0).renew()
        var instances: [PluginInstance] = []
        do {
            let log = try MemoryFile(name: "sluice-engine-log")
            File.setErrorOutput(log.number)
            // As in a start: plugins may look for an upstream that their configuration names.
            CalloutPort.setUpstreams(Set(settings.upstreams.map(\.name)))
            instances = try make()
            let probes = instances.map { $0.watch(views) }
            let folder = try File.makeTemporaryFolder(prefix: "/tmp/sluice-engine-")
            let count = settings.upstreams.reduce(0) { $0 + $1.peers.count }
            var origins: [Origin] = []
            for index in 0..<count {
                let address = SocketAddress(unixPath: "\(folder)/\(index)") ?? SocketAddress()
                origins.append(Origin(address: address, listening: try listen(address)))
            }
            var next = origins.map(\.address)[...]
            let tls = TLSContexts(settings)
            guard tls.problems.isEmpty else {
                throw PluginError(tls.problems.joined(separator: "\n"))
            }
            let plan = try Plan(
                settings,
                instances: instances,
                addresses: settings.listeners.map { _ in SocketAddress() },
                peerAddresses: settings.upstreams.map { upstream in
                    defer { next = next.dropFirst(upstream.peers.count) }
                    return Array(next.prefix(upstream.peers.count))
                },
                tls: tls,
                tables: PlanTables(workerCount: 1),
                descriptorLimit: 1_024
            )
            PeerDirectory.shared.publish(plan.directory(settings))
            var worker = Worker(
                index: 0,
                plan: plan,
                listening: [],
                mailbox: try Mailbox<WorkerMessage>(),
                poller: try Epoll()
            )
            try worker.start()
            return Opened(
                log: log,
                folder: folder,
                origins: origins,
                instances: instances,
                probes: probes,
                worker: worker,
                now: now
            )
        } catch {
            for instance in instances { instance.destroy() }
            throw error as? PluginError ?? PluginError("the engine can't start: \(error)")
        }
    }

    static func listen(_ address: SocketAddress) throws(Errno) -> Int32 {
        var options = Socket.ListenOptions()
        options.backlog = backlog
        return try Socket.listen(address, options).release()
    }

    // MARK: The loop

    /// A turn of the loop, without waiting; the number of its events.
    @discardableResult
    package func turn() -> Int {
        turn(milliseconds: 0)
    }

    private func turn(milliseconds: Int32) -> Int {
        // Arms what the loop would wait for.
        _ = worker.millisecondsToNext()
        let count = worker.wait(milliseconds: milliseconds)
        worker.turn(events: count, now: now)
        return count
    }

    /// Turns the loop until there is nothing to do at this time; false when it does not end.
    @discardableResult
    package func settle() -> Bool {
        for _ in 0..<Self.turnsMax where turn() == 0 && worker.isIdle && !moveLinks() {
            return true
        }
        return false
    }

    /// Waits for what another thread does: up to so many real milliseconds, until the loop has an
    /// event; then settles.
    ///
    /// - Returns: whether there was one.
    package func wait(milliseconds: Int32) -> Bool {
        let hadEvent = turn(milliseconds: milliseconds) > 0
        return settle() && hadEvent
    }

    /// Moves the clock on, and stops at each timer on the way.
    package func advance(_ nanoseconds: UInt64) {
        settle()
        let end = now &+ nanoseconds
        while now < end {
            let next = worker.millisecondsToNext()
            var time = end
            if next >= 0 {
                time = (now / 1_000_000 &+ UInt64(max(next, 1))) &* 1_000_000
            }
            now = min(end, time)
            Clock.setManual(now)
            settle()
        }
    }

    /// Nanoseconds to the next timer, rounded up to milliseconds; nil when there is none.
    package var nextTimer: UInt64? {
        let next = worker.millisecondsToNext()
        return next < 0 ? nil : UInt64(next) * 1_000_000
    }

    // MARK: Looking

    /// Lines of the log since the last call.
    package func takeLog() -> [UInt8] {
        defer { unread = [] }
        return unread + log.take()
    }

    /// The same, as far as there is room; the number of bytes.
    package func takeLog(_ to: UnsafeMutablePointer<UInt8>, _ capacity: Int) -> Int {
        unread += log.take()
        let count = min(unread.count, capacity)
        for index in 0..<count { to[index] = unread[index] }
        unread.removeFirst(count)
        return count
    }

    /// Requests that wait for a plugin.
    package var waitCount: Int { worker.waitCount }

    /// Connections of clients that the worker has.
    package var openConnections: Int { worker.openConnections }

    /// Ends what waits now as the plugins themselves would, with this payload; how many.
    package func resumeAll(payload: UInt64) -> Int {
        var count = 0
        for token in probes.flatMap(\.waits) {
            let result = Suspensions.resume(token, reason: 1, payload: payload)
            if result == 0 { count += 1 }
        }
        settle()
        return count
    }

    // MARK: The end

    /// Closes all connections, lets requests end, stops and destroys the instances.
    ///
    /// - Returns: a line for everything that should be gone and is not.
    package func close() -> [String] {
        for end in ends { Syscall.close(end) }
        for link in links { link.link.close() }
        (ends, links, translated) = ([], [], [:])
        for index in origins.indices where origins[index].listening >= 0 {
            Syscall.close(origins[index].listening)
        }
        settle()
        worker.drain()
        settle()
        // A day of the clock is more than any timeout of a manifest.
        for _ in 0..<24 where worker.openConnections > 0 { advance(3_600_000_000_000) }
        var lines: [String] = []
        if worker.openConnections > 0 {
            lines.append("requests that do not end: \(worker.openConnections)")
        }
        if worker.waitCount > 0 { lines.append("waits that do not end: \(worker.waitCount)") }
        worker.end()
        ThreadRole.enter(.control)
        for probe in probes { probe.retireViews() }
        Clock.setManual(0)
        for instance in instances { instance.destroy() }
        // The next engine's peers have the same names and numbers.
        PeerDirectory.shared.publish([])
        for index in origins.indices { File.remove("\(folder)/\(index)") }
        File.removeFolder(folder)
        Self.restore()
        return lines
    }
}
