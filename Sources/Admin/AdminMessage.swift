/// What somebody asks of the admin interface: an HTTP request, as far as it matters.
package struct AdminRequest: Equatable, Sendable {
    /// In capital letters.
    package var method: String
    /// Without a query, as "/v1/status".
    package var path: String
    /// `.null` of a request without a body.
    package var body: JSON

    package init(_ method: String, _ path: String, _ body: JSON = .null) {
        self.method = method
        self.path = path
        self.body = body
    }
}

/// The answer to it.
package struct AdminResponse: Equatable, Sendable {
    /// 200 when it was done; 409 when it can't be done now, 422 when what was asked for is wrong
    /// and nothing has changed.
    package var status: Int
    /// Sent as JSON; a string alone is sent as plain text.
    package var body: JSON
    /// With 405, the methods that the path has.
    package var allow: [String] = []

    package init(_ status: Int, _ body: JSON) {
        self.status = status
        self.body = body
    }

    /// An answer that says why something was not done, a problem in a line.
    package static func refusal(_ status: Int, _ problems: [String]) -> AdminResponse {
        AdminResponse(status, ["problems": .array(problems.map { .string($0) })])
    }

    /// Why it was not done; empty when it was.
    package var problems: [String] {
        (body["problems"]?.array ?? []).compactMap(\.string)
    }
}

/// Who answers: called on a thread of the admin interface, one call at a time.
package typealias AdminHandler = @Sendable (AdminRequest) -> AdminResponse
