import SluiceTestKit
import Testing

/// The built library in the real engine, whose origin is checked and fails.
struct HealthCheckEngineTests {
    private static func open(_ configuration: TestValue) throws -> Engine {
        try Engine(library: Engine.libraryPath("HealthCheck"), configuration)
    }

    @Test func `checks come beside requests, and what they find is logged`() throws {
        let engine = try Self.open([
            "active": ["path": "/check", "host": "check.example", "interval": "1s", "fall": 2]
        ])
        engine.origins[0].answer = { request in
            .init(request.path == "/check" ? 503 : 200)
        }
        for _ in 0..<6 { try engine.advance(.seconds(1)) }
        let checks = engine.origins[0].requests.filter { $0.path == "/check" }
        #expect(checks.count >= 3)
        #expect(checks.first?["host"] == "check.example")
        #expect(checks.first?["user-agent"] == "sluice-health-check")
        #expect(engine.log.contains("10.0.0.1:80 is unhealthy: status 503"))
        // Nothing else is left, so it is used all the same.
        #expect(try engine.request().response?.status == 200)
        try engine.close()
    }

    @Test func `the only peer is never ejected`() throws {
        let engine = try Self.open(["passive": ["consecutive": 1]])
        engine.origins[0].answer = { _ in .init(500) }
        for _ in 0..<5 { #expect(try engine.request().response?.status == 500) }
        #expect(!engine.log.contains("ejected"))
        try engine.close()
    }
}
