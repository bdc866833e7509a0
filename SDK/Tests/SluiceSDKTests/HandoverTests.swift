import CSluice
import SluiceSDK
import SluiceTestKit
import Testing

/// Counts requests, and hands all of them over.
private struct Tally: ~Copyable, RequestHeadersHook, HandoverPlugin {
    static let id: StaticString = "org.sluice.test.tally"
    static let version: StaticString = "1.0.0"
    static let summary: StaticString = "Counts."

    final class Count {
        var own: UInt64 = 0
        var known: UInt64 = 0
    }

    let count = Count()
    let isReady: Bool

    init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        isReady = try configuration.bool("ready") ?? true
    }

    func requestHeaders(_ exchange: borrowing Exchange<Self>) -> Verdict {
        count.own += 1
        return exchange.respond(status: 200 + Int(count.own))
    }

    func warm() throws(PluginError) {
        guard isReady else { throw PluginError("not ready") }
    }

    func exportState(to sink: inout StateSink) throws(PluginError) {
        sink.write(value: count.own)
        count.known = count.own
    }

    func importState(_ state: Bytes) throws(PluginError) {
        try importRest(state)
        count.known = count.own
    }

    func exportRest(to sink: inout StateSink) throws(PluginError) {
        sink.write(value: count.own - count.known)
    }

    func importRest(_ rest: Bytes) throws(PluginError) {
        guard rest.count == 8, let number = rest.load(UInt64.self, at: 0) else {
            throw PluginError("no number")
        }
        count.own += number
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

struct HandoverTests {
    private func count(_ plugin: PluginFixture) -> String? {
        let request = RequestFixture("GET", "/")
        _ = plugin.requestHeaders(request)
        return request.response[":status"]
    }

    @Test
    func `nothing is lost that the last requests change`() throws {
        let old = try PluginFixture(Tally.self)
        #expect(count(old) == "201")
        let new = try PluginFixture(Tally.self)
        try new.importState(try old.exportState())
        try new.warm()
        #expect(count(old) == "202", "a request that the old one still has")
        #expect(count(new) == "202")
        try new.importRest(try old.exportRest())
        #expect(count(new) == "204")
        // What came since its own import: two requests, and the rest of the one before.
        #expect(try new.exportRest() == [3, 0, 0, 0, 0, 0, 0, 0])
    }

    @Test
    func `an instance that is not ready says why`() throws {
        let plugin = try PluginFixture(Tally.self, ["ready": false])
        let refused = #expect(throws: PluginFixture.Refused.self) { try plugin.warm() }
        #expect(refused?.line == "not ready")
    }

    @Test
    func `a rest that is not understood is refused`() throws {
        let plugin = try PluginFixture(Tally.self)
        let refused = #expect(throws: PluginFixture.Refused.self) { try plugin.importRest([1]) }
        #expect(refused?.line == "no number")
        #expect(refused?.code == Int32(SLUICE_EINVAL))
    }

    @Test
    func `a plugin that hands nothing over has no table`() throws {
        let plugin = try PluginFixture(Tally.self)
        #expect(plugin.table(SLUICE_HANDOVER_ID) != nil)
        #expect(plugin.table(SLUICE_LB_ID) == nil)
        #expect(plugin.table("sluice.handover/10") == nil)
        #expect(plugin.table("sluice.handover/") == nil)
    }
}
