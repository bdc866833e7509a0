internal import Proxy

extension RouteSettings: Defaulted {
    static var defaults: Self { RouteSettings(name: "") }
}
extension RouteMatch: Defaulted {
    static var defaults: Self { RouteMatch() }
}

/// One entry of `routes`.
extension Table where Root == RouteSettings {
    static let route = Table(
        "route",
        at: "routes[]",
        later: ["rewrite", "redirect", "timeouts"],
        keys: [
            Key(
                "name",
                \.name,
                .routeName,
                "For logs and plugins. `routes[2]` and so on, when left out."
            ),
            Key(
                "match",
                \.match,
                .table(.match),
                "What a request must be like. Left out or empty: any request matches."
            ),
            Key(
                "chain",
                \.chain,
                .chain,
                "Plugin instances that requests of this route pass after those of the global"
                    + " chain."
            ),
            Key(
                "upstream",
                \.upstream,
                .absent(.reference(to: .upstream)),
                "Where the request is sent. May be left out when a plugin on the chain answers."
            ),
        ]
    )
}

extension Table where Root == RouteMatch {
    static let match = Table(
        "match",
        at: "routes[].match",
        later: ["query", "scheme", "client"],
        keys: [
            Key(
                "listener",
                \.listeners,
                .oneOrMore(.listener, max: ManifestLimits.listenersMax),
                "The `listen` address of the listener that the request came by, or several."
            ),
            Key(
                "host",
                \.hosts,
                .oneOrMore(.host, max: ManifestLimits.hostsMax),
                "`\"example.com\"`, or `\"*.example.com\"` for any name below it. Case and port do"
                    + " not count."
            ),
            Key(
                "path",
                \.path,
                .path,
                "`\"/exact\"`, `\"/prefix/*\"` (also `/prefix` itself), or `\"/*\"` for any."
                    + " Compared byte for byte, as the client wrote it, without the query."
            ),
            Key(
                "method",
                \.methods,
                .oneOrMore(.method, max: ManifestLimits.methodsMax),
                "`\"GET\"`, or several. Upper case."
            ),
            Key(
                "headers",
                \.headers,
                .headers,
                "Fields that a request must have, each with this value, or `true` for any value."
            ),
        ]
    )
}

// MARK: Values of requests

extension ValueKind where Value == HostPattern {
    static let host = ValueKind.parsed(Pattern.hostForm) { text, _ throws(Complaint) in
        try Pattern.host(text)
    }
}

extension ValueKind where Value == PathPattern {
    static let path = ValueKind.parsed(
        Pattern.pathForm,
        text: { $0 == .any ? "\"/*\"" : nil }
    ) { text, _ throws(Complaint) in try Pattern.path(text) }
}

extension ValueKind where Value == [HeaderPattern] {
    /// Names with the value they must have, in the order of the text.
    static let headers: ValueKind = {
        let value = TextForm("value", expected: "a value")
        let name = TextForm(
            "field name",
            expected: "a field name",
            pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"
        )
        let element = ValueForm.either([.text(value), .yes])
        let count = 0...ManifestLimits.headersMax
        let form = ValueForm.map(of: element, keys: name, count: count)
        return ValueKind(form: form, text: { $0.isEmpty ? "{}" : nil }) { node, reader in
            guard let members = reader.members(of: node, expected: "an object"),
                reader.isCount(members.count, count, of: "fields", at: node)
            else { return nil }
            var patterns: [HeaderPattern] = []
            for member in members {
                reader.inside(.key(member.key)) { reader in
                    guard let pattern = reader.header(member, element) else { return }
                    if patterns.contains(where: { $0.name == pattern.name }) {
                        reader.report("the field occurs twice", offset: member.keyOffset)
                    }
                    patterns.append(pattern)
                }
            }
            return patterns
        }
    }()
}

extension ManifestReader {
    fileprivate mutating func header(_ member: Node.Member, _ form: ValueForm) -> HeaderPattern? {
        do throws(Complaint) {
            let name = try Pattern.fieldName(member.key)
            switch member.value.content {
            case .bool(true): return HeaderPattern(name: name, value: nil)
            case .string(let text):
                return HeaderPattern(name: name, value: try Pattern.fieldValue(text))
            default: report(expected: form.expectedText, at: member.value)
            }
        } catch {
            report(error.message, at: member.value)
        }
        return nil
    }
}
