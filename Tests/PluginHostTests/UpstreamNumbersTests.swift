import PluginHost
import Testing

struct UpstreamNumbersTests {
    @Test
    func `a name keeps its number, and shares it with none`() {
        let names = (0..<100).map { "upstream-numbers-\($0)" }
        let numbers = names.map { CalloutPort.number(of: $0) }
        #expect(Set(numbers).count == names.count)
        #expect(numbers.allSatisfy { $0 >= 0 })
        // Also those that there are no more.
        CalloutPort.setUpstreams(Set(names.suffix(3)))
        CalloutPort.setUpstreams([])
        #expect(names.map { CalloutPort.number(of: $0) } == numbers)
        #expect(!numbers.contains(CalloutPort.number(of: "upstream-numbers-100")))
    }
}
