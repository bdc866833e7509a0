internal import PluginHost

extension SchemaCheck {
    // MARK: Arrays

    mutating func checkArray(_ value: inout Value, _ schema: Schema) {
        guard case .array(var elements) = value else { return }
        checkCount(elements.count, schema.itemCount, "entry", "entries")
        if let items = schema.items {
            for index in elements.indices {
                inside(.index(index)) { $0.check(&elements[index], items) }
            }
            value = .array(elements)
        }
        guard schema.areItemsUnique else { return }
        var places: [[UInt8]: Int] = [:]
        for (index, element) in elements.enumerated() {
            let text = Array(element.text.utf8)
            if let first = places[text] {
                inside(.index(index)) { $0.report("is the same as entry \(first)") }
            } else {
                places[text] = index
            }
        }
    }

    // MARK: Objects

    mutating func checkObject(_ value: inout Value, _ schema: Schema) {
        guard case .object(var members) = value else { return }
        checkCount(members.count, schema.propertyCount, "key", "keys")
        for name in schema.required where !members.contains(where: { isSame($0.key, name) }) {
            inside(.key(name)) { $0.report("this key is missing") }
        }
        for index in members.indices {
            let key = members[index].key
            let property = schema.properties.first { isSame($0.name, key) }
            guard let expected = property?.schema ?? schema.additionalProperties else { continue }
            inside(.key(key)) { check in
                if property == nil, expected.isNever {
                    check.report("unknown key" + check.hint(for: key, schema))
                } else {
                    check.check(&members[index].value, expected)
                }
            }
        }
        fill(&members, schema)
        value = .object(members)
    }

    private func hint(for key: String, _ schema: Schema) -> String {
        // Looking for names that are near is slow.
        guard problems.count < Self.problemsMax else { return "" }
        let names = schema.properties.map(\.name)
        if names.isEmpty { return "; there is none here" }
        let hint = suggestion(for: key, among: names)
        // A short list is said whole, as it saves a look into the documentation.
        return hint.isEmpty && names.count <= 12
            ? "; there are " + names.joined(separator: ", ") : hint
    }

    /// Adds what was left out and has a default, and what that leaves out.
    private mutating func fill(
        _ members: inout [(key: String, value: Value)],
        _ schema: Schema
    ) {
        for (name, property) in schema.properties {
            guard !members.contains(where: { isSame($0.key, name) }),
                var value = defaultValue(of: property)
            else { continue }
            inside(.key(name)) { $0.check(&value, property) }
            let index =
                members.firstIndex { name.utf8.lexicographicallyPrecedes($0.key.utf8) }
                ?? members.count
            members.insert((name, value), at: index)
        }
    }

    /// The default of a schema, or of the one that it refers to.
    private func defaultValue(of schema: Schema) -> Value? {
        var schema = schema
        for _ in 0...document.definitions.count {
            if let value = schema.defaultValue { return value }
            guard let reference = schema.reference else { return nil }
            schema = target(of: reference)
        }
        return nil
    }

    // MARK: Combinations

    mutating func checkCombinations(_ value: inout Value, _ schema: Schema) {
        if let reference = schema.reference { check(&value, target(of: reference)) }
        for part in schema.allOf { check(&value, part) }
        checkAny(&value, schema.anyOf)
        checkOne(&value, schema.oneOf)
        if let not = schema.not, attempt(&value, not).isEmpty { report(Self.refusal(by: not)) }
    }

    private mutating func checkAny(_ value: inout Value, _ forms: [Schema]) {
        guard !forms.isEmpty else { return }
        var attempts: [[Problem]] = []
        for form in forms {
            let found = attempt(&value, form)
            if found.isEmpty { return }
            attempts.append(found)
        }
        explain(attempts, value)
    }

    private mutating func checkOne(_ value: inout Value, _ forms: [Schema]) {
        guard !forms.isEmpty else { return }
        var attempts: [[Problem]] = []
        var fitting: [Value] = []
        for form in forms {
            var copy = value
            let found = attempt(&copy, form)
            if found.isEmpty { fitting.append(copy) } else { attempts.append(found) }
        }
        switch fitting.count {
        case 0: explain(attempts, value)
        case 1: value = fitting[0]
        default: report("fits \(fitting.count) forms of which it must have exactly one")
        }
    }

    /// Reports a value that fits none of several forms, as if it were meant to be the form whose
    /// type it has.
    private mutating func explain(_ attempts: [[Problem]], _ value: Value) {
        let typed = attempts.filter { found in
            !(found[0].wantedTypes != nil && found[0].path.count == path.count)
        }
        if typed.count == 1 {
            typed[0].forEach { add($0) }
        } else if typed.isEmpty {
            let types = attempts.reduce(into: ValueTypes()) { types, found in
                types.formUnion(found[0].wantedTypes ?? [])
            }
            let strings = attempts.compactMap { $0[0].wantedString }
            let string = strings.isEmpty ? nil : strings.joined(separator: " or ")
            report(wanted: types, string: string, found: value)
        } else if let wanted = wholeValues(typed) {
            report(wanted: wanted, found: value)
        } else {
            let reasons = typed.map { found in
                var problem = found[0]
                problem.path.removeFirst(path.count)
                return problem.line
            }
            report("fits none of \(typed.count) forms: " + reasons.joined(separator: "; or: "))
        }
    }

    /// "this or that", when each attempt wanted another value in place of the whole one.
    private func wholeValues(_ attempts: [[Problem]]) -> String? {
        let wanted = attempts.compactMap { found in
            found[0].path.count == path.count ? found[0].wanted : nil
        }
        return wanted.count == attempts.count ? wanted.joined(separator: " or ") : nil
    }

    private static func refusal(by not: Schema) -> String {
        let names = not.required.map(quote)
        guard names.count > 1 else { return "has a form that is not allowed" }
        return names.dropLast().joined(separator: ", ") + " and " + names[names.count - 1]
            + " exclude each other"
    }
}
