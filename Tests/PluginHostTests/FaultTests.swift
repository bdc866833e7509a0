import CSluice
import Synchronization
import Sys
import Testing

@testable import PluginHost

struct FaultTests {
    private func counts(_ instance: PluginInstance) -> [FaultKind: Int64] {
        instance.faultReport.counts.filter { $0.value != 0 }
    }

    @Test(arguments: [
        (SLUICE_ERROR, FaultKind.error), (99, .verdict), (SLUICE_HOLD, .verdict),
        (SLUICE_SUSPEND, .verdict),
    ])
    func `a verdict that is none is counted`(verdict: Int, kind: FaultKind) throws {
        let name = "fault-verdict-\(verdict)"
        let instance = try Script([.requestHeaders: { _ in verdict }]).instance(name)
        let chain = PhaseChain(global: [instance], route: [])
        let exchange = Exchange()
        _ = exchange.run(.requestHeaders, of: chain, positions: 0..<1, flags: 0)
        #expect(counts(instance) == [kind: 1])
    }

    @Test
    func `an edit that is refused is counted`() throws {
        let script = Script([
            .requestHeaders: { run in
                run.edit(Int(SLUICE_EDIT_SET), name: "a b", value: "x")
                return SLUICE_CONTINUE
            }
        ])
        let instance = try script.instance("fault-edit")
        let chain = PhaseChain(global: [instance], route: [])
        _ = Exchange().run(.requestHeaders, of: chain, positions: 0..<1, flags: 0)
        #expect(counts(instance) == [.edit: 1])
    }

    @Test
    func `a hook tells where it is`() throws {
        let seen = Mutex<(Breadcrumb.Sample, Breadcrumb.Sample)?>(nil)
        let exchange = Exchange()
        let crumb = WorkerLinks.crumb(exchange.call.worker)
        let script = Script([
            .requestHeaders: { _ in
                let sample = Breadcrumb.sample(crumb)
                seen.withLock { $0 = (sample, sample) }
                return SLUICE_CONTINUE
            }
        ])
        let chain = PhaseChain(global: [try script.instance("fault-crumb")], route: [])
        #expect(Breadcrumb.sample(crumb).call == 0)
        _ = exchange.run(.requestHeaders, of: chain, positions: 0..<1, flags: 0)
        #expect(seen.withLock { $0?.0.call ?? 0 } != 0)
        #expect(Breadcrumb.sample(crumb).call == 0)
    }

    @Test
    func `marks of calls nest`() throws {
        let outer = try Script([:]).instance("fault-outer").label
        let inner = try Script([:]).instance("fault-inner").label
        Breadcrumb.mark(.task, of: outer) {
            #expect(Breadcrumb.here.pointee.label == outer)
            #expect(Breadcrumb.here.pointee.call == PluginCall.task.rawValue)
            Breadcrumb.mark(.free, of: inner) {
                #expect(Breadcrumb.here.pointee.label == inner)
                #expect(Breadcrumb.here.pointee.call == PluginCall.free.rawValue)
            }
            #expect(Breadcrumb.here.pointee.label == outer)
            #expect(Breadcrumb.here.pointee.call == PluginCall.task.rawValue)
        }
        #expect(Breadcrumb.here.pointee.label == nil)
    }

    @Test
    func `calls have the names that records give them`() {
        for (number, name) in Phase.names.enumerated() {
            #expect(Breadcrumb.callName(UInt32(number)) == name)
        }
        for call in PluginCall.allCases {
            let words = "\(call)".flatMap { $0.isUppercase ? "_\($0.lowercased())" : "\($0)" }
            #expect(Breadcrumb.callName(call.rawValue) == String(words))
        }
        #expect(Breadcrumb.callName(10_000) == "")
    }

    @Test
    func `a plugin in quarantine lets requests pass, or answers them`() throws {
        for status: UInt16 in [0, 503] {
            let instance = try absent(status: status)
            let chain = PhaseChain(global: [instance], route: [])
            let exchange = Exchange()
            let outcome = exchange.run(.requestHeaders, of: chain, positions: 0..<1, flags: 0)
            #expect(outcome == (status == 0 ? .proceed : .respond(position: 0)))
            #expect(status == 0 || exchange.call.reply.pointee.status == UInt32(status))
        }
    }

    @Test
    func `a balancer in quarantine takes the peers in turn, or none`() throws {
        for status: UInt16 in [0, 503] {
            let instance = try absent(status: status)
            let role = try #require(instance.balancer)
            var set = sluice_peer_set()
            set.count = 3
            let table = try #require(role.pointee.build?(instance.state, &set, nil))
            var picked: [UInt32] = []
            var tried: UInt64 = 0b010
            for _ in 0..<4 {
                var pick = sluice_pick()
                let result = withUnsafePointer(to: &tried) { tried in
                    pick.tried = tried
                    return role.pointee.pick?(instance.state, nil, table, &pick)
                }
                guard result == UInt32(SLUICE_PICK_OK) else { continue }
                picked.append(pick.candidates.0)
            }
            #expect(picked == (status == 0 ? [0, 2, 2, 0] : []))
            role.pointee.drop?(instance.state, table)
        }
    }

    private func absent(status: UInt16) throws -> PluginInstance {
        try PluginInstance(
            name: "absent",
            index: 0,
            library: try AbsentPlugin.library(),
            failureStatus: status,
            configuration: AbsentPlugin.configuration(status: status),
            workerCount: 1,
            logLevel: 0
        )
    }
}
