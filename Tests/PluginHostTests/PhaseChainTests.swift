import CSluice
import Testing

@testable import PluginHost

struct PhaseChainTests {
    private let notes = Chain.Notes()

    private func hooked(_ phases: [Phase], contextBytes: Int = 0) throws -> PluginInstance {
        var hooks: [Phase: Script.Hook] = [:]
        for phase in phases { hooks[phase] = { _ in SLUICE_CONTINUE } }
        return try Script(hooks).instance(contextBytes: contextBytes)
    }

    @Test
    func `a phase holds only the plugins that hook it`() throws {
        let chain = PhaseChain(
            global: [try hooked([.requestHeaders])],
            route: [try hooked([.requestHeaders, .requestEnd]), try hooked([])]
        )
        #expect(chain.pluginCount == 3)
        #expect(chain.globalCount == 1)
        #expect(chain.hookCount(.requestHeaders) == 2)
        #expect(chain.hookCount(.requestEnd) == 1)
        #expect(chain.hookCount(.responseHeaders) == 0)
    }

    @Test
    func `an empty chain lets everything through`() {
        let chain = Chain(route: [])
        for phase in Phase.allCases { #expect(chain.run(phase) == .proceed) }
        #expect(chain.chain.globalContextBytes == 0)
        #expect(chain.chain.routeContextBytes == 0)
    }

    @Test
    func `contexts stand 16 bytes aligned, in two blocks`() throws {
        let sizes = [1, 16, 17, 0]
        let global = try sizes.map { try hooked([], contextBytes: $0) }
        let route = try sizes.reversed().map { try hooked([], contextBytes: $0 + 32) }
        let chain = PhaseChain(global: global, route: route)
        #expect(chain.globalContextBytes == 16 + 16 + 32)
        #expect(chain.routeContextBytes == 32 + 64 + 48 + 48)
    }

    @Test(arguments: [
        (Phase.requestHeaders, "abcd"), (.upstreamRequest, "abcd"), (.responseHeaders, "dcba"),
        (.localReply, "dcba"), (.requestEnd, "abcd"),
    ])
    func `requests go forward and responses back`(phase: Phase, order: String) throws {
        let all = try Chain.noting(["a", "b", "c", "d"], notes)
        let chain = Chain(global: Array(all[..<2]), route: Array(all[2...]))
        #expect(chain.run(phase) == .proceed)
        #expect(notes.lines.joined() == order)
        #expect(chain.failure == nil)
    }

    @Test(arguments: [
        (0..<0, ""), (0..<1, "a"), (0..<2, "ab"), (2..<4, "cd"), (1..<3, "bc"), (3..<4, "d"),
    ])
    func `only plugins of the asked positions run`(positions: Range<Int>, order: String) throws {
        let all = try Chain.noting(["a", "b", "c", "d"], notes)
        let chain = Chain(global: Array(all[..<2]), route: Array(all[2...]))
        #expect(chain.run(.requestHeaders, positions) == .proceed)
        #expect(notes.lines.joined() == order)
        notes.lines = []
        #expect(chain.run(.responseHeaders, positions) == .proceed)
        #expect(notes.lines.joined() == String(order.reversed()))
    }

    @Test(arguments: [63, 64])
    func `a chain may have as many plugins as there are bits`(count: Int) throws {
        let last = count - 1
        let all = try Chain.noting((0..<count).map(String.init), notes) { name, run in
            name == "\(last)" && run.phase == .requestHeaders ? SLUICE_DETACH : SLUICE_CONTINUE
        }
        let chain = Chain(global: Array(all[..<10]), route: Array(all[10...]))
        #expect(chain.run(.requestHeaders) == .proceed)
        #expect(notes.lines.count == count)
        notes.lines = []
        #expect(chain.run(.upstreamRequest) == .proceed)
        #expect(notes.lines.count == count - 1)
        #expect(!notes.lines.contains("\(last)"))
    }

    @Test
    func `the log finds a plugin's name by its position`() throws {
        let all = try Chain.noting(["first", "second"], notes, failureStatus: 0)
        let chain = Chain(route: all)
        #expect((0..<2).map { chain.chain.plugins[$0].name.text } == ["first", "second"])
        #expect(chain.chain.plugins[0].failureStatus == 0)
    }
}
