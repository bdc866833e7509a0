import Sys
import Testing

@testable import PluginHost

struct ControlCallTests {
    @Test(arguments: [0, 60_000_000_000] as [UInt64])
    func `gives back what the call returns, on a thread of the caller's role`(
        limit: UInt64
    ) throws {
        ThreadRole.enter(.control)
        defer { ThreadRole.enter(.other) }
        let role = try ControlCall(limit: limit).run("it") { ThreadRole.current }
        #expect(role == .control)
    }

    @Test
    func `a call that does not return is left, and the next one is made`() throws {
        let gate = Monitor(false)
        let call = ControlCall(limit: 50_000_000)
        let error = #expect(throws: PluginError.self) {
            try call.run("plugins.a: warm") { gate.wait { $0 ? true : nil } }
        }
        #expect(
            error?.description == "plugins.a: warm has not returned in 50 ms (budgets.control)"
        )
        let next = try call.run("plugins.b: warm") { 7 }
        #expect(next == 7)
        gate.change { $0 = true }
    }
}
