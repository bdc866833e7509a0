import HTTP
import Testing

@testable import Proxy

/// What is counted of HTTP/2, and that names agree.
struct H2CountersTests {
    @Test(arguments: H2Bound.allCases)
    func `each bound has a counter of its own`(bound: H2Bound) {
        let counters = H2Counters(Meter(workers: 1, words: H2Counters.count).row(0))
        counters[bound] += 3
        for other in H2Bound.allCases { #expect(counters[other] == (other == bound ? 3 : 0)) }
    }

    @Test func `a flood has the name of its key`() {
        let names = H2Bound.allCases.map { "\($0.name)" }
        for flood in HTTP2Flood.allCases { #expect(names.contains("floods." + flood.rawValue)) }
        #expect(names.filter { $0.hasPrefix("floods.") }.count == HTTP2Flood.allCases.count)
        #expect(Set(names).count == names.count)
    }

    @Test func `defaults are those of the protocol's limits`() {
        let made = HTTP2Settings()
        #expect(made.settings == .local(.server))
        #expect(made.limits == H2Limits())
        #expect(made[.clientResets] == HTTP2Allowance(burst: 200, perSecond: 20))
    }
}
