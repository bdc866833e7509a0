internal import COpenSSL
internal import Synchronization

/// How one listener speaks TLS, for all workers.
///
/// Certificates can be replaced while it serves: connections that stand keep what they began with.
public final class TLSServerContext: Sendable {
    private let settings: TLSServerSettings
    private let protocols: [TLSProtocol]
    private let tickets: TicketKeys
    private let keyLog: KeyLog?
    private let cell: ContextCell
    private let files: Mutex<WatchedFiles>
    /// What is not as it should be, but was loaded: a line each, with the file.
    public let warnings: [String]

    /// Loads all files.
    ///
    /// - Parameter protocols: what ALPN may choose, preferred first. Clients without ALPN are taken
    ///   to speak HTTP/1.
    /// - Throws: every problem that was found.
    public init(
        _ settings: TLSServerSettings,
        protocols: [TLSProtocol]
    ) throws(TLSFailure) {
        self.settings = settings
        self.protocols = protocols
        tickets = TicketKeys(rotationSeconds: UInt64(max(settings.ticketRotation, 60_000) / 1_000))
        var findings = Findings()
        keyLog = settings.keyLog.flatMap { KeyLog($0, &findings) }
        files = Mutex(Self.watched(settings))
        var loader = ServerLoader(settings, protocols, tickets, keyLog)
        let context = loader.load()
        let problems = findings.problems + loader.findings.problems
        guard let context else { throw TLSFailure(problems) }
        guard problems.isEmpty else {
            SSL_CTX_free(context)
            throw TLSFailure(problems)
        }
        warnings = findings.warnings + loader.findings.warnings
        cell = ContextCell(context)
    }

    /// Whether the listener may speak this protocol.
    public func speaks(_ name: TLSProtocol) -> Bool { protocols.contains(name) }

    /// A new connection; nil without memory.
    func makeConnection() -> OpaquePointer? { cell.makeConnection()?.ssl }

    // MARK: Reload

    /// Whether the files are those that it was made of. [any thread]
    public var isCurrent: Bool { !files.withLock { $0.haveChanged } }

    private static func watched(_ settings: TLSServerSettings) -> WatchedFiles {
        let certificates = settings.certificates.flatMap {
            [$0.certificate, $0.key, $0.ocsp].compactMap(\.self)
        }
        return WatchedFiles(certificates + [settings.clientAuth.ca].compactMap(\.self))
    }

    /// Reads all files again, and serves new connections with them: all, or none. [any thread]
    ///
    /// - Returns: warnings, a line each.
    /// - Throws: every problem that was found; what was served before still is.
    @discardableResult
    public func reload() throws(TLSFailure) -> [String] {
        // Noted first: a file that changes while it is read is read once more.
        let now = Self.watched(settings)
        files.withLock { $0 = now }
        var loader = ServerLoader(settings, protocols, tickets, keyLog)
        guard let context = loader.load() else { throw TLSFailure(loader.findings.problems) }
        cell.replace(with: context)
        return loader.findings.warnings
    }

    /// Reads all files again when one of them has changed since the last time, and rotates the keys
    /// of tickets when it is time. [any thread]
    ///
    /// Files that were found bad are not read again before they change.
    ///
    /// - Returns: nil when nothing has changed, else warnings.
    /// - Throws: as `reload`.
    @discardableResult
    public func reloadIfChanged() throws(TLSFailure) -> [String]? {
        tickets.rotate()
        guard files.withLock({ $0.haveChanged }) else { return nil }
        return try reload()
    }

    // MARK: Handing over

    /// The keys of session tickets, for the process that takes over; they are secrets.
    public func exportTicketKeys() -> [UInt8] { tickets.exported() }

    /// Takes over keys that `exportTicketKeys` gave; false, and nothing changed, for other bytes.
    public func importTicketKeys(_ bytes: [UInt8]) -> Bool { tickets.take(bytes) }
}
