/// One endpoint of an admin interface.
package struct AdminRoute<Target: Sendable>: Sendable {
    /// "GET" or "POST".
    package var method: String
    /// "/v1/plugins/*/swap"; "*" stands for one part that is not empty.
    package var path: String
    /// Members that the body may have.
    package var members: [String]
    package var answer: @Sendable (Target) -> @Sendable (AdminCall) -> AdminResponse

    /// - Parameter answer: a method, as in `Control.status`.
    package init(
        _ method: String,
        _ path: String,
        members: [String] = [],
        _ answer: @escaping @Sendable (Target) -> @Sendable (AdminCall) -> AdminResponse
    ) {
        self.method = method
        self.path = path
        self.members = members
        self.answer = answer
    }

    /// The part of a path that "*" stands for, "" where the pattern has none; nil when the path is
    /// not one of this endpoint.
    func name(in path: String) -> String? {
        // By scalars: a mark behind a "/" makes another character of it.
        let wanted = self.path.unicodeScalars.split(
            separator: "/",
            omittingEmptySubsequences: false
        )
        let given = path.unicodeScalars.split(separator: "/", omittingEmptySubsequences: false)
        guard wanted.count == given.count else { return nil }
        var name = ""
        for (want, part) in zip(wanted.map(String.init), given.map(String.init))
        where want != part {
            guard want == "*", !part.isEmpty else { return nil }
            name = part
        }
        return name
    }
}

/// A request that an endpoint takes.
package struct AdminCall: Sendable {
    /// What "*" in the endpoint's path stands for.
    package var name: String
    /// An object with the endpoint's members alone, or null.
    package var body: JSON
    package var request: AdminRequest
}

/// The endpoints of an admin interface.
package struct AdminRouter<Target: Sendable>: Sendable {
    private let routes: [AdminRoute<Target>]

    package init(_ routes: [AdminRoute<Target>]) { self.routes = routes }

    /// Whether any method of the path is one of these endpoints.
    package func has(_ path: String) -> Bool { routes.contains { $0.name(in: path) != nil } }

    /// Has the target answer a request.
    ///
    /// What no endpoint has is 404, a wrong method 405, an unknown member of the body 422.
    package func answer(_ request: AdminRequest, by target: Target) -> AdminResponse {
        let found = routes.filter { $0.name(in: request.path) != nil }
        guard !found.isEmpty else {
            return .refusal(404, ["there is no endpoint \(request.path)"])
        }
        guard let route = found.first(where: { $0.method == request.method }) else {
            let methods = found.map(\.method)
            var response = AdminResponse.refusal(
                405,
                ["\(request.path) takes \(methods.joined(separator: " or "))"]
            )
            response.allow = methods
            return response
        }
        if let refusal = request.refusal(unlessMembers: route.members) { return refusal }
        let call = AdminCall(
            name: route.name(in: request.path) ?? "",
            body: request.body,
            request: request
        )
        return route.answer(target)(call)
    }
}

extension AdminRequest {
    /// What is answered when the body has other members than these; nil when it has not.
    package func refusal(unlessMembers known: [String]) -> AdminResponse? {
        let unknown = (body.members ?? []).map(\.name).filter { !known.contains($0) }
        guard !unknown.isEmpty else { return nil }
        return .refusal(422, unknown.map { "unknown member \(JSON.string($0).text)" })
    }
}
