internal import PluginHost

/// Compares a configuration with its schema, and fills in what formats mean and what was left out.
///
/// All problems are collected.
struct SchemaCheck {
    /// Problems that are kept of one configuration.
    static let problemsMax = 100
    /// Schemas that are tried in all: an `anyOf` of an `anyOf` can multiply them.
    static let stepsMax = 1_000_000
    /// Schemas within schemas at one time; a value alone is at most 64 deep.
    static let depthMax = 512

    typealias Value = ConfigurationTree.Node

    struct Problem {
        var path: [ManifestReader.PathPart]
        var message: String
        /// The types that were wanted, when the value's type is all that is wrong.
        var wantedTypes: ValueTypes?
        /// What a string is called among these.
        var wantedString: String?
        /// What was wanted in place of the whole value, as in "a duration such as \"2s\"".
        var wanted: String?

        /// "rate: must be at least 1, is 0".
        var line: String {
            path.isEmpty ? message : ManifestReader.text(of: path) + ": " + message
        }
    }

    let document: CompiledSchema
    private(set) var problems: [Problem] = []
    /// Problems beyond those that are kept.
    private(set) var omittedCount = 0
    var path: [ManifestReader.PathPart]
    private var steps = 0
    private var isExhausted: Bool { steps > Self.stepsMax }
    private var depth = 0

    /// - Parameter path: of the configuration, as problems name it.
    init(_ document: CompiledSchema, at path: [ManifestReader.PathPart] = []) {
        self.document = document
        self.path = path
    }

    /// Checks the whole configuration.
    mutating func check(_ value: inout Value) {
        check(&value, document.root)
        guard isExhausted else { return }
        // What came before may be of an attempt that was not finished.
        problems = []
        report("too much to check: more than \(Self.stepsMax) steps")
    }

    mutating func check(_ value: inout Value, _ schema: Schema) {
        steps += 1
        guard !isExhausted else { return }
        guard depth < Self.depthMax else {
            report("the schema is more than \(Self.depthMax) levels deep here")
            return
        }
        depth += 1
        defer { depth -= 1 }
        if schema.isNever {
            report("is not allowed here")
            return
        }
        if let types = schema.types, !types.matches(value) {
            report(wanted: types, string: schema.format?.expectedText, found: value)
            return
        }
        checkScalar(&value, schema)
        checkArray(&value, schema)
        checkObject(&value, schema)
        checkCombinations(&value, schema)
    }

    /// The schema that a reference means.
    func target(of reference: Schema.Reference) -> Schema {
        switch reference {
        case .root: document.root
        case .definition(let index): document.definitions[index]
        }
    }

    // MARK: Problems

    mutating func report(_ message: String) { add(Problem(path: path, message: message)) }

    mutating func report(wanted types: ValueTypes, string: String?, found value: Value) {
        let message = "expected \(types.text(string: string)), found \(value.kindText)"
        add(Problem(path: path, message: message, wantedTypes: types, wantedString: string))
    }

    mutating func report(wanted: String, found value: Value) {
        let found = if case .string(let text, _) = value { quote(text) } else { value.text }
        let message = "expected \(wanted), found \(found)"
        add(Problem(path: path, message: message, wanted: wanted))
    }

    mutating func add(_ problem: Problem) {
        if problems.count < Self.problemsMax {
            problems.append(problem)
        } else {
            omittedCount += 1
        }
    }

    /// Checks something one step deeper.
    mutating func inside(_ part: ManifestReader.PathPart, _ body: (inout SchemaCheck) -> Void) {
        path.append(part)
        body(&self)
        path.removeLast()
    }

    /// What comes of checking a value, which is changed only if it fits.
    mutating func attempt(
        _ value: inout Value,
        _ schema: Schema
    ) -> [Problem] {
        var copy = value
        let before = (problems, omittedCount)
        problems = []
        check(&copy, schema)
        let found = problems
        (problems, omittedCount) = before
        if found.isEmpty { value = copy }
        return found
    }

    // MARK: Scalars

    private mutating func checkScalar(_ value: inout Value, _ schema: Schema) {
        if let allowed = schema.allowed {
            let text = value.text
            guard allowed.contains(where: { isSame($0.text, text) }) else {
                let list = allowed.map(\.text).joined(separator: ", ")
                report(wanted: (allowed.count > 1 ? "one of " : "") + list, found: value)
                return
            }
        }
        if case .string(let text, _) = value {
            checkString(text, &value, schema)
        } else if let number = value.number {
            checkNumber(number, &value, schema)
        }
    }

    private mutating func checkString(
        _ text: String,
        _ value: inout Value,
        _ schema: Schema
    ) {
        if let format = schema.format {
            guard let meaning = format.meaning(of: text) else {
                report(wanted: format.expectedText, found: value)
                return
            }
            if meaning != 0 { value = .string(text, meaning: meaning) }
        }
        checkCount(text.unicodeScalars.count, schema.length, "character", "characters")
    }

    private mutating func checkNumber(
        _ number: SchemaNumber,
        _ value: inout Value,
        _ schema: Schema
    ) {
        if let least = schema.minimum, number < least {
            report("must be at least \(least.text), is \(number.text)")
        }
        if let most = schema.maximum, most < number {
            report("must be at most \(most.text), is \(number.text)")
        }
        if let bound = schema.exclusiveMinimum, !(bound < number) {
            report("must be more than \(bound.text), is \(number.text)")
        }
        if let bound = schema.exclusiveMaximum, !(number < bound) {
            report("must be less than \(bound.text), is \(number.text)")
        }
        if let factor = schema.multipleOf, !number.isMultiple(of: factor) {
            report("must be a multiple of \(factor), is \(number.text)")
        }
        if schema.format == .status {
            guard case .integer(let status) = number, ValueFormat.statuses.contains(status) else {
                report(wanted: ValueFormat.status.expectedText, found: value)
                return
            }
        }
        // 1.0 is a whole number to JSON Schema, so plugins get one.
        if case .real(let real) = number, let types = schema.types, types.contains(.integer),
            !types.contains(.number), let whole = Int64(exactly: real)
        {
            value = .integer(whole)
        }
    }

    mutating func checkCount(
        _ count: Int,
        _ bounds: Schema.Bounds,
        _ one: String,
        _ many: String
    ) {
        if let least = bounds.min, count < least {
            report("must have at least \(least) \(least == 1 ? one : many), has \(count)")
        }
        if let most = bounds.max, count > most {
            report("must have at most \(most) \(most == 1 ? one : many), has \(count)")
        }
    }
}
