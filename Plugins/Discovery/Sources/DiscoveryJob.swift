import CDiscovery
import SluiceSDK

/// What blocks: questions to name servers, reading files, reading a long answer.
package struct DiscoveryJob {
    enum Task {
        /// Asks name servers, or looks at the file.
        case look
        /// Reads the token of a catalog.
        case token
        /// Reads a catalog's answer, and its index.
        case answer([UInt8], index: UInt64?)
    }

    /// What became of a file that was looked at.
    enum FileNews {
        /// It is as it was.
        case same
        /// It was read, well or not.
        case read(PeerFile.Stamp)
        /// It could not be read: the next look reads it again, whatever its stamp.
        case unread
    }

    /// For all questions of a lookup: well below the time that an instance's end waits for jobs.
    static let lookupNanosecondsMax: UInt64 = 8_000_000_000
    /// Bytes of a token.
    static let tokenBytesMax = 512

    let upstream: Int
    let task: Task
    /// For a lookup at the start.
    var startDeadline: UInt64 = .max
    /// The server to begin with, where they take turns.
    var turn = 0
    /// The file that was read last.
    var stamp: PeerFile.Stamp?

    /// Nil when there is no news.
    private(set) var outcome: RefreshOutcome?
    private(set) var fileNews = FileNews.same
    private(set) var token: [UInt8] = []

    init(upstream: Int, _ task: Task) {
        self.upstream = upstream
        self.task = task
    }

    /// Does it, on a thread that may block.
    mutating func run(_ plugin: DiscoveryPlugin) {
        let source = plugin.configuration.upstreams[upstream].source
        switch (task, source) {
        case (.look, .dns(let source)): outcome = lookUp(source, plugin)
        case (.look, .file(let path, _)): look(path)
        case (.token, .consul(_, let file?, _)): readToken(file)
        case (.answer(let body, _), .consul(let source, _, _)): read(body, source)
        default: break
        }
    }

    // MARK: DNS

    private func lookUp(_ source: DNSSource, _ plugin: DiscoveryPlugin) -> RefreshOutcome {
        let configuration = plugin.configuration
        // Read each time, as a change of network writes it anew; a machine without one has a server
        // of its own (resolv.conf(5)).
        var text: [UInt8] = []
        do throws(RefreshFailure) {
            text = try PeerFile.read(
                configuration.resolvConf,
                limit: ResolverSettings.fileBytesMax
            ).bytes
        } catch {
            plugin.host.log(.debug) { error.message }
        }
        let settings = configuration.settings(text)
        let saved = plugin.saved
        let client = DNSClient(
            settings: settings,
            firstServer: settings.rotates ? turn : 0,
            deadline: min(startDeadline, discovery_now() + Self.lookupNanosecondsMax),
            isStopping: { saved.isStopping }
        )
        let lookup = DNSLookup(
            source: source,
            candidates: settings.candidates(for: source.name),
            ask: { client.ask($0) }
        )
        return lookup.run()
    }

    // MARK: File

    private mutating func look(_ path: String) {
        do throws(RefreshFailure) {
            if let stamp, try PeerFile.look(path) == stamp { return }
            fileNews = .unread
            let file = try PeerFile.read(path)
            fileNews = .read(PeerFile.Stamp(file.stamp))
            let peers = try PeerFile.peers(file.bytes, path: path).peers
            outcome =
                peers.isEmpty
                ? .empty(seconds: nil, "\(path): no peers")
                : .peers(Refresh(peers: peers, seconds: 0))
        } catch {
            if case .same = fileNews { fileNews = .unread }
            outcome = .failed(error)
        }
    }

    // MARK: Consul

    private mutating func readToken(_ path: String) {
        do throws(RefreshFailure) {
            token = try Self.token(path)
        } catch {
            outcome = .failed(error)
        }
    }

    /// The token of a file: one line, which nobody but its owner may read.
    static func token(_ path: String) throws(RefreshFailure) -> [UInt8] {
        let file = try PeerFile.read(path, limit: tokenBytesMax + 2)
        guard file.stamp.mode & 0o077 == 0 else {
            let mode = String(file.stamp.mode & 0o777, radix: 8)
            throw RefreshFailure("\(path): others have rights to it (mode 0\(mode)); chmod 600 it")
        }
        var bytes = file.bytes
        if bytes.last == 0x0A { bytes.removeLast() }
        if bytes.last == 0x0D { bytes.removeLast() }
        // No blank either: such a thing is hardly a token.
        guard !bytes.isEmpty, bytes.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw RefreshFailure("\(path): expected one line with a token")
        }
        return bytes
    }

    private mutating func read(_ body: [UInt8], _ source: ConsulSource) {
        do throws(RefreshFailure) {
            let refresh = try ConsulAnswer.refresh(body, source)
            let service = String(decoding: source.service, as: UTF8.self)
            outcome =
                refresh.peers.isEmpty
                ? .empty(seconds: nil, "service \(service): no instance passes")
                : .peers(refresh)
        } catch {
            outcome = .failed(error)
        }
    }
}
