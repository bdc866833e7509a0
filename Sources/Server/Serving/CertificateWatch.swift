internal import Proxy
internal import Reactor
internal import Sys
internal import TLS

/// Looks at the files of TLS from time to time, and has those that changed read again.
struct CertificateWatch {
    /// Milliseconds between two looks at the time.
    static let tick = 1_000

    /// What a context is called in the log, how often it is looked at, in milliseconds, and how.
    private struct Entry {
        var place: String
        var interval: Int
        var left: Int
        /// Warnings when files were read, nil when nothing has changed.
        var look: @Sendable () throws(TLSFailure) -> [String]?
    }

    private var entries: [Entry] = []

    init(_ settings: ProxySettings, _ tls: TLSContexts) {
        for (index, context) in tls.listeners.enumerated() {
            let interval = settings.listeners[index].tls?.reloadInterval ?? 0
            guard let context, interval > 0 else { continue }
            add("listeners[\(index)].tls", interval) { () throws(TLSFailure) in
                try context.reloadIfChanged()
            }
        }
        for (index, context) in tls.upstreams.enumerated() {
            guard let context else { continue }
            let place = "upstreams.\(settings.upstreams[index].name).tls"
            add(place, TLSServerSettings().reloadInterval) { () throws(TLSFailure) in
                try context.reloadIfChanged()
            }
        }
    }

    private mutating func add(
        _ place: String,
        _ interval: Int,
        _ look: @escaping @Sendable () throws(TLSFailure) -> [String]?
    ) {
        entries.append(Entry(place: place, interval: interval, left: interval, look: look))
    }

    var isEmpty: Bool { entries.isEmpty }

    /// Lets time pass, and looks where it is time.
    mutating func pass(_ milliseconds: Int, _ log: inout ErrorLog) {
        for index in entries.indices {
            entries[index].left -= milliseconds
            guard entries[index].left <= 0 else { continue }
            entries[index].left = entries[index].interval
            let place = entries[index].place
            do throws(TLSFailure) {
                guard let warnings = try entries[index].look() else { continue }
                log.write(3) { $0.text("\(place): the files have changed and are in use") }
                for warning in warnings { log.write(2) { $0.text("\(place): \(warning)") } }
            } catch {
                for line in error.lines {
                    log.write(1) { $0.text("\(place): not reloaded: \(line)") }
                }
            }
        }
    }
}
