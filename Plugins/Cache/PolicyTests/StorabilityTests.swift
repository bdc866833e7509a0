import CachePolicy
import Testing

struct StorabilityTests {
    private func storability(_ status: Int, _ line: String, _ lifetime: Int64 = 60) -> Storability {
        let directives = response(line)
        let hasLifetime = directives.maxAge >= 0 || directives.sharedMaxAge >= 0
        return Storability(
            status: status,
            directives: directives,
            freshness: Freshness(lifetime: lifetime, source: hasLifetime ? .explicit : .heuristic)
        )
    }

    @Test(arguments: [
        (200, "max-age=60", nil), (200, "no-store, max-age=60", Refusal.noStore),
        (200, "private, max-age=60", .isPrivate), (200, "private=\"x\", max-age=60", nil),
        (206, "max-age=60", .partial), (304, "max-age=60", .status), (103, "max-age=60", .status),
        (302, "max-age=60", nil), (302, "", .notFresh), (302, "public", nil),
        (599, "max-age=9", nil),
        (404, "", nil), (500, "", .notFresh), (500, "max-age=5", nil),
        (200, "must-understand, no-store, max-age=60", nil),
        (299, "must-understand, no-store, max-age=60", .noStore),
        (299, "must-understand, max-age=60", .noStore),
    ])
    func `status and directives`(status: Int, line: String, refusal: Refusal?) {
        #expect(storability(status, line).refusal == refusal)
    }

    @Test(arguments: [
        ("max-age=60", Refusal.authorization), ("max-age=60, public", nil), ("s-maxage=60", nil),
        ("max-age=60, must-revalidate", nil), ("max-age=60, proxy-revalidate", .authorization),
    ])
    func `answers to requests with Authorization`(line: String, refusal: Refusal?) {
        var response = storability(200, line)
        response.hasAuthorization = true
        #expect(response.refusal == refusal)
    }

    @Test func `Set-Cookie is a matter of the configuration`() {
        var response = storability(200, "max-age=60")
        response.hasSetCookie = true
        #expect(response.refusal == .setCookie)
        response.storesCookies = true
        #expect(response.refusal == nil)
    }

    @Test func `Vary by everything`() {
        var response = storability(200, "max-age=60")
        response.variesByAll = true
        #expect(response.refusal == .varyAny)
    }

    @Test func `what is stale already is stored if it can be validated or served`() {
        var response = storability(200, "max-age=60", 60)
        response.initialAge = 60
        #expect(response.refusal == .expired)
        response.hasValidator = true
        #expect(response.refusal == nil)
        response.hasValidator = false
        response.staleSeconds = 5
        #expect(response.refusal == nil)
        response.staleSeconds = 0
        response.initialAge = 59
        #expect(response.refusal == nil)
    }

    @Test func `no-cache needs a validator`() {
        var response = storability(200, "no-cache, max-age=60")
        response.staleSeconds = 5
        #expect(response.refusal == .expired)
        response.hasValidator = true
        #expect(response.refusal == nil)
    }

    @Test(arguments: [
        "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "age",
        "content-length", "proxy-connection", "proxy-authenticate", "proxy-authorization",
        "proxy-authentication-info", "surrogate-control", ":status",
    ])
    func `fields that are never stored`(name: String) {
        #expect(StoredFields.isExcluded(Text(name)))
        #expect(!StoredFields.isUpdated(Text(name)))
    }

    @Test(arguments: ["etag", "cache-control", "content-type", "x-a", "set-cookie", "warning"])
    func `fields that a 304 updates`(name: String) {
        #expect(!StoredFields.isExcluded(Text(name)))
        #expect(StoredFields.isUpdated(Text(name)))
    }

    @Test(arguments: ["content-encoding", "content-range"])
    func `fields that a 304 leaves`(name: String) {
        #expect(!StoredFields.isExcluded(Text(name)))
        #expect(!StoredFields.isUpdated(Text(name)))
    }

    @Test func `each refusal has a name of its own`() {
        #expect(Set(Refusal.allCases.map { $0.name.string }).count == Refusal.allCases.count)
    }
}
