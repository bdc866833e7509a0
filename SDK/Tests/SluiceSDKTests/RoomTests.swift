import SluiceSDK
import SluiceTestKit
import Testing

/// Fills a room over several hooks.
private struct Filler: RequestHeadersHook, ResponseHeadersHook {
    static let id: StaticString = "org.sluice.test.filler"
    static let version: StaticString = "1.0.0"
    static let summary: StaticString = "Fills a room."

    struct Context: BitwiseCopyable {
        var room: Room
    }

    private let capacity: Int

    init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        capacity = try configuration.integer("capacity", in: -1...1_000_000) ?? 8
    }

    func requestHeaders(_ exchange: borrowing Exchange<Filler>) -> Verdict {
        let none = exchange.context.room
        guard none.capacity == 0, none.bytes.isEmpty else { return .reset }
        do throws(ServiceError) {
            exchange.context.room = try exchange.room(capacity: capacity)
        } catch {
            return exchange.respond(status: error == .outOfMemory ? 503 : 500)
        }
        exchange.context.room.append("abc")
        return .next
    }

    func responseHeaders(_ exchange: borrowing Exchange<Filler>) -> Verdict {
        guard !exchange.context.room.append("123456"), exchange.context.room.append("1234"),
            exchange.context.room.append(0x21), !exchange.context.room.append(0x21),
            exchange.context.room.append("")
        else { return .error }
        exchange.edits.set(.server, exchange.context.room.bytes)
        exchange.context.room.removeAll()
        return exchange.context.room.bytes.isEmpty ? .next : .error
    }

    static func offer(_ offer: inout Offer) {
        offer.create = { Export<Filler>.create($0, $1, $2) }
        offer.requestHeaders = { Export<Filler>.requestHeaders($0, $1, $2, $3, $4) }
        offer.responseHeaders = { Export<Filler>.responseHeaders($0, $1, $2, $3, $4) }
    }
}

struct RoomTests {
    @Test
    func `a room is filled up to its last byte, by any hook of the request`() throws {
        let plugin = try PluginFixture(Filler.self)
        let request = RequestFixture()
        #expect(plugin.requestHeaders(request) == .next)
        request.respond(status: 200)
        #expect(plugin.responseHeaders(request) == .next)
        #expect(request.response["server"] == "abc1234!")
    }

    @Test(arguments: [(65_536, Verdict.next), (65_537, .respond), (0, .respond), (-1, .respond)])
    func `a room is of the request's memory`(capacity: Int, verdict: Verdict) throws {
        let plugin = try PluginFixture(Filler.self, ["capacity": .integer(capacity)])
        let request = RequestFixture()
        #expect(plugin.requestHeaders(request) == verdict)
        if verdict == .respond { #expect(request.response[":status"] == "503") }
    }
}
