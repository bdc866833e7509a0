import SluiceSDK
import Synchronization

/// What plugins/counter.c is, in Swift: it counts requests for /checked in a table of the host,
/// which outlives an instance, and in memory of its own, which is handed over.
///
/// GET /swift-count tells both, behind the number of the build.
struct SwiftCounter: ~Copyable, RequestHeadersHook, ResponseHeadersHook, HandoverPlugin {
    static let id: StaticString = "org.sluice.test.swift-counter"
    static let version: StaticString = "1.0.0"
    static let summary: StaticString = "Counts requests, and hands the count over."
    static var needs: HostTables { [.shared] }

    #if SECOND
        static let build: StaticString = "2"
    #else
        static let build: StaticString = "1"
    #endif

    private static var stateVersion: Bytes { "count/1" }

    private let table: SharedCounters
    private let key = SharedKey(low: 1, high: 1)
    private let field: FieldName
    /// Requests that this instance and those before it counted.
    private let own: Atomic<UInt64>
    /// Of these, what another instance counted or was told.
    private let known: Atomic<UInt64>

    init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        let table = try SharedCounters(host, "counts", capacity: 64)
        let field = try FieldName(named: "x-swift-build")
        self.table = table
        self.field = field
        own = Atomic(0)
        known = Atomic(0)
    }

    func requestHeaders(_ exchange: borrowing Exchange<Self>) -> Verdict {
        let target = exchange.fields.target
        if target == "/checked" {
            own.add(1, ordering: .relaxed)
            table.add(1, to: key, ttlNanoseconds: 0)
        } else if target == "/swift-count" {
            var writer = exchange.writer(capacity: 64)
            writer.append(Bytes(Self.build))
            writer.append(" ")
            writer.append(decimal: UInt64(table.value(key)))
            writer.append(" ")
            writer.append(decimal: own.load(ordering: .relaxed))
            return exchange.respond(status: 200, body: writer.bytes)
        }
        return .next
    }

    func responseHeaders(_ exchange: borrowing Exchange<Self>) -> Verdict {
        exchange.edits.set(field, Bytes(Self.build))
        return .next
    }

    // MARK: State

    func exportState(to sink: inout StateSink) throws(PluginError) {
        let count = own.load(ordering: .relaxed)
        sink.write(Self.stateVersion)
        if sink.write(value: count) { known.store(count, ordering: .relaxed) }
    }

    func importState(_ state: Bytes) throws(PluginError) {
        known.store(try add(state), ordering: .relaxed)
    }

    func exportRest(to sink: inout StateSink) throws(PluginError) {
        let rest = own.load(ordering: .relaxed) - known.load(ordering: .relaxed)
        sink.write(Self.stateVersion)
        sink.write(value: rest)
    }

    func importRest(_ rest: Bytes) throws(PluginError) { _ = try add(rest) }

    private func add(_ state: Bytes) throws(PluginError) -> UInt64 {
        guard state.hasPrefix(Self.stateVersion), state.count == Self.stateVersion.count + 8,
            let count = state.load(UInt64.self, at: Self.stateVersion.count)
        else { throw PluginError("no count of this version") }
        own.add(count, ordering: .relaxed)
        return count
    }

    static func offer(_ offer: inout Offer) {
        offer.create = { Export<Self>.create($0, $1, $2) }
        offer.requestHeaders = { Export<Self>.requestHeaders($0, $1, $2, $3, $4) }
        offer.responseHeaders = { Export<Self>.responseHeaders($0, $1, $2, $3, $4) }
        offer.exportState = { Export<Self>.exportState($0, $1, $2) }
        offer.importState = { Export<Self>.importState($0, $1, $2) }
        offer.exportRest = { Export<Self>.exportRest($0, $1, $2) }
        offer.importRest = { Export<Self>.importRest($0, $1, $2) }
    }
}
