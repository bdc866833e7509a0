internal import Admin

/// The body of `POST /v1/plugins/NAME/swap`.
extension SwapOrder {
    /// Its members, each a string as the command line has it.
    static let members = ["library", "sha256", "canary", "error_budget", "latency_budget", "for"]
    static let durationMillisecondsMax: Int64 = 604_800_000

    /// Why a body is no order; a line for each problem.
    struct Refusal: Error, Equatable {
        var lines: [String]
    }

    /// - Parameter body: an object with these members at most.
    init(plugin: String, _ body: JSON) throws(Refusal) {
        var problems: [String] = []
        let library = Self.read("library", body, &problems, "a path from the root") { text in
            text.hasPrefix("/") && !text.utf8.contains(0) ? text : nil
        }
        if body["library"] == nil { problems.append("library: this member is missing") }
        let sha256 = Self.read("sha256", body, &problems, "64 hexadecimal digits") { text in
            let isDigest = text.utf8.count == 64 && text.allSatisfy { $0.isASCII && $0.isHexDigit }
            return isDigest ? text.lowercased() : nil
        }
        let share = Self.read("canary", body, &problems, "a share from 0.01% to 99.99%") {
            Self.hundredths($0, unit: "%", 1...9_999)
        }
        let errors = Self.read("error_budget", body, &problems, "a share from 0% to 100%") {
            Self.hundredths($0, unit: "%", 0...10_000)
        }
        let latency = Self.read("latency_budget", body, &problems, "a factor from 1x to 100x") {
            Self.hundredths($0, unit: "x", 100...10_000)
        }
        let longest = Quantity.durationText(Self.durationMillisecondsMax)
        let duration = Self.read("for", body, &problems, "a duration from 1ms to \(longest)") {
            text in
            Quantity.milliseconds(text).flatMap {
                1...Self.durationMillisecondsMax ~= $0 ? Int($0) : nil
            }
        }
        if body["canary"] == nil {
            for name in ["error_budget", "latency_budget", "for"] where body[name] != nil {
                problems.append("\(name): only with canary")
            }
        }
        guard problems.isEmpty, let library else { throw Refusal(lines: problems) }
        self.init(
            plugin: plugin,
            library: library,
            sha256: sha256,
            canary: share,
            errorBudget: errors ?? Self.errorBudgetDefault,
            latencyBudget: latency ?? Self.latencyBudgetDefault,
            duration: duration
        )
    }

    /// A number with at most two digits behind its point and a unit, as in "12.25%".
    ///
    /// - Parameter range: in hundredths.
    private static func hundredths(
        _ text: String,
        unit: String,
        _ range: ClosedRange<Int>
    ) -> Double? {
        Quantity.hundredths(text, unit: unit).flatMap {
            range.contains($0) ? Double($0) / 100 : nil
        }
    }

    /// The value of a member that is a string; nil when it is not there, or after it was reported.
    private static func read<Value>(
        _ name: String,
        _ body: JSON,
        _ problems: inout [String],
        _ expected: String,
        _ parse: (String) -> Value?
    ) -> Value? {
        guard let member = body[name] else { return nil }
        if let text = member.string, let value = parse(text) { return value }
        problems.append("\(name): expected \(expected), found \(member.text)")
        return nil
    }
}
