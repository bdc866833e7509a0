import SluiceSDK

/// The edits that the configuration asks for on one side, in the order in which they are done:
/// first all of `remove`, then `set`, `add` and `add_if_absent`, each in its written order.
struct Rules {
    /// Rules of one side; each is an edit, for which the host's room is bounded.
    static let countMax = 32

    enum Side {
        case request, response
    }

    private enum Operation {
        case remove, set, add, addIfAbsent
        /// `set` of Host, which is the request's authority.
        case setAuthority
    }

    private struct Rule {
        let operation: Operation
        let name: FieldName
        let value: Template
    }

    private let rules: List<Rule>

    init(_ value: ConfigurationValue?, _ side: Side, _ host: Host, hasID: Bool) throws(PluginError)
    {
        guard let value else {
            rules = host.memory.list([])
            return
        }
        let allowed = Rules.placeholders(side, hasID: hasID)
        var rules: [Rule] = []
        for entry in try value.array("remove") {
            let name = try entry.naming { () throws(PluginError) in
                try FieldName(named: entry.string())
            }
            if side == .request, name.id == .host {
                throw entry.error("Host can be set, but not removed")
            }
            rules.append(
                Rule(
                    operation: .remove,
                    name: name,
                    value: try Template("", allowing: [], in: host.memory)
                )
            )
        }
        for entry in try value.array("set") {
            rules.append(try Rules.read(entry, .set, side, allowed, host))
        }
        for entry in try value.array("add") {
            rules.append(try Rules.read(entry, .add, side, allowed, host))
        }
        for entry in try value.array("add_if_absent") {
            rules.append(try Rules.read(entry, .addIfAbsent, side, allowed, host))
        }
        guard rules.count <= Rules.countMax else {
            throw value.error("\(rules.count) edits, but there is room for \(Rules.countMax)")
        }
        self.rules = host.memory.list(rules)
    }

    private static func placeholders(_ side: Side, hasID: Bool) -> [Placeholder] {
        var allowed: [Placeholder] = [
            .clientIP, .host, .authority, .scheme, .path, .query, .route, .upstream, .tlsVersion,
            .tlsCipher, .tlsServerName, .clientSubject, .clientFingerprint,
        ]
        if side == .response { allowed.append(.peer) }
        if hasID { allowed.append(.requestID) }
        return allowed
    }

    private static func read(
        _ entry: ConfigurationValue,
        _ operation: Operation,
        _ side: Side,
        _ allowed: [Placeholder],
        _ host: Host
    ) throws(PluginError) -> Rule {
        let nameValue = try entry.required("name")
        let name = try nameValue.naming { () throws(PluginError) in
            try FieldName(named: nameValue.string())
        }
        var operation = operation
        if side == .request, name.id == .host {
            guard operation == .set else { throw nameValue.error("Host can be set, but not added") }
            operation = .setAuthority
        }
        let value = try entry.required("value")
        let text = try value.string()
        guard text.isFieldValue else { throw value.error("has a control character") }
        let template = try value.naming { () throws(PluginError) in
            try Template(text, allowing: allowed, in: host.memory)
        }
        return Rule(operation: operation, name: name, value: template)
    }

    var isEmpty: Bool { rules.count == 0 }

    func apply(_ exchange: borrowing Exchange<HeadersFilter>, requestID: Bytes) {
        let edits = exchange.edits
        for rule in rules {
            let name = rule.name
            switch rule.operation {
            case .remove: edits.remove(name)
            case .set: edits.set(name, rule.value.value(exchange, requestID: requestID))
            case .add: edits.append(name, rule.value.value(exchange, requestID: requestID))
            case .addIfAbsent:
                edits.addIfAbsent(name, rule.value.value(exchange, requestID: requestID))
            case .setAuthority:
                edits.setAuthority(rule.value.value(exchange, requestID: requestID))
            }
        }
    }
}
