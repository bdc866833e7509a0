import CSluice
import SluiceSDK
import SluiceTestKit
import Synchronization
import Testing

/// Counts requests, over all instances that ever were.
private struct Tally: RequestHeadersHook, HandoverPlugin {
    static let id: StaticString = "org.sluice.test.tally"
    static let version: StaticString = "1.0.0"
    static let summary: StaticString = "Counts."

    final class Total: Sendable {
        let seen = Atomic<UInt64>(0)
        let told = Atomic<UInt64>(0)
    }

    let total = Total()
    let most: UInt64

    init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        most = UInt64(try configuration.integer("most", in: 0...1_000) ?? 1_000)
    }

    func requestHeaders(_ exchange: borrowing Exchange<Self>) -> Verdict {
        var writer = exchange.writer(capacity: 20)
        writer.append(decimal: total.seen.wrappingAdd(1, ordering: .relaxed).newValue)
        return exchange.respond(status: 200, body: writer.bytes)
    }

    func exportState(to sink: inout StateSink) throws(PluginError) {
        let seen = total.seen.load(ordering: .relaxed)
        sink.write(value: seen)
        total.told.store(seen, ordering: .relaxed)
    }

    func importState(_ state: Bytes) throws(PluginError) {
        guard let seen = state.load(UInt64.self, at: 0) else { throw PluginError("no total") }
        total.seen.store(seen, ordering: .relaxed)
        total.told.store(seen, ordering: .relaxed)
    }

    func warm() throws(PluginError) {
        let seen = total.seen.load(ordering: .relaxed)
        if seen > most { throw PluginError("\(seen) are more than \(most)") }
    }

    func exportRest(to sink: inout StateSink) throws(PluginError) {
        let seen = total.seen.load(ordering: .relaxed)
        let change = seen - total.told.load(ordering: .relaxed)
        if change > 0 { sink.write(value: change) }
    }

    func importRest(_ rest: Bytes) throws(PluginError) {
        guard rest.count == 8, let change = rest.load(UInt64.self, at: 0) else {
            throw PluginError("no change of a total")
        }
        total.seen.wrappingAdd(change, ordering: .relaxed)
    }

    static func offer(_ offer: inout Offer) {
        offer.create = { Export<Self>.create($0, $1, $2) }
        offer.requestHeaders = { Export<Self>.requestHeaders($0, $1, $2, $3, $4) }
        offer.exportState = { Export<Self>.exportState($0, $1, $2) }
        offer.importState = { Export<Self>.importState($0, $1, $2) }
        offer.warm = { Export<Self>.warm($0, $1) }
        offer.exportRest = { Export<Self>.exportRest($0, $1, $2) }
        offer.importRest = { Export<Self>.importRest($0, $1, $2) }
    }
}

/// Has a state, and says no more of it than it must.
private struct Silent: HandoverPlugin {
    static let id: StaticString = "org.sluice.test.silent"
    static let version: StaticString = "1.0.0"
    static let summary: StaticString = "Takes what comes."

    init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {}

    func exportState(to sink: inout StateSink) throws(PluginError) { sink.write("s") }

    func importState(_ state: Bytes) throws(PluginError) {}

    static func offer(_ offer: inout Offer) {
        offer.create = { Export<Self>.create($0, $1, $2) }
        offer.exportState = { Export<Self>.exportState($0, $1, $2) }
        offer.importState = { Export<Self>.importState($0, $1, $2) }
        offer.warm = { Export<Self>.warm($0, $1) }
        offer.exportRest = { Export<Self>.exportRest($0, $1, $2) }
        offer.importRest = { Export<Self>.importRest($0, $1, $2) }
    }
}

struct HandoverTests {
    private func count(_ plugin: PluginFixture) -> Int? {
        let request = RequestFixture("GET", "/")
        _ = plugin.requestHeaders(request)
        return request.replyBody.flatMap { Int($0) }
    }

    @Test
    func `what requests change while the state moves is added once`() throws {
        let old = try PluginFixture(Tally.self)
        #expect((1...3).map { _ in count(old) } == [1, 2, 3])
        let new = try PluginFixture(Tally.self)
        try new.importState(try old.exportState())
        try new.warm()
        #expect((1...2).map { _ in count(old) } == [4, 5])
        #expect(count(new) == 4)
        try new.importRest(try old.exportRest())
        #expect(count(new) == 7)
    }

    @Test
    func `an instance says why it can't serve`() throws {
        let old = try PluginFixture(Tally.self)
        for _ in 0..<3 { _ = count(old) }
        let new = try PluginFixture(Tally.self, ["most": 2])
        try new.warm()
        try new.importState(try old.exportState())
        let refused = #expect(throws: PluginFixture.Refused.self) { try new.warm() }
        #expect(refused?.line == "3 are more than 2")
    }

    @Test(arguments: [[], [1], [UInt8](repeating: 0, count: 9)])
    func `a rest that is not understood is refused and changes nothing`(rest: [UInt8]) throws {
        let plugin = try PluginFixture(Tally.self)
        let refused = #expect(throws: PluginFixture.Refused.self) { try plugin.importRest(rest) }
        #expect(refused?.code == Int32(SLUICE_EINVAL))
        #expect(count(plugin) == 1)
    }

    @Test
    func `without functions of its own it is ready, writes nothing and takes nothing`() throws {
        let plugin = try PluginFixture(Silent.self)
        try plugin.warm()
        #expect(try plugin.exportRest() == [])
        let refused = #expect(throws: PluginFixture.Refused.self) { try plugin.importRest([1]) }
        #expect(refused?.line == "takes no rest of a state")
    }

    @Test
    func `the handshake names the role, and no other id has its table`() throws {
        let plugin = try PluginFixture(Tally.self)
        let roles = try #require(plugin.hello.roles)
        #expect(roles[0].map { String(cString: $0) } == SLUICE_HANDOVER_ID)
        #expect(roles[1] == nil)
        #expect(plugin.table(SLUICE_HANDOVER_ID) != nil)
        for id in ["", "sluice.handover/", "sluice.handover/12", SLUICE_LB_ID] {
            #expect(plugin.table(id) == nil, "\(id)")
        }
    }
}
