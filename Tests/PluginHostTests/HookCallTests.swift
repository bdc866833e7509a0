import CSluice
import Sys
import Testing

@testable import PluginHost

/// What a hook gets.
struct HookCallTests {
    private func chain(_ hooks: [Phase: Script.Hook], exchange: Exchange = Exchange()) throws
        -> Chain
    {
        Chain(route: [try Script(hooks).instance()], exchange: exchange)
    }

    private func path(_ headers: UnsafePointer<sluice_headers>?) -> String {
        guard let headers else { return "no view" }
        let field = headers.pointee.fields[0]
        return Slice(field.name, Int(field.name_len)).text
    }

    @Test(arguments: Phase.allCases)
    func `the arguments are those of the phase`(phase: Phase) throws {
        var isRun = false
        let chain = try chain([
            phase: { run in
                isRun = true
                let args = run.args.pointee
                #expect(args.size == UInt32(MemoryLayout<sluice_args>.size))
                #expect(args.phase == UInt32(phase.rawValue))
                #expect(args.flags == 5)
                #expect(args.error_code == 0)
                let isResponse = phase.rawValue > 5 && phase != .requestEnd
                #expect(path(args.headers) == (isResponse ? ":status" : ":method"))
                #expect(path(args.request_headers) == ":method")
                #expect((args.edits == nil) == (phase == .requestEnd || phase == .upstreamResult))
                #expect(args.body_in == nil && args.body_out == nil)
                #expect(args.facts.pointee.status == 7)
                #expect(args.facts.pointee.size == UInt32(MemoryLayout<sluice_facts>.size))
                return SLUICE_CONTINUE
            }
        ])
        chain.exchange.context.pointee.facts.status = 7
        #expect(chain.run(phase, flags: 5) == .proceed)
        #expect(isRun)
    }

    @Test
    func `the slot is that of the plugin's instance`() throws {
        var slots: [Int] = []
        let instances = try [3, 0].map { index in
            try Script([
                .requestHeaders: { run in
                    slots.append(run.slot)
                    return SLUICE_CONTINUE
                }
            ]).instance(index: index)
        }
        let chain = Chain(route: instances, exchange: Exchange(slots: [100, 101, 102, 103]))
        #expect(chain.run(.requestHeaders) == .proceed)
        #expect(slots == [103, 100])
    }

    @Test
    func `each plugin has a zeroed context of its own, kept between phases`() throws {
        var seen: [UnsafeMutableRawPointer] = []
        let note: Script.Hook = { run in
            let context = run.context
            guard let context else { return SLUICE_ERROR }
            let count = run.phase == .requestHeaders ? 0 : UInt8(seen.count % 4 + 1)
            let bytes = UnsafeRawBufferPointer(start: context, count: 24)
            #expect(bytes.allSatisfy { $0 == count })
            seen.append(context)
            context.initializeMemory(as: UInt8.self, repeating: UInt8(seen.count), count: 24)
            return SLUICE_CONTINUE
        }
        let all = try (0..<4).map { _ in
            try Script([.requestHeaders: note, .requestEnd: note]).instance(contextBytes: 24)
        }
        let chain = Chain(global: Array(all[..<2]), route: Array(all[2...]))
        #expect(chain.run(.requestHeaders) == .proceed)
        #expect(chain.run(.requestEnd) == .proceed)
        let blocks = [true, false].flatMap { isGlobal in
            [0, 32].map { chain.contexts(isGlobal: isGlobal) + $0 }
        }
        #expect(seen == blocks + blocks)
        #expect(chain.failure == nil)
    }

    @Test
    func `the next hook sees the edits of the one before`() throws {
        var paths: [String] = []
        let edit: Script.Hook = { run in
            let field = run.headers.pointee.fields[3]
            paths.append(Slice(field.value, Int(field.value_len)).text)
            run.edit(SLUICE_EDIT_SET_PATH, value: paths[paths.count - 1] + "x")
            run.edit(SLUICE_EDIT_SET, id: Int(SLUICE_FIELD_ACCEPT), value: "\(paths.count)")
            if paths.count == 2 {
                for id in [SLUICE_FIELD_DNT, SLUICE_FIELD_VIA] {
                    run.edit(SLUICE_EDIT_SET, id: Int(id), value: "gone")
                    run.edit(SLUICE_EDIT_SET, id: Int(id), value: "kept")
                }
            }
            return SLUICE_CONTINUE
        }
        let exchange = Exchange(
            request: "GET / HTTP/1.1\r\nHost: a\r\nAccept: one\r\naccept: two\r\n\r\n"
        )
        let instances = try (0..<2).map { _ in try Script([.requestHeaders: edit]).instance() }
        let chain = Chain(route: instances, exchange: exchange)
        #expect(chain.run(.requestHeaders) == .proceed)
        #expect(paths == ["/", "/x"])
        #expect(exchange.context.pointee.request.path.text == "/xx")
        #expect(exchange.requestFields == "Host: a\naccept: 2\ndnt: kept\nvia: kept\n")
        #expect(exchange.context.pointee.request.epoch == 2)
    }

    @Test
    func `edits of a response phase change the response`() throws {
        let edit: Script.Hook = { run in
            run.edit(SLUICE_EDIT_SET_STATUS, id: 418)
            run.edit(SLUICE_EDIT_APPEND, name: "X-New", value: "1")
            return SLUICE_CONTINUE
        }
        for phase in [Phase.responseHeaders, .localReply] {
            let chain = try chain([phase: edit])
            #expect(chain.run(phase) == .proceed)
            #expect(chain.exchange.context.pointee.response.status == 418)
            #expect(chain.exchange.responseFields == "Content-Length: 0\nX-New: 1\n")
            #expect(chain.exchange.requestFields == "Host: a.example\n")
        }
    }

    @Test
    func `memory of the request is bounded for all plugins together`() throws {
        var taken: [UInt64] = []
        let chain = try chain([
            .requestHeaders: { run in
                let core = CoreTable.functions.pointee
                for length: UInt64 in [0, 65_537, .max, 16, 65_520, 1] {
                    let memory = core.request_alloc(run.request, length)
                    if let memory {
                        #expect(UInt(bitPattern: memory) % 16 == 0)
                        taken.append(length)
                    }
                }
                return SLUICE_CONTINUE
            }
        ])
        #expect(chain.run(.requestHeaders) == .proceed)
        #expect(taken == [16, 65_520])
    }

    @Test
    func `without memory for the view the hook fails unrun`() throws {
        let chain = try chain([
            .requestHeaders: { _ in
                Issue.record("run")
                return SLUICE_CONTINUE
            }
        ])
        let context = chain.exchange.context
        while context.pointee.arena.allocate(1_024) != nil {}
        while context.pointee.arena.allocate(16) != nil {}
        #expect(chain.run(.requestHeaders) == .failed(position: 0, status: 502))
        #expect(chain.failure?.edit == .outOfMemory)
    }
}
