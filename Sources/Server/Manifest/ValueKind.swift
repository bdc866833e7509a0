/// How one type of value is read from the manifest, described, and written as a default.
struct ValueKind<Value>: Sendable {
    let form: ValueForm
    /// The value as a manifest writes it; nil where no single word does.
    let text: @Sendable (Value) -> String?
    /// The value, or nil after what is wrong with it was reported.
    let read: @Sendable (Node, inout ManifestReader) -> Value?
}

/// Why a string does not have its form.
struct Complaint: Error, Equatable {
    var message: String

    init(_ message: String) { self.message = message }
}

// MARK: Numbers

extension ValueKind where Value: FixedWidthInteger & Sendable {
    static func integer(_ range: ClosedRange<Value>) -> Self {
        let form = ValueForm.integer(Int64(range.lowerBound)...Int64(range.upperBound))
        return ValueKind(form: form, text: { "\($0)" }) { node, reader in
            switch node.content {
            case .integer(let value):
                return reader.checked(value, "\(value)", form, range, at: node)
            case .number:
                reader.report(
                    "expected a whole number, found one with a fraction or an exponent",
                    at: node
                )
            default: reader.report(expected: form.expectedText, at: node)
            }
            return nil
        }
    }

    static func duration(_ range: ClosedRange<Value>) -> Self {
        let form = ValueForm.duration(Int64(range.lowerBound)...Int64(range.upperBound))
        return ValueKind(form: form, text: { quote(Quantity.durationText(Int64($0))) }) {
            node,
            reader in
            guard let text = reader.string(node, form) else { return nil }
            guard let value = Quantity.milliseconds(text) else {
                reader.report(
                    "expected \(form.expectedText), found \(quote(text)); a duration is a whole"
                        + " number and one of ms, s, m, h",
                    at: node
                )
                return nil
            }
            return reader.checked(value, text, form, range, at: node)
        }
    }

    /// A duration that is kept in whole seconds.
    static func seconds(_ range: ClosedRange<Value>) -> Self {
        let milliseconds = ValueKind<Int64>.duration(
            Int64(range.lowerBound) * 1_000...Int64(range.upperBound) * 1_000
        )
        return ValueKind(
            form: milliseconds.form,
            text: { milliseconds.text(Int64($0) * 1_000) }
        ) { node, reader in
            guard let value = milliseconds.read(node, &reader) else { return nil }
            guard value % 1_000 == 0 else {
                reader.report("expected whole seconds", at: node)
                return nil
            }
            return Value(value / 1_000)
        }
    }

    static func size(_ range: ClosedRange<Value>) -> Self {
        let form = ValueForm.size(Int64(range.lowerBound)...Int64(range.upperBound))
        return ValueKind(form: form, text: { quote(Quantity.sizeText(Int64($0))) }) {
            node,
            reader in
            if case .integer(let value) = node.content {
                return reader.checked(value, "\(value)", form, range, at: node)
            }
            guard let text = reader.string(node, form) else { return nil }
            guard let value = Quantity.bytes(text) else {
                reader.report(
                    "expected \(form.expectedText), found \(quote(text)); a size is a whole number"
                        + " and one of B, KiB, MiB, GiB, TiB, KB, MB, GB, TB",
                    at: node
                )
                return nil
            }
            return reader.checked(value, text, form, range, at: node)
        }
    }

    /// A number whose 0 is also written "none".
    static func orNone(_ kind: Self) -> Self {
        let word = ValueKind<Value?>.optional("none", kind)
        return ValueKind(form: word.form, text: { word.text($0 == 0 ? nil : $0) }) {
            node,
            reader in
            // Two levels: nothing was read, or the word was.
            word.read(node, &reader).map { $0 ?? 0 }
        }
    }
}

// MARK: Strings

extension ValueKind {
    /// A word that means "no value", or a value.
    static func optional<Wrapped>(
        _ word: String,
        _ kind: ValueKind<Wrapped>
    ) -> Self where Value == Wrapped? {
        let form = ValueForm.either([.words([word]), kind.form])
        return ValueKind(form: form, text: { $0.map(kind.text) ?? quote(word) }) { node, reader in
            switch (node.content, kind.form) {
            case (.string(word), _): return .some(nil)
            case (.string(let text), .integer):
                reader.report("expected \(form.expectedText), found \(quote(text))", at: node)
                return nil
            case (.string, _), (.integer, .integer), (.integer, .size), (.number, _):
                return kind.read(node, &reader).map { .some($0) }
            default:
                reader.report(expected: form.expectedText, at: node)
                return nil
            }
        }
    }

    /// A value that is nil only when the key is left out.
    static func absent<Wrapped>(_ kind: ValueKind<Wrapped>) -> Self where Value == Wrapped? {
        ValueKind(form: kind.form, text: { $0.flatMap(kind.text) }) { node, reader in
            kind.read(node, &reader).map { .some($0) }
        }
    }

    /// A string that is parsed.
    static func parsed(
        _ form: TextForm,
        text: @escaping @Sendable (Value) -> String? = { _ in nil },
        _ parse:
            @escaping @Sendable (String, ManifestReader) throws(Complaint) -> Value
    ) -> Self {
        ValueKind(form: .text(form), text: text) { node, reader in
            guard let string = reader.string(node, .text(form)) else { return nil }
            do throws(Complaint) {
                return try parse(string, reader)
            } catch {
                reader.report(error.message, at: node)
                return nil
            }
        }
    }

    /// One of several strings.
    static func words(_ words: [(String, Value)], later: [String] = []) -> Self
    where Value: Equatable & Sendable {
        let form = ValueForm.words(words.map(\.0))
        return ValueKind(
            form: form,
            text: { value in words.first { $0.1 == value }.map { quote($0.0) } },
            read: { node, reader in
                guard let text = reader.string(node, form) else { return nil }
                if let word = words.first(where: { $0.0 == text }) { return word.1 }
                reader.report(
                    later.contains(text)
                        ? "\(quote(text)) is not supported by this version of sluice"
                        : "expected \(form.expectedText), found \(quote(text))",
                    at: node
                )
                return nil
            }
        )
    }
}

extension ValueKind where Value == String {
    /// The name of something that the manifest declares elsewhere.
    static func reference(to kind: ManifestReader.Reference.Kind) -> Self {
        let form = TextForm(
            "\(kind.rawValue) name",
            expected: "the name of a" + (kind == .upstream ? "n " : " ") + kind.rawValue
        )
        return ValueKind(form: .text(form), text: { quote($0) }) { node, reader in
            guard let name = reader.string(node, .text(form)) else { return nil }
            reader.refer(to: kind, name, at: node)
            return name
        }
    }
}

// MARK: Groups

extension ValueKind {
    /// A list, without those elements that were reported as wrong.
    static func list<Element>(
        of kind: ValueKind<Element>,
        _ count: ClosedRange<Int>
    ) -> Self where Value == [Element] {
        let form = ValueForm.list(of: kind.form, count: count)
        return ValueKind(form: form, text: { $0.isEmpty ? "[]" : nil }) { node, reader in
            guard case .array(let elements) = node.content else {
                reader.report(expected: form.expectedText, at: node)
                return nil
            }
            guard reader.isCount(elements.count, count, of: "entries", at: node) else { return nil }
            var values: [Element] = []
            for (index, element) in elements.enumerated() {
                let value = reader.inside(.index(index)) { kind.read(element, &$0) }
                if let value { values.append(value) }
            }
            return values
        }
    }

    /// One value, or a list of at least one.
    static func oneOrMore<Element>(
        _ kind: ValueKind<Element>,
        max: Int
    ) -> Self where Value == [Element] {
        let list = ValueKind.list(of: kind, 1...max)
        return ValueKind(form: .either([kind.form, list.form]), text: { _ in nil }) {
            node,
            reader in
            if case .array = node.content { return list.read(node, &reader) }
            return kind.read(node, &reader).map { [$0] }
        }
    }

    /// An object whose keys are known.
    static func table(_ table: Table<Value>) -> Self where Value: Defaulted {
        ValueKind.table(table) { _ in Value.defaults }
    }

    /// An object whose keys are known.
    ///
    /// - Parameter make: the value to fill in, from the object's path.
    static func table(
        _ table: Table<Value>,
        make: @escaping @Sendable (String) -> Value
    ) -> Self {
        ValueKind(form: .table(table.description), text: { _ in nil }) { node, reader in
            var value = make(reader.pathText)
            table.read(node, into: &value, &reader)
            return value
        }
    }

    /// An object from names to objects, in the order of the text.
    static func map<Element>(
        of table: Table<Element>,
        declaring kind: ManifestReader.Reference.Kind,
        _ count: ClosedRange<Int>,
        make: @escaping @Sendable (String) -> Element
    ) -> Self where Value == [Element] {
        let form = ValueForm.map(
            of: .table(table.description),
            keys: Pattern.nameForm,
            count: count
        )
        return ValueKind(form: form, text: { $0.isEmpty ? "{}" : nil }) { node, reader in
            guard let members = reader.members(of: node, expected: form.expectedText),
                reader.isCount(members.count, count, of: "entries", at: node)
            else { return nil }
            var values: [Element] = []
            for member in members {
                reader.declare(kind, member.key)
                reader.inside(.key(member.key)) { reader in
                    if let complaint = Pattern.complaint(aboutName: member.key) {
                        reader.report(complaint.message, offset: member.keyOffset)
                    }
                    var value = make(member.key)
                    table.read(member.value, into: &value, &reader)
                    values.append(value)
                }
            }
            return values
        }
    }
}

extension ManifestReader {
    /// A string, or nil after the complaint that it is none.
    mutating func string(_ node: Node, _ form: ValueForm) -> String? {
        guard case .string(let text) = node.content else {
            report(expected: form.expectedText, at: node)
            return nil
        }
        return text
    }

    fileprivate mutating func checked<Value: FixedWidthInteger>(
        _ value: Int64,
        _ shown: String,
        _ form: ValueForm,
        _ range: ClosedRange<Value>,
        at node: Node
    ) -> Value? {
        if let value = Value(exactly: value), range.contains(value) { return value }
        report("\(shown) is out of range; expected \(form.rangeText ?? "another value")", at: node)
        return nil
    }

    mutating func isCount(
        _ count: Int,
        _ range: ClosedRange<Int>,
        of what: String,
        at node: Node
    ) -> Bool {
        if range.contains(count) { return true }
        report(
            count < range.lowerBound
                ? "at least \(range.lowerBound) is needed"
                : "\(count) \(what) are too many; at most \(range.upperBound) are possible",
            at: node
        )
        return false
    }
}
