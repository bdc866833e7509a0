internal import Proxy

/// Checks that what a plugin reads of a request was set before it by another one.
enum AttributeGraph {
    /// What one instance does with attributes.
    struct Use {
        var produces: [String] = []
        var consumes: [String] = []
    }

    /// The consumers without a producer before them, a line each.
    ///
    /// Requests pass the global chain, the chain of their route, and the balancer of its upstream.
    ///
    /// - Parameter uses: by instance; one that is not among them uses nothing.
    static func problems(_ settings: ProxySettings, _ uses: [String: Use]) -> [String] {
        guard uses.values.contains(where: { !$0.consumes.isEmpty }) else { return [] }
        var lines: [String] = []
        var walk = Walk(uses: uses)
        for (index, name) in settings.chain.enumerated() {
            walk.pass(name, at: "chain[\(index)]", behind: settings.chain, &lines)
        }
        for (index, route) in settings.routes.enumerated() {
            let place = "routes[\(index)]"
            // Without a name a route is called by its place.
            let note = route.name == place ? "" : " on route \(quote(route.name))"
            var own = walk
            let whole = settings.chain + route.chain
            for (step, name) in route.chain.enumerated() {
                own.pass(name, at: "\(place).chain[\(step)]", note, behind: whole, &lines)
            }
            let upstream = settings.upstreams.first { $0.name == route.upstream }
            if let balancer = upstream?.balancer, uses[balancer] != nil {
                own.pass(balancer, at: "\(place).upstream", note, behind: whole, &lines)
            }
        }
        return lines
    }

    /// A request's way so far.
    private struct Walk {
        let uses: [String: Use]
        var produced: Set<String> = []

        mutating func pass(
            _ name: String,
            at place: String,
            _ note: String = "",
            behind chain: [String],
            _ lines: inout [String]
        ) {
            guard let use = uses[name] else { return }
            // An instance may read what it set itself in an earlier phase.
            produced.formUnion(use.produces)
            for attribute in use.consumes where !produced.contains(attribute) {
                lines.append(
                    "\(place): plugin \(quote(name)) consumes the attribute \(quote(attribute)),"
                        + reason(attribute, chain) + note
                )
            }
        }

        private func reason(_ attribute: String, _ chain: [String]) -> String {
            let producers = uses.keys.sorted().filter { name in
                uses[name]?.produces.contains(attribute) == true
            }
            if let late = chain.first(where: producers.contains) {
                return " but \(quote(late)), which produces it, comes later"
            }
            guard let other = producers.first else { return " which no plugin produces" }
            return " but \(quote(other)), which produces it, is not on the chain"
        }
    }
}
