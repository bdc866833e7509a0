import CSluice
import Testing

@testable import PluginHost

/// What comes of a hook's answer.
struct VerdictTests {
    private let notes = Chain.Notes()

    /// Plugins a, b and c that hook every phase; b answers `verdict` in request_headers.
    private func chain(
        _ verdict: Int,
        failureStatus: UInt16 = 502,
        in phase: Phase = .requestHeaders,
        _ body: @escaping (HookRun) -> Void = { _ in }
    ) throws -> Chain {
        let all = try Chain.noting(["a", "b", "c"], notes, failureStatus: failureStatus) {
            name,
            run in
            guard name == "b", run.phase == phase else { return SLUICE_CONTINUE }
            body(run)
            return verdict
        }
        return Chain(route: all, notes: notes)
    }

    /// The plugins that run in a phase.
    private func order(_ chain: Chain, _ phase: Phase) -> String {
        notes.lines = []
        _ = chain.run(phase)
        return notes.lines.joined()
    }

    @Test
    func `DETACH keeps edits and takes the plugin out of all phases but the last`() throws {
        let chain = try chain(SLUICE_DETACH) { $0.edit(SLUICE_EDIT_SET_PATH, value: "/d") }
        #expect(chain.run(.requestHeaders) == .proceed)
        #expect(chain.exchange.context.pointee.request.path.text == "/d")
        #expect(order(chain, .upstreamRequest) == "ac")
        #expect(order(chain, .responseHeaders) == "ca")
        #expect(order(chain, .localReply) == "ca")
        #expect(order(chain, .requestEnd) == "abc")
        #expect(chain.failure == nil)
    }

    @Test(arguments: [
        (199, false), (200, true), (204, true), (599, true), (600, false), (0, false),
        (100, false), (Int(UInt32.max), false),
    ])
    func `RESPOND answers with a status in its range`(status: Int, isAllowed: Bool) throws {
        let chain = try chain(SLUICE_RESPOND) { run in
            run.args.pointee.reply.pointee.status = UInt32(status)
            run.args.pointee.reply.pointee.body = sluice_slice(permanent: "body")
            run.edit(SLUICE_EDIT_SET_PATH, value: "/not-applied")
        }
        let outcome = chain.run(.requestHeaders)
        #expect(notes.lines.joined() == "ab", "those behind it are not entered")
        #expect(chain.exchange.context.pointee.request.path.text == "/")
        if isAllowed {
            #expect(outcome == .respond(position: 1))
            #expect(chain.reply.status == UInt32(status))
            #expect(chain.reply.body.text == "body")
            #expect(chain.failure == nil)
        } else {
            #expect(outcome == .failed(position: 1, status: 502))
            #expect(chain.failure?.edit == .badStatus)
        }
    }

    @Test
    func `fields of a reply are put into the response`() throws {
        let chain = try chain(SLUICE_RESPOND) { run in
            run.args.pointee.reply.pointee.status = 200
            run.args.pointee.reply.pointee.edits.pointee.add(
                SLUICE_EDIT_SET,
                name: "X-Reply",
                value: "1"
            )
        }
        #expect(chain.run(.requestHeaders) == .respond(position: 1))
        #expect(chain.applyReplyFields() == nil)
        #expect(chain.exchange.responseFields == "Content-Length: 0\nX-Reply: 1\n")
    }

    @Test
    func `bad fields of a reply are refused, and none is applied`() throws {
        let chain = try chain(SLUICE_RESPOND) { run in
            run.args.pointee.reply.pointee.status = 200
            run.args.pointee.reply.pointee.edits.pointee.add(SLUICE_EDIT_SET, name: "X")
            run.args.pointee.reply.pointee.edits.pointee.add(SLUICE_EDIT_SET, name: "a b")
        }
        #expect(chain.run(.requestHeaders) == .respond(position: 1))
        #expect(chain.applyReplyFields() == .badName)
        #expect(chain.exchange.responseFields == "Content-Length: 0\n")
    }

    @Test
    func `a reply of one hook is not seen by the next`() throws {
        let leave: Script.Hook = { run in
            #expect(run.args.pointee.reply.pointee.status == 0)
            #expect(run.args.pointee.reply.pointee.body.len == 0)
            #expect(run.args.pointee.reply.pointee.edits.pointee.count == 0)
            run.args.pointee.reply.pointee.status = 200
            run.args.pointee.reply.pointee.body = sluice_slice(permanent: "x")
            run.args.pointee.reply.pointee.edits.pointee.add(SLUICE_EDIT_SET, name: "X")
            return SLUICE_CONTINUE
        }
        let instances = try (0..<2).map { _ in try Script([.requestHeaders: leave]).instance() }
        let chain = Chain(route: instances)
        #expect(chain.run(.requestHeaders) == .proceed)
    }

    @Test
    func `RESET cuts the request, whatever it edited`() throws {
        let chain = try chain(SLUICE_RESET) { $0.edit(SLUICE_EDIT_SET_PATH, value: "/r") }
        #expect(chain.run(.requestHeaders) == .reset(position: 1))
        #expect(notes.lines.joined() == "ab")
        #expect(chain.exchange.context.pointee.request.path.text == "/")
        #expect(order(chain, .requestEnd) == "abc")
    }

    @Test(arguments: [
        SLUICE_ERROR, SLUICE_SUSPEND, SLUICE_HOLD, SLUICE_MORE, 8, Int(UInt32.max),
    ])
    func `a failure in a closed chain ends the phase`(verdict: Int) throws {
        let chain = try chain(verdict, failureStatus: 503) { run in
            run.args.pointee.error_code = 77
            run.edit(SLUICE_EDIT_SET_PATH, value: "/e")
        }
        #expect(chain.run(.requestHeaders) == .failed(position: 1, status: 503))
        #expect(notes.lines.joined() == "ab")
        #expect(chain.exchange.context.pointee.request.path.text == "/")
        let failure = try #require(chain.failure)
        #expect(failure.position == 1)
        #expect(failure.phase == .requestHeaders)
        #expect(failure.code == 77)
        #expect(failure.verdict == UInt32(verdict))
        #expect(failure.edit == nil)
        #expect(order(chain, .localReply) == "ca", "it takes no part any more")
        #expect(order(chain, .requestEnd) == "abc")
        #expect(chain.failure == nil, "of the phase that ran last")
    }

    @Test
    func `a failure in an open chain goes on without the plugin`() throws {
        let chain = try chain(SLUICE_ERROR, failureStatus: 0)
        #expect(chain.run(.requestHeaders) == .proceed)
        #expect(notes.lines.joined() == "abc")
        #expect(chain.failure?.position == 1)
        #expect(order(chain, .responseHeaders) == "ca")
        #expect(order(chain, .requestEnd) == "abc")
    }

    @Test(arguments: [SLUICE_CONTINUE, SLUICE_DETACH])
    func `bad edits count as a failure`(verdict: Int) throws {
        let chain = try chain(verdict) { run in
            run.edit(SLUICE_EDIT_SET_PATH, value: "/e")
            run.edit(SLUICE_EDIT_SET, name: "Connection", value: "close")
        }
        #expect(chain.run(.requestHeaders) == .failed(position: 1, status: 502))
        #expect(chain.failure?.edit == .connectionField)
        #expect(chain.exchange.context.pointee.request.path.text == "/")
        #expect(order(chain, .upstreamRequest) == "ac")
    }

    @Test(arguments: [SLUICE_CONTINUE, SLUICE_DETACH])
    func `a refused ask takes the edits with it`(verdict: Int) throws {
        let chain = try chain(verdict, failureStatus: 0) { run in
            run.edit(SLUICE_EDIT_SET_PATH, value: "/e")
            run.args.pointee.asks = UInt64(SLUICE_ASK_INTEREST | SLUICE_ASK_RELEASE)
            run.args.pointee.interest = 0
        }
        #expect(chain.run(.requestHeaders) == .proceed)
        #expect(chain.failure?.edit == .badAsk)
        #expect(chain.exchange.context.pointee.request.path.text == "/")
    }

    @Test
    func `a refused edit takes the asks with it`() throws {
        let chain = try chain(SLUICE_CONTINUE, failureStatus: 0) { run in
            run.edit(SLUICE_EDIT_SET, name: "Connection", value: "close")
            run.args.pointee.asks = UInt64(SLUICE_ASK_BODY_POLICY | SLUICE_ASK_BUFFER)
            run.args.pointee.body_policy = BodyPolicy.drop.rawValue
            run.args.pointee.buffer_max = 1
        }
        #expect(chain.run(.requestHeaders) == .proceed)
        #expect(chain.failure?.edit == .connectionField)
        let wishes = chain.exchange.context.pointee.bodyWishes
        #expect(wishes?.pointee.requestPolicy == .same)
        #expect(wishes?.pointee.changers == 0)
        #expect(wishes?.pointee.buffer(.requestBody, position: 1) == nil)
    }

    @Test(arguments: [HookCall.editsMax - 1, HookCall.editsMax, HookCall.editsMax + 1])
    func `a hook has a bounded number of edits`(count: Int) throws {
        let chain = try chain(SLUICE_CONTINUE) { run in
            let edits = run.args.pointee.edits
            #expect(edits?.pointee.capacity == UInt32(HookCall.editsMax))
            for index in 0..<min(count, HookCall.editsMax) {
                run.edit(SLUICE_EDIT_APPEND, name: "x-\(index)")
            }
            edits?.pointee.count = UInt32(count)
        }
        let outcome = chain.run(.requestHeaders)
        guard count > HookCall.editsMax else {
            #expect(outcome == .proceed)
            #expect(chain.exchange.context.pointee.request.addedCount == count)
            return
        }
        #expect(outcome == .failed(position: 1, status: 502))
        #expect(chain.failure?.edit == .tooMany)
    }

    @Test(arguments: [SLUICE_RESPOND, SLUICE_RESET, SLUICE_ERROR])
    func `the end of a request reaches every plugin, whatever one answers`(verdict: Int) throws {
        let chain = try chain(verdict, in: .requestEnd) { run in
            run.args.pointee.reply.pointee.status = 200
        }
        #expect(chain.run(.requestEnd) == .proceed)
        #expect(notes.lines.joined() == "abc")
        #expect(chain.failure?.phase == .requestEnd)
    }

    @Test(arguments: [(SLUICE_RESPOND, "cba"), (SLUICE_ERROR, "cba"), (SLUICE_RESET, "cb")])
    func `an answer of the host can't be answered again`(verdict: Int, order: String) throws {
        let chain = try chain(verdict, in: .localReply) { run in
            run.args.pointee.reply.pointee.status = 200
        }
        let outcome = chain.run(.localReply)
        #expect(outcome == (verdict == SLUICE_RESET ? .reset(position: 1) : .proceed))
        #expect(notes.lines.joined() == order)
        #expect((chain.failure != nil) == (verdict != SLUICE_RESET))
    }

    @Test
    func `a response may be replaced by RESPOND`() throws {
        let chain = try chain(SLUICE_RESPOND, in: .responseHeaders) { run in
            run.args.pointee.reply.pointee.status = 500
        }
        #expect(chain.run(.responseHeaders) == .respond(position: 1))
        #expect(notes.lines.joined() == "cb")
    }
}
