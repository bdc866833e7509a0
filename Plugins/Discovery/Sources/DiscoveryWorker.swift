import SluiceSDK

/// What is known of each upstream, and what is being asked: the state of worker 0.
///
/// A class, as it tells the lookups of other threads when it ends.
package final class DiscoveryWorker {
    /// Lookups of name servers at the same time: there are four threads for all plugins.
    static let lookupsMax = 2

    /// What is known of one upstream.
    struct Upstream {
        var clock: RefreshClock
        /// The last good set; nil before there is one.
        var list: PeerList?
        /// Whether the host has taken it.
        var isGiven = false
        /// Why the last question failed; nil when it did not.
        var failure: RefreshFailure?
        /// Of the file that was read last.
        var stamp: PeerFile.Stamp?
        /// Of the catalog.
        var index = ConsulIndex()
    }

    private(set) var upstreams: [Upstream]
    private let saved: SavedPeers
    private let tenure: Tenure
    /// Of this instance; 0 on other workers.
    private let number: Int
    private var lookups = 0
    private var waiting: [Int] = []
    private var turn = 0

    init(_ plugin: DiscoveryPlugin, isOwn: Bool) {
        tenure = plugin.tenure
        number = isOwn ? plugin.tenure.begin() : 0
        saved = plugin.saved
        let list = isOwn ? plugin.configuration.upstreams : []
        upstreams = list.map { Upstream(clock: RefreshClock($0.clock)) }
    }

    deinit {
        guard number > 0 else { return }
        saved.stop()
        tenure.end(number)
    }

    /// Takes what there is from before the worker's start, and asks for what there is not.
    func begin(_ plugin: DiscoveryPlugin) {
        for index in upstreams.indices {
            let upstream = plugin.configuration.upstreams[index]
            if let list = saved.peers(of: upstream.name, from: upstream.source) {
                upstreams[index].list = list
                give(list, to: index, plugin)
            }
            // A hook of the start must not take long: the first question is a timer's.
            schedule(index, after: 0, plugin)
        }
    }

    /// The host has other peers of an upstream: none, if a reload left it out for a while.
    func changed(_ name: Bytes, _ plugin: DiscoveryPlugin) {
        guard number > 0, tenure.isCurrent(number) else { return }
        let list = plugin.configuration.upstreams
        guard let index = list.firstIndex(where: { $0.name == name }),
            let known = upstreams[index].list, !known.peers.isEmpty,
            plugin.peers.peers(of: name)?.isEmpty == true
        else { return }
        give(known, to: index, plugin)
    }

    // MARK: Asking

    /// Asks the source of an upstream.
    func refresh(_ index: Int, _ plugin: DiscoveryPlugin) {
        guard tenure.isCurrent(number) else {
            return schedule(index, after: Tenure.pauseNanoseconds, plugin)
        }
        switch plugin.configuration.upstreams[index].source {
        case .dns:
            waiting.append(index)
            startLookups(plugin)
        case .file:
            var job = DiscoveryJob(upstream: index, .look)
            job.stamp = upstreams[index].stamp
            start(job, plugin)
        case .consul(_, let tokenFile, _):
            if tokenFile == nil {
                call(index, token: [], plugin)
            } else {
                start(DiscoveryJob(upstream: index, .token), plugin)
            }
        }
    }

    private func startLookups(_ plugin: DiscoveryPlugin) {
        while lookups < Self.lookupsMax, !waiting.isEmpty {
            var job = DiscoveryJob(upstream: waiting.removeFirst(), .look)
            job.turn = turn
            turn += 1
            lookups += 1
            if !start(job, plugin) { lookups -= 1 }
        }
    }

    @discardableResult
    private func start(_ job: DiscoveryJob, _ plugin: DiscoveryPlugin) -> Bool {
        do throws(ServiceError) {
            try plugin.jobs.start(job)
            return true
        } catch {
            fail(job.upstream, RefreshFailure("no thread for it: \(error.text)"), plugin)
            return false
        }
    }

    private func call(_ index: Int, token: [UInt8], _ plugin: DiscoveryPlugin) {
        let upstream = plugin.configuration.upstreams[index]
        guard case .consul(let source, _, _) = upstream.source else { return }
        let known = upstreams[index].index.value
        let failure = source.upstream.withBytes { name -> ServiceError? in
            source.path(index: known).withBytes { path in
                var request = CallRequest(name, path)
                request.bodyBytesMax = ConsulAnswer.bytesMax
                request.timeoutNanoseconds = source.timeoutNanoseconds(index: known)
                do throws(ServiceError) {
                    try plugin.callouts.start(
                        request,
                        DiscoveryPlugin.Callout(upstream: UInt32(index))
                    ) { fields in
                        guard !token.isEmpty else { return }
                        token.withBytes { fields.add("x-consul-token", $0) }
                    }
                    return nil
                } catch {
                    return error
                }
            }
        }
        if let failure { fail(index, RefreshFailure("no request: \(failure.text)"), plugin) }
    }

    /// Takes a catalog's answer; its text is read elsewhere, as it may be long.
    func answered(_ index: Int, _ result: CallResult, _ plugin: DiscoveryPlugin) {
        switch result.outcome {
        case .failed: fail(index, RefreshFailure("the catalog can't be reached"), plugin)
        case .timeout: fail(index, RefreshFailure("the catalog does not answer"), plugin)
        case .tooLarge:
            let text = "the catalog's answer is longer than \(ConsulAnswer.bytesMax) bytes"
            fail(index, RefreshFailure(text), plugin)
        case .response where result.status != 200:
            fail(index, RefreshFailure("the catalog answers \(result.status)"), plugin)
        case .response:
            let header = result.fields?.first(named: "x-consul-index")?.decimal
            start(
                DiscoveryJob(upstream: index, .answer([UInt8](result.body), index: header)),
                plugin
            )
        }
    }

    // MARK: Answers

    /// Takes a job that has run.
    func finish(_ job: DiscoveryJob, _ plugin: DiscoveryPlugin) {
        let index = job.upstream
        let upstream = plugin.configuration.upstreams[index]
        if case .dns = upstream.source {
            lookups -= 1
            startLookups(plugin)
        }
        guard tenure.isCurrent(number) else {
            return schedule(index, after: Tenure.pauseNanoseconds, plugin)
        }
        if case .read(let stamp) = job.fileNews { upstreams[index].stamp = stamp }
        if case .unread = job.fileNews { upstreams[index].stamp = nil }
        if case .token = job.task, job.outcome == nil {
            return call(index, token: job.token, plugin)
        }
        switch job.outcome {
        case nil:
            // The file is as it was, and so is what was said of it.
            schedule(index, after: interval(upstream.source), plugin)
        case .failed(let failure): fail(index, failure, plugin)
        case .empty(let seconds, let text):
            if case .answer(_, let header) = job.task { upstreams[index].index.take(header) }
            takeNone(index, seconds, text, plugin)
        case .peers(let refresh):
            if case .answer(_, let header) = job.task { upstreams[index].index.take(header) }
            take(index, refresh, plugin)
        }
    }

    private func take(_ index: Int, _ refresh: Refresh, _ plugin: DiscoveryPlugin) {
        let upstream = plugin.configuration.upstreams[index]
        var peers = refresh.peers
        if refresh.lacksV4 || refresh.lacksV6 {
            // Of a family that nobody answered for, what was known stays.
            for peer in upstreams[index].list?.peers ?? []
            where peer.isV6 ? refresh.lacksV6 : refresh.lacksV4 {
                if !peers.contains(where: { $0.address == peer.address }) { peers.append(peer) }
            }
        }
        let list = PeerList(peers)
        guard list.peers.count <= upstream.peersMax else {
            let text = "\(list.peers.count) peers; max_peers is \(upstream.peersMax)"
            return fail(index, RefreshFailure(text), plugin)
        }
        if put(list, in: index, refresh.note, plugin) {
            let delay = upstreams[index].clock.answered(
                seconds: refresh.seconds,
                random: plugin.host.random()
            )
            succeeded(index, delay, plugin)
        }
    }

    private func takeNone(
        _ index: Int,
        _ seconds: Int?,
        _ text: String,
        _ plugin: DiscoveryPlugin
    ) {
        let upstream = plugin.configuration.upstreams[index]
        let isKept = !upstream.clearsWhenEmpty && upstreams[index].list?.peers.isEmpty == false
        if !isKept {
            guard put(PeerList([]), in: index, text, plugin) else { return }
        } else {
            tell(index, RefreshFailure(text), plugin)
        }
        let delay = upstreams[index].clock.answeredNone(
            seconds: seconds,
            random: plugin.host.random()
        )
        succeeded(index, delay, isHealthy: !isKept, plugin)
    }

    /// Puts a set in use, if it is another one; false when the host refused it.
    private func put(
        _ list: PeerList,
        in index: Int,
        _ note: String,
        _ plugin: DiscoveryPlugin
    ) -> Bool {
        let change = list.change(from: upstreams[index].list ?? PeerList([]))
        let isFirst = upstreams[index].list == nil
        guard isFirst || !change.isEmpty || !upstreams[index].isGiven else { return true }
        do throws(PluginError) {
            try plugin.give(list, to: index)
        } catch {
            fail(index, RefreshFailure(error.message), plugin)
            return false
        }
        upstreams[index].isGiven = true
        upstreams[index].list = list
        plugin.save(list, of: index)
        guard isFirst || !change.isEmpty else { return true }
        plugin.counts[index].changes.add()
        plugin.host.log(.info) {
            let name = String(plugin.configuration.upstreams[index].name)
            var line = "upstream \(name): \(list.text)"
            if !change.isEmpty { line += ": " + change.text }
            return note.isEmpty ? line : line + "; " + note
        }
        return true
    }

    private func give(_ list: PeerList, to index: Int, _ plugin: DiscoveryPlugin) {
        do throws(PluginError) {
            try plugin.give(list, to: index)
            upstreams[index].isGiven = true
        } catch {
            tell(index, RefreshFailure(error.message), plugin)
        }
    }

    // MARK: Ends

    private func succeeded(
        _ index: Int,
        _ delay: UInt64,
        isHealthy: Bool = true,
        _ plugin: DiscoveryPlugin
    ) {
        plugin.counts[index].refreshes.add()
        plugin.counts[index].answeredAt.set(Int(plugin.host.wallClockSeconds))
        if isHealthy, upstreams[index].failure != nil {
            upstreams[index].failure = nil
            let name = String(plugin.configuration.upstreams[index].name)
            plugin.host.log(.info) { "upstream \(name): its source answers again" }
        }
        let source = plugin.configuration.upstreams[index].source
        if case .dns = source {
            schedule(index, after: delay, plugin)
        } else {
            schedule(index, after: interval(source), plugin)
        }
    }

    private func fail(_ index: Int, _ failure: RefreshFailure, _ plugin: DiscoveryPlugin) {
        plugin.counts[index].failures.add()
        upstreams[index].index.reset()
        tell(index, failure, plugin)
        let source = plugin.configuration.upstreams[index].source
        let delay = upstreams[index].clock.failed(random: plugin.host.random())
        if case .file(_, let interval) = source {
            // What is wrong with a file is known by looking at it, which costs little.
            schedule(index, after: interval, plugin)
        } else {
            schedule(index, after: delay, plugin)
        }
    }

    /// One line for a failure, and none for the same again.
    private func tell(_ index: Int, _ failure: RefreshFailure, _ plugin: DiscoveryPlugin) {
        guard upstreams[index].failure != failure else { return }
        upstreams[index].failure = failure
        let list = upstreams[index].list ?? PeerList([])
        let name = String(plugin.configuration.upstreams[index].name)
        plugin.host.log(.warn) {
            "upstream \(name): \(failure.message); "
                + (list.peers.isEmpty ? "it has no peers" : "it keeps its \(list.text)")
        }
    }

    private func interval(_ source: PeerSource) -> UInt64 {
        switch source {
        case .dns: 0
        case .file(_, let interval): interval
        case .consul(_, _, let interval): interval
        }
    }

    private func schedule(_ index: Int, after delay: UInt64, _ plugin: DiscoveryPlugin) {
        do throws(ServiceError) {
            let work = DiscoveryPlugin.Work(upstream: UInt32(index))
            try plugin.scheduler.after(nanoseconds: delay, work)
        } catch {
            // There are fewer upstreams than timers, so this is a fault of the host's.
            plugin.host.log(.error) { "no timer: \(error.text)" }
        }
    }
}
