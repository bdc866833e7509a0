internal import Admin
internal import PluginHost
internal import Proxy
internal import Reactor
internal import Sys

/// Goes over from one manifest to another while requests run: makes everything new beside what is
/// served, has each worker switch between two events, and lets go of the old once its last request
/// has ended.
///
/// A failure before the switch leaves what is served as it was. All of it is done on the control
/// thread, one order after the other; others leave their orders with `perform`.
final class Generations: @unchecked Sendable {
    // Safe: all but `ledger` belongs to the control thread.

    /// A generation that gets no new requests.
    struct Retiring {
        var running: Running
        /// Its workers were told to stop what no other has.
        var isAsked = false
        /// Its requests were told to end.
        var isCut = false
        var since: UInt64
    }

    /// Milliseconds that the workers get to go over; one that is in a long hook keeps its old plan
    /// until that has ended.
    static let adoptMilliseconds = 30_000
    /// Generations that may wait for their last request at the same time.
    static let retiringMax = 256

    let ledger: GenerationLedger
    let source: any ListenerSource
    private let mailboxes: [Mailbox<WorkerMessage>]
    private(set) var running: Running
    private(set) var retiring: [Retiring] = []
    /// For a process that takes this one's place.
    var manifest = ServedManifest(text: [])
    /// Told of each manifest that is served: its text with the swaps, what it says, and the number
    /// of workers.
    var served: (@Sendable ([UInt8], ProxySettings, Int) -> Void)?
    /// Asks for another process in place of this one, and says why; nil when nobody can.
    var wantsReplacement: (@Sendable (String) -> Void)?
    var canary: Canary?
    /// Sets of peers that plugins gave, by upstream.
    var discovered: [String: [NewPeer]] = [:]
    /// There are sets that are not in use yet.
    var arePeersDue = false
    /// They wait for older generations, which the log has said.
    var arePeersHeld = false
    /// When the next may be put in use, by the kernel's clock.
    var nextPeers: UInt64 = 0
    /// What became of the last one.
    var lastCanary: String?
    private var watch: CertificateWatch
    /// Of the last generation that was made.
    private var number: UInt32
    var log: ErrorLog

    init(
        _ running: Running,
        mailboxes: [Mailbox<WorkerMessage>],
        ledger: GenerationLedger,
        source: any ListenerSource
    ) {
        self.running = running
        self.mailboxes = mailboxes
        self.ledger = ledger
        self.source = source
        number = running.plan.number
        watch = CertificateWatch(running.settings, running.tls)
        log = ErrorLog(level: running.settings.logLevel.rawValue, source: "control")
        PeerDirectory.shared.setWake { [self] in
            _ = ledger.submit { [self] in arePeersDue = true }
        }
    }

    var workerCount: Int { mailboxes.count }

    // MARK: The thread

    /// Works until the ledger is closed. [control]
    func work() {
        ThreadRole.enter(.control)
        var lastTick = Clock.kernelNanoseconds()
        while true {
            switch ledger.next(milliseconds: pause) {
            case .job(let job): job()
            case .news: letGo()
            case .timeOver: break
            case .over: return
            }
            let now = Clock.kernelNanoseconds()
            let passed = Int((now - lastTick) / 1_000_000)
            if passed >= CertificateWatch.tick {
                lastTick = now
                watch.pass(passed, &log)
            }
            if canary != nil { judge() }
            cutWhatIsOver(now)
            if arePeersDue { usePeers() }
        }
    }

    /// How long there is nothing to look at, in milliseconds; nil for ever.
    private var pause: Int? {
        var waits: [Int] = []
        if canary != nil { waits.append(Canary.lookMilliseconds) }
        if arePeersDue { waits.append(Int(Self.peersPauseMilliseconds)) }
        if !watch.isEmpty { waits.append(CertificateWatch.tick) }
        let now = Clock.kernelNanoseconds()
        waits += retiring.compactMap { one in
            end(of: one).map { $0 > now ? Int(($0 - now) / 1_000_000) + 1 : 0 }
        }
        return waits.min()
    }

    /// When a generation's requests are cut; nil when they are not, or have been.
    private func end(of one: Retiring) -> UInt64? {
        let grace = running.settings.lifecycle.reloadGrace
        guard grace > 0, !one.isCut, !one.isAsked else { return nil }
        return one.since + UInt64(grace) * 1_000_000
    }

    private func cutWhatIsOver(_ now: UInt64) {
        for place in retiring.indices {
            guard let end = end(of: retiring[place]), end <= now else { continue }
            retiring[place].isCut = true
            let number = retiring[place].running.plan.number
            post { _ in .cut(generation: number) }
        }
    }

    /// Has the control thread do something, and waits for what comes of it; nil when that thread
    /// has ended. [any other thread]
    func perform<Result: Sendable>(
        _ body: @escaping @Sendable (Generations) -> Result
    ) -> Result? {
        let box = Monitor<Result?>(nil)
        let isTaken = ledger.submit { [self] in
            let result = body(self)
            box.change { $0 = result }
        }
        guard isTaken else { return nil }
        return box.wait { $0 }
    }

    /// What the process that comes adds to its counts; once, before `end`. [control]
    ///
    /// Also of generations that were not let go of before the last worker ended.
    func exportRest() -> (bytes: [UInt8], problems: [String]) {
        var moved: [PluginInstance] = []
        let older = retiring.map(\.running) + [canary?.running].compactMap(\.self)
        for plugin in older.flatMap(\.plugins)
        where !moved.contains(where: { $0 === plugin.instance }) {
            moved.append(plugin.instance)
            moveRest(of: plugin)
        }
        return ProcessState.exportRest(running)
    }

    /// Adds what an instance counted last to the one that serves in its place.
    private func moveRest(of old: RunningPlugin) {
        guard let heir = running.plugin(old.settings.name), heir.lineage === old.lineage,
            heir.instance !== old.instance
        else { return }
        StateTransfer.moveRest(from: old.instance, to: heir.instance)
    }

    /// Ends all that is left, after the last worker has ended. [control]
    func end() {
        PeerDirectory.shared.setWake(nil)
        let live = [running] + retiring.map(\.running) + [canary?.running].compactMap(\.self)
        for (index, one) in live.enumerated() {
            one.plan.dropTables(keeping: live[..<index].map(\.plan))
            for instance in one.plan.instances(notIn: live[..<index].map(\.plan)) {
                instance.destroy()
            }
        }
        source.settle(keeping: [], dropping: running.sockets)
    }

    /// Compares what libraries have left in memory with the limit of what is served.
    private func judgeImages() {
        let limit = running.settings.integrity.retiredImagesMax
        guard let count = ImageRegistry.shared.excess(over: limit) else { return }
        let reason = "\(count) libraries are in memory that nobody uses (max_retired_images)"
        guard let wantsReplacement else {
            return log.write(2) { $0.text("\(reason); a restart would take them out") }
        }
        log.write(3) { $0.text("\(reason): another process is asked for") }
        wantsReplacement(reason)
    }

    // MARK: Going over

    /// A generation's number that none had before.
    func nextNumber() -> UInt32 {
        number += 1
        return number
    }

    /// Makes all that settings need, beside what is served.
    ///
    /// - Parameter quarantine: plugins that are not to be loaded; nil for those that are not now.
    func prepare(
        _ settings: ProxySettings,
        manifest: String,
        quarantine: [Quarantine]? = nil
    ) throws(Preparation.Failure) -> Preparation {
        guard retiring.count < Self.retiringMax else {
            throw Preparation.Failure(lines: [
                "\(retiring.count) generations still wait for their last request; "
                    + "`sluice status` names what holds them"
            ])
        }
        return try Preparation(
            settings,
            manifest: manifest,
            source: source,
            present: Preparation.Present(running: running, number: nextNumber()),
            quarantine: quarantine
        )
    }

    /// Has all workers go over to what was prepared.
    ///
    /// - Parameter keepsWatch: the files that are watched are the same.
    /// - Returns: whether all have; the others will, as soon as they can.
    func switchOver(to next: Running, keepsWatch: Bool = false) -> Bool {
        let workers = post { worker in
            .adopt(Adoption(plan: next.plan, listening: next.listening(ofWorker: worker)))
        }
        let isWhole = ledger.waitAdopted(
            next.plan.number,
            workers: workers,
            milliseconds: Self.adoptMilliseconds
        )
        let dropped = Self.sockets(of: running, notIn: next)
        source.settle(keeping: next.sockets, dropping: dropped)
        for sockets in Self.sockets(of: next, notIn: running) {
            log.write(3) { $0.text("listening on \(sockets.address.text)") }
        }
        for sockets in dropped {
            log.write(3) { $0.text("no longer listening on \(sockets.address.text)") }
        }
        retiring.append(Retiring(running: running, since: Clock.kernelNanoseconds()))
        running = next
        running.settings.announceUpstreams()
        for plugin in running.plugins {
            plugin.instance.setLogLevel(running.settings.logLevel.rawValue)
        }
        log.setLevel(running.settings.logLevel.rawValue)
        if !keepsWatch { watch = CertificateWatch(running.settings, running.tls) }
        publishPeers()
        letGo()
        return isWhole
    }

    private static func sockets(of one: Running, notIn other: Running) -> [ListenerSockets] {
        let kept = Set(other.sockets.flatMap(\.descriptors))
        return one.sockets.filter { kept.isDisjoint(with: $0.descriptors) }
    }

    /// Posts a message to every worker; how many take it.
    @discardableResult
    func post(_ message: (Int) -> WorkerMessage) -> Int {
        var count = 0
        for (worker, mailbox) in mailboxes.enumerated() where mailbox.post(message(worker)) {
            count += 1
        }
        return count
    }

    // MARK: Letting go

    /// A generation that never got to be the current one: nothing new begins with it.
    func retire(_ running: Running) {
        retiring.append(Retiring(running: running, since: Clock.kernelNanoseconds()))
        letGo()
    }

    /// Plans that requests may still be with, but for one of the retiring ones.
    private func live(without place: Int) -> [Plan] {
        var plans = [running.plan]
        if let canary { plans.append(canary.running.plan) }
        for (at, other) in retiring.enumerated() where at != place {
            plans.append(other.running.plan)
        }
        return plans
    }

    /// Plans that requests may still begin or go on with.
    private var begun: [Plan] {
        [running.plan] + [canary?.running.plan].compactMap(\.self)
            + retiring.filter { !$0.isAsked }.map(\.running.plan)
    }

    private func letGo() {
        for place in retiring.indices.reversed() {
            let plan = retiring[place].running.plan
            if !retiring[place].isAsked, ledger.hasDrained(plan.number, workers: workerCount) {
                retiring[place].isAsked = true
                // What only generations have that were asked already is stopped for this one: they
                // left it to whoever comes last.
                let live = begun
                let retirement = Retirement(
                    number: plan.number,
                    instances: plan.instances(notIn: live),
                    peers: plan.peers(notIn: live)
                )
                post { _ in .retire(retirement) }
            }
            guard retiring[place].isAsked, ledger.hasRetired(plan.number, workers: workerCount)
            else { continue }
            destroy(place)
        }
    }

    private func destroy(_ place: Int) {
        let live = live(without: place)
        let gone = retiring.remove(at: place).running
        let plan = gone.plan
        let instances = plan.instances(notIn: live)
        plan.release(keeping: live)
        for instance in instances {
            if let old = gone.plugin(instance.name) { moveRest(of: old) }
            instance.destroy()
            plan.tables.giveInstance(instance.index)
        }
        // No worker is in a library of theirs any more: each has stopped them.
        ImageRegistry.shared.sweep()
        judgeImages()
        ledger.forget(plan.number)
        log.write(3) { line in
            line.text("generation ")
            line.number(Int(plan.number))
            line.text(" is gone")
        }
    }
}
