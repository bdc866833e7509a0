internal import Admin

/// What is asked of a swap: the body of `POST /v1/plugins/NAME/swap`.
struct SwapOrder: Equatable, Sendable {
    /// The library's file, as the manifest may write it.
    var library: String
    /// 64 hexadecimal digits in lower case; nil takes any file.
    var sha256: String?
    /// Nil: all requests at once.
    var canary: Canary?

    /// A new generation that gets a share of the requests first.
    struct Canary: Equatable, Sendable {
        /// Share in hundredths of a percent: 1 to 9,999.
        var shareBasisPoints: Int
        /// Failed ones of those requests in hundredths of a percent, beyond which it is taken back.
        var errorBasisPoints: Int?
        /// Milliseconds that it may take longer than the old one on average.
        var latencyMilliseconds: Int?
        /// Milliseconds after which it takes over; nil waits for a command.
        var durationMilliseconds: Int?
    }

    /// Members of the body.
    static let members = ["library", "sha256", "canary", "error_budget", "latency_budget", "for"]
    static let latencyMillisecondsMax: Int64 = 600_000
    static let durationMillisecondsMax: Int64 = 604_800_000

    /// Why a body is no order; a line for each problem.
    struct Refusal: Error, Equatable, Sendable {
        var lines: [String]
    }

    /// - Parameter body: an object with these members at most.
    init(_ body: JSON) throws(Refusal) {
        var problems: [String] = []
        library = Self.read("library", body, &problems, "a file") { $0.isEmpty ? nil : $0 } ?? ""
        if body["library"] == nil { problems.append("library: this member is missing") }
        sha256 = Self.read("sha256", body, &problems, "64 hexadecimal digits") { text in
            let isDigest = text.utf8.count == 64 && text.allSatisfy { $0.isASCII && $0.isHexDigit }
            return isDigest ? text.lowercased() : nil
        }
        let share = Self.read("canary", body, &problems, "a share from 0.01% to 99.99%") {
            Self.inside(1...9_999, Quantity.basisPoints($0))
        }
        let errors = Self.read("error_budget", body, &problems, "a share from 0% to 100%") {
            Self.inside(0...10_000, Quantity.basisPoints($0))
        }
        let latency = Self.duration("latency_budget", Self.latencyMillisecondsMax, body, &problems)
        let duration = Self.duration("for", Self.durationMillisecondsMax, body, &problems)
        if let share {
            canary = Canary(
                shareBasisPoints: share,
                errorBasisPoints: errors,
                latencyMilliseconds: latency,
                durationMilliseconds: duration
            )
        } else if body["canary"] == nil {
            for name in ["error_budget", "latency_budget", "for"] where body[name] != nil {
                problems.append("\(name): only with canary")
            }
        }
        guard problems.isEmpty else { throw Refusal(lines: problems) }
    }

    private static func inside(_ range: ClosedRange<Int>, _ value: Int?) -> Int? {
        value.flatMap { range.contains($0) ? $0 : nil }
    }

    private static func duration(
        _ name: String,
        _ most: Int64,
        _ body: JSON,
        _ problems: inout [String]
    ) -> Int? {
        let expected = "a duration from 1ms to \(Quantity.durationText(most))"
        return read(name, body, &problems, expected) { text in
            Quantity.milliseconds(text).flatMap { 1...most ~= $0 ? Int($0) : nil }
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
