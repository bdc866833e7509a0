import CSluice
import SluiceSDK
import SluiceTestKit
import Testing

/// Does to bodies what its configuration says.
private struct Transformer: RequestHeadersHook, RequestBodyHook, ResponseHeadersHook,
    ResponseBodyHook
{
    static let id: StaticString = "org.sluice.test.transformer"
    static let version: StaticString = "1.0.0"
    static let summary: StaticString = "Changes bodies."

    struct Context: BitwiseCopyable {
        var seen = 0
        // A view that is kept beyond its hook, which no plugin may do.
        var kept: UnsafePointer<UInt8>?
    }

    let mode: String
    let host: Host

    init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        mode = String(try configuration.required("mode").string())
        self.host = host
    }

    func requestHeaders(_ exchange: borrowing Exchange<Self>) -> Verdict {
        switch mode {
        case "whole": exchange.bufferBody(upTo: 8)
        case "whole or stream": exchange.bufferBody(upTo: 8, onOverflow: .stream)
        case "chunk in a head": _ = exchange.chunk
        case "narrow": exchange.narrow(to: [.requestEnd])
        default: exchange.setBodyPolicy(.unknown)
        }
        return .next
    }

    func requestBody(_ exchange: borrowing Exchange<Self>) -> Verdict {
        let chunk = exchange.chunk
        exchange.context.seen += 1
        if mode == "stuck" { return exchange.more(consumed: 0) }
        if mode == "beyond" { return exchange.more(consumed: chunk.data.count + 1) }
        if mode == "short" {
            exchange.output.consume(0)
            return .next
        }
        let isTold = exchange.output.push(chunk.isWhole ? "whole " : "chunk ")
        if chunk.isFlush { _ = exchange.output.push("flush ") }
        return isTold && exchange.output.write(chunk.data) == chunk.data.count ? .next : .error
    }

    func responseHeaders(_ exchange: borrowing Exchange<Self>) -> Verdict {
        switch mode {
        case "hold": return .hold
        case "exact": exchange.setBodyPolicy(.exact(3))
        case "drop": exchange.setBodyPolicy(.drop)
        case "same": break
        default: exchange.setBodyPolicy(.unknown)
        }
        return .next
    }

    func responseBody(_ exchange: borrowing Exchange<Self>) -> Verdict {
        switch mode {
        case "escape": return escape(exchange)
        case "fill": return fill(exchange)
        case "buffer": return pushBuffer(exchange)
        case "drop": exchange.output.drop()
        case "hold": return hold(exchange)
        case "trailers": if exchange.chunk.isEnd { exchange.edits.set(.etag, "x") }
        case "keep": return keep(exchange)
        case "chunks": if !exchange.output.push("|") { return .error }
        default: break
        }
        return .next
    }

    /// The example of `Output`.
    func escape(_ exchange: borrowing Exchange<Self>) -> Verdict {
        let (data, output) = (exchange.chunk.data, exchange.output)
        var offset = 0
        while offset < data.count {
            let run = data.dropFirst(offset).firstIndex(of: 0x3C) ?? data.count - offset
            offset += output.pass(offset..<offset + run)
            if offset == data.count { break }
            guard data[offset] == 0x3C, output.push("&lt;") else {
                return exchange.more(consumed: offset)
            }
            offset += 1
        }
        return .next
    }

    /// Each byte twice, written into the host's memory.
    func fill(_ exchange: borrowing Exchange<Self>) -> Verdict {
        let data = exchange.chunk.data
        let count = exchange.output.fill { room, capacity in
            let count = min(capacity / 2, data.count)
            for offset in 0..<count {
                room[2 * offset] = data[offset]
                room[2 * offset + 1] = data[offset]
            }
            return 2 * count
        }
        return count == 2 * data.count ? .next : exchange.more(consumed: count / 2)
    }

    func pushBuffer(_ exchange: borrowing Exchange<Self>) -> Verdict {
        let data = exchange.chunk.data
        guard !data.isEmpty else { return .next }
        guard var buffer = host.makeBuffer(capacity: data.count) else { return .error }
        buffer.append(data)
        return exchange.output.push(buffer) ? .next : exchange.more(consumed: 0)
    }

    func hold(_ exchange: borrowing Exchange<Self>) -> Verdict {
        guard exchange.isHeld else { return .next }
        exchange.edits.set(.etag, "held")
        exchange.release()
        return .next
    }

    func keep(_ exchange: borrowing Exchange<Self>) -> Verdict {
        if let kept = exchange.context.kept {
            exchange.output.fill { room, _ in
                room[0] = kept[0]
                return 1
            }
        }
        exchange.context.kept = exchange.chunk.data.start
        return .next
    }

    static func offer(_ offer: inout Offer) {
        offer.create = { Export<Self>.create($0, $1, $2) }
        offer.requestHeaders = { Export<Self>.requestHeaders($0, $1, $2, $3, $4) }
        offer.requestBody = { Export<Self>.requestBody($0, $1, $2, $3, $4) }
        offer.responseHeaders = { Export<Self>.responseHeaders($0, $1, $2, $3, $4) }
        offer.responseBody = { Export<Self>.responseBody($0, $1, $2, $3, $4) }
    }
}

struct BodyTests {
    private func plugin(_ mode: String) throws -> PluginFixture {
        try PluginFixture(Transformer.self, ["mode": .string(mode)])
    }

    private func response(_ plugin: PluginFixture) -> RequestFixture {
        let request = RequestFixture()
        request.respond(status: 200)
        plugin.responseHeaders(request)
        return request
    }

    @Test
    func `a transform that expands gives the same for every chunking and little room`() throws {
        let plugin = try plugin("escape")
        let text = "<a href='x'><b>" + String(repeating: "<", count: 50) + "</b></a> and the rest"
        let expected = text.reduce(into: "") { $0 += $1 == "<" ? "&lt;" : String($1) }
        let output = try plugin.everyChunking(of: text, .responseBody, credits: [65_536, 64, 4]) {
            response(plugin)
        }
        #expect(output == expected)
        #expect(try plugin.everyChunking(of: "", .responseBody) { response(plugin) } == "")
    }

    @Test
    func `little room makes a hook come again`() throws {
        let plugin = try plugin("escape")
        let request = response(plugin)
        #expect(plugin.responseBody(request, "<<<", isEnd: true, credit: 4) == .next)
        #expect(request.text(.responseBody) == "&lt;&lt;&lt;")
        #expect(request.callCount(.responseBody) == 3)
    }

    @Test
    func `writes into the host's memory`() throws {
        let plugin = try plugin("fill")
        let output = try plugin.everyChunking(of: "abcdefgh", .responseBody, credits: [100, 2]) {
            response(plugin)
        }
        #expect(output == "aabbccddeeffgghh")
    }

    @Test
    func `pushes buffers, whose references it gives up`() throws {
        let plugin = try plugin("buffer")
        #expect(
            try plugin.everyChunking(of: "abcdef", .responseBody) { response(plugin) } == "abcdef"
        )
        #expect(plugin.host.liveBuffers == 0)
    }

    @Test
    func `finds a transform that depends on chunks`() throws {
        let plugin = try plugin("chunks")
        let differs = #expect(throws: ChunkingDiffers.self) {
            try plugin.everyChunking(of: "abc", .responseBody) { response(plugin) }
        }
        #expect(differs?.description.contains("is not \"|\"") == true)
    }

    @Test(arguments: [
        ("same", nil), ("exact", "3 bytes were promised, not 5"), ("drop", nil), ("escape", nil),
    ])
    func `compares a body's length with what was said of it`(mode: String, fault: String?) throws {
        let plugin = try plugin(mode)
        let request = response(plugin)
        #expect(plugin.responseBody(request, "abcde", isEnd: true) == .next)
        #expect(request.lengthFault(.responseBody) == fault)
        #expect(request.text(.responseBody) == (mode == "drop" ? "" : "abcde"))
    }

    @Test
    func `a body that grows without a word is a fault`() throws {
        let plugin = try plugin("whole")
        let request = RequestFixture()
        plugin.requestHeaders(request)
        #expect(plugin.requestBody(request, "abc") == .next)
        #expect(request.callCount(.requestBody) == 0)
        #expect(plugin.requestBody(request, "de", isEnd: true) == .next)
        #expect(request.text(.requestBody) == "whole abcde")
        #expect(request.lengthFault(.requestBody) == "5 bytes became 11")
    }

    @Test
    func `a whole body is bounded`() throws {
        let plugin = try plugin("whole")
        for (body, verdict) in [("12345678", Verdict.next), ("123456789", .respond)] {
            let request = RequestFixture()
            plugin.requestHeaders(request)
            #expect(plugin.requestBody(request, body, isEnd: true) == verdict)
            #expect(request.response[":status"] == (verdict == .respond ? "413" : nil))
        }
        let streaming = try self.plugin("whole or stream")
        let request = RequestFixture()
        streaming.requestHeaders(request)
        streaming.requestBody(request, "12345678")
        streaming.requestBody(request, "9")
        streaming.requestBody(request, "", isEnd: true)
        #expect(request.text(.requestBody) == "chunk 123456789chunk ")
    }

    @Test
    func `says when the sender pauses`() throws {
        let plugin = try plugin("any")
        let request = RequestFixture()
        plugin.requestBody(request, "a", isFlush: true)
        #expect(request.text(.requestBody) == "chunk flush a")
    }

    @Test
    func `a held head goes with the edits of the body hook`() throws {
        let plugin = try plugin("hold")
        let request = RequestFixture()
        request.respond(status: 200)
        #expect(plugin.responseHeaders(request) == .hold)
        #expect(request.isHeld)
        #expect(plugin.responseBody(request, "x", isEnd: true) == .next)
        #expect(!request.isHeld)
        #expect(request.response["etag"] == "held")
        // Without a body nothing would let it go.
        let empty = RequestFixture()
        empty.respond(status: 204)
        empty.hasNoBody = true
        #expect(plugin.responseHeaders(empty) == .error)
    }

    @Test
    func `edits of the last chunk are the trailers'`() throws {
        let plugin = try plugin("trailers")
        let request = response(plugin)
        plugin.responseBody(request, "a")
        let trailers = Message([("x-sum", "1")])
        #expect(plugin.responseBody(request, "", isEnd: true, trailers: trailers) == .next)
        #expect(request.trailers(.responseBody) == Message([("x-sum", "1"), ("etag", "x")]))
        let without = response(plugin)
        #expect(plugin.responseBody(without, "a", isEnd: true) == .error)
    }

    @Test(arguments: [
        ("stuck", FailureCode(rawValue: 0)), ("beyond", .badRange),
        ("short", FailureCode(rawValue: 0)),
    ])
    func `a hook that does not get on has failed`(mode: String, code: FailureCode) throws {
        let plugin = try plugin(mode)
        let request = RequestFixture()
        #expect(plugin.requestBody(request, "abc") == .error)
        #expect(request.errorCode == code.rawValue)
        #expect(request.text(.requestBody) == "")
        #expect(plugin.host.misuses.count == (mode == "stuck" ? 1 : 0))
    }

    @Test
    func `a phase without a body has no chunk`() throws {
        let plugin = try plugin("chunk in a head")
        let request = RequestFixture()
        #expect(plugin.requestHeaders(request) == .error)
        #expect(request.errorCode == FailureCode.noBody.rawValue)
    }

    @Test
    func `a plugin that is not interested is not called`() throws {
        let plugin = try plugin("narrow")
        let request = RequestFixture()
        plugin.requestHeaders(request)
        plugin.requestBody(request, "abc", isEnd: true)
        #expect(request.callCount(.requestBody) == 0)
        #expect(request.text(.requestBody) == "abc")
        #expect(request.interest == [.requestEnd])
    }

    @Test
    func `a view that was kept is poisoned`() throws {
        let plugin = try plugin("keep")
        let request = response(plugin)
        plugin.responseBody(request, "a")
        plugin.responseBody(request, "b")
        #expect(request.output(.responseBody) == [0x61, 0xDD])
    }
}
