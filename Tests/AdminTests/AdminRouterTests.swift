import Testing

@testable import Admin

private struct Control: Sendable {
    let word = "here"

    func look(_ call: AdminCall) -> AdminResponse { AdminResponse(200, ["look": .string(word)]) }

    func swap(_ call: AdminCall) -> AdminResponse {
        AdminResponse(200, ["name": .string(call.name), "body": call.body])
    }

    static let router = AdminRouter<Control>([
        AdminRoute("GET", "/v1/a", { $0.look }), AdminRoute("POST", "/v1/a", { $0.look }),
        AdminRoute("POST", "/v1/plugins/*/swap", members: ["library", "sha256"], { $0.swap }),
        AdminRoute("GET", "/v1/plugins", { $0.look }),
    ])
}

struct AdminRouterTests {
    private func answer(_ method: String, _ path: String, _ body: JSON = .null) -> AdminResponse {
        Control.router.answer(AdminRequest(method, path, body), by: Control())
    }

    @Test func `an endpoint is found by path and method`() {
        #expect(answer("GET", "/v1/a").body == ["look": "here"])
        #expect(answer("POST", "/v1/a").status == 200)
        let body: JSON = ["library": "x.so"]
        #expect(
            answer("POST", "/v1/plugins/my-plugin_1.2/swap", body).body
                == ["name": "my-plugin_1.2", "body": body]
        )
    }

    @Test(arguments: [
        "/", "", "*", "/v1", "/v1/", "/v1/a/", "/v1//a", "//v1/a", "/v1/A", "/v1/b",
        "/v1/plugins/", "/v1/plugins//swap", "/v1/plugins/x/y/swap", "/v1/plugins/x/swap/",
        "/v1/plugins/x/*", "/v1/%61", "/v1/x/../a", "/v1/plugins/x",
        "/v1/plugins/x/\u{301}/swap",
    ])
    func `another path is 404`(path: String) {
        #expect(answer("GET", path).status == 404)
        #expect(!Control.router.has(path))
    }

    @Test func `another method is 405 with those that there are`() {
        let response = answer("DELETE", "/v1/a")
        #expect(response.status == 405)
        #expect(response.allow == ["GET", "POST"])
        #expect(response.problems == ["/v1/a takes GET or POST"])
        #expect(answer("get", "/v1/plugins").allow == ["GET"])
        #expect(answer("GET", "/v1/plugins/x/swap").allow == ["POST"])
        #expect(Control.router.has("/v1/plugins/x/swap"))
    }

    @Test func `a member that the endpoint does not have is 422`() {
        let response = answer("POST", "/v1/plugins/x/swap", ["libary": "x", "sha256": "", "a": 1])
        #expect(response.status == 422)
        #expect(response.problems == ["unknown member \"libary\"", "unknown member \"a\""])
        #expect(answer("POST", "/v1/a", [:]).status == 200)
        #expect(answer("POST", "/v1/a", ["x": 1]).status == 422)
    }
}
