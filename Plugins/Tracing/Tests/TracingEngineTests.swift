import SluiceTestKit
import Testing

@testable import Tracing

/// The built library in the real engine: its collector is the upstream itself.
struct TracingEngineTests {
    private func engine(
        _ versions: Engine.Versions,
        _ configuration: [String: TestValue] = [:]
    ) throws -> Engine {
        var all = configuration
        all["collector"] = "app"
        let engine = try Engine(
            library: Engine.libraryPath("Tracing"),
            .object(all),
            Engine.Options(versions)
        )
        engine.origin.answer = { _ in Engine.Origin.Answer(200, body: "ok") }
        return engine
    }

    private func batches(_ engine: Engine) throws -> [DecodedSpan] {
        try engine.origin.requests.filter { $0.path == "/v1/traces" }
            .flatMap { try DecodedSpan.all($0.body) }
    }

    @Test(arguments: Engine.Versions.all)
    func `peers are told their span, and the collector all of them`(
        versions: Engine.Versions
    ) throws {
        let engine = try engine(versions)
        let exchange = try engine.request(
            "POST",
            "/a",
            ["traceparent": "00-\(TracingFilterTests.trace)-\(TracingFilterTests.span)-01"],
            body: .chunks(["one ", "two"])
        )
        #expect(exchange.response?.status == 200)
        let told = try #require(engine.origin.requests.first?["traceparent"])
        try engine.advance(.seconds(2))
        let spans = try batches(engine)
        #expect(spans.map(\.kind) == [2, 3])
        #expect(told == "00-\(TracingFilterTests.trace)-\(spans[1].id)-01")
        #expect(spans[0].parent == TracingFilterTests.span && spans[1].parent == spans[0].id)
        #expect(spans[0].attributes["http.request.body.size"] == "7")
        let version = versions.client == .http2 ? "2" : "1.1"
        #expect(spans[0].attributes["network.protocol.version"] == version)
        try engine.close()
    }

    @Test(arguments: Engine.Versions.all)
    func `a client that leaves has its spans`(versions: Engine.Versions) throws {
        let engine = try engine(versions)
        engine.origin.answer = nil
        let exchange = try engine.request("GET", "/")
        exchange.close()
        try engine.move()
        engine.origin.answer = { _ in Engine.Origin.Answer(200, body: "ok") }
        try engine.advance(.seconds(2))
        let spans = try batches(engine)
        #expect(spans.map(\.kind) == [2, 3] && spans.allSatisfy { !$0.isError })
        #expect(spans.first?.attributes["sluice.outcome"] == "client_gone")
        #expect(spans.last?.attributes["sluice.cancelled"] == "true")
        try engine.close()
    }
}
