import CSluice
import HTTP
import Testing

@testable import PluginHost

/// One call of a body hook.
struct BodyHookTests {
    /// Calls a hook of request bodies with the end of a body, and with its trailers.
    private func run(
        _ exchange: Exchange,
        trailers text: String = "X-One: 1",
        isHeld: Bool = false,
        _ hook: @escaping Script.Hook
    ) throws -> (step: BodyStep, trailers: String, failure: HookFailure?) {
        let phase = isHeld ? Phase.responseBody : .requestBody
        let chain = PhaseChain(global: [], route: [try Script([phase: hook]).instance()])
        let entries = try #require(chain.hooks(phase).entries)
        var section = TrailerSection(
            Exchange.response(
                "HTTP/1.1 200 OK\r\n\(text)\r\n\r\n",
                &exchange.context.pointee.arena
            )
        )
        let step = withUnsafeMutablePointer(to: &section) { section in
            exchange.runBody(
                entries,
                phase,
                Array("body".utf8),
                trailers: isHeld ? nil : section,
                isHeld: isHeld
            )
        }
        return (step, Exchange.text(section.message), exchange.failure)
    }

    @Test
    func `fields of the trailer section are edited`() throws {
        let exchange = Exchange()
        let result = try run(exchange) { run in
            run.edit(SLUICE_EDIT_SET, name: "x-one", value: "2")
            run.edit(SLUICE_EDIT_APPEND, name: "x-two", value: "3")
            return SLUICE_CONTINUE
        }
        #expect(result.failure == nil)
        #expect(result.step.verdict == .next)
        #expect(result.trailers.contains("x-one: 2\nx-two: 3\n"))
        #expect(!result.trailers.contains("X-One: 1"))
    }

    @Test(arguments: [SLUICE_ASK_RELEASE, SLUICE_ASK_BUFFER, 1 << 40])
    func `an ask that is refused leaves the trailers as they were`(ask: Int) throws {
        let exchange = Exchange()
        let result = try run(exchange) { run in
            run.edit(SLUICE_EDIT_SET, name: "x-one", value: "2")
            run.args.pointee.asks = UInt64(ask)
            return SLUICE_CONTINUE
        }
        #expect(result.failure?.edit == .badAsk)
        #expect(result.step.verdict == .failed)
        #expect(!result.step.releases)
        #expect(result.trailers.contains("X-One: 1\n"))
        #expect(!result.trailers.contains("x-one: 2"))
    }

    @Test
    func `an ask that is refused leaves the held head as it was`() throws {
        let exchange = Exchange()
        let result = try run(exchange, isHeld: true) { run in
            run.edit(SLUICE_EDIT_SET, name: "x-one", value: "2")
            run.args.pointee.asks = UInt64(SLUICE_ASK_RELEASE | SLUICE_ASK_BODY_POLICY)
            return SLUICE_CONTINUE
        }
        #expect(result.failure?.edit == .badAsk)
        #expect(!result.step.releases)
        #expect(exchange.responseFields == "Content-Length: 0\n")
    }

    @Test(arguments: [0, 1])
    func `a trailer section is bounded with what is added`(excess: Int) throws {
        let exchange = Exchange()
        let head = Exchange.response(
            "HTTP/1.1 200 OK\r\nX-One: 1\r\n\r\n",
            &exchange.context.pointee.arena
        )
        // A line is its name, ": ", its value and CRLF.
        let room = ChunkLimits.trailerBytesMax - head.fieldBytesMax - "x-big".utf8.count - 4
        let value = String(repeating: "v", count: room + excess)
        let result = try run(exchange) { run in
            run.edit(SLUICE_EDIT_APPEND, name: "x-big", value: value)
            return SLUICE_CONTINUE
        }
        #expect(result.failure?.edit == (excess == 0 ? nil : .tooMany))
        #expect(result.trailers.contains("x-big") == (excess == 0))
    }

    @Test
    func `a known field counts with its name`() throws {
        let exchange = Exchange()
        let head = Exchange.response(
            "HTTP/1.1 200 OK\r\nX-One: 1\r\n\r\n",
            &exchange.context.pointee.arena
        )
        let name = "x-request-id"
        let room = ChunkLimits.trailerBytesMax - head.fieldBytesMax - name.utf8.count - 4
        let id = Int(FieldNames.id(Array(name.utf8), count: name.utf8.count).rawValue)
        for (excess, error) in [(0, nil), (1, EditError.tooMany)] as [(Int, EditError?)] {
            let value = String(repeating: "v", count: room + excess)
            let result = try run(exchange) { run in
                run.edit(SLUICE_EDIT_SET, id: id, value: value)
                return SLUICE_CONTINUE
            }
            #expect(result.failure?.edit == error)
        }
    }
}
