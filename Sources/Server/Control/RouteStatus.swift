internal import Admin
internal import Proxy

/// The routes with the plugins of each in their order, in JSON.
enum RouteStatus {
    /// The answer of `GET /v1/routes`.
    static func json(_ settings: ProxySettings) -> JSON {
        [
            "routes": .array(
                settings.routes.map { route in
                    [
                        "name": .string(route.name), "match": .string(text(of: route.match)),
                        "chain": .array((settings.chain + route.chain).map { .string($0) }),
                        "upstream": route.upstream.map { .string($0) } ?? .null,
                    ]
                }
            )
        ]
    }

    /// What a route asks of a request, as "GET example.com/api/*, x-version: 2".
    static func text(of match: RouteMatch) -> String {
        let hosts = match.hosts.map { host in
            switch host {
            case .exact(let name): name
            case .suffix(let name): "*" + name
            }
        }
        let path =
            switch match.path {
            case .any: "/*"
            case .exact(let path): path
            case .prefix(let path): path + "*"
            }
        let place = hosts.isEmpty ? path : hosts.map { $0 + path }.joined(separator: " or ")
        let methods = match.methods.isEmpty ? [] : [match.methods.joined(separator: "|")]
        let fields = match.headers.map { field in
            field.value.map { "\(field.name): \($0)" } ?? field.name
        }
        let listeners = match.listeners.map { "on " + $0 }
        return ([(methods + [place]).joined(separator: " ")] + fields + listeners)
            .joined(separator: ", ")
    }
}
