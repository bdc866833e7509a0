/// The commands that run a plugin's code outside of a proxy.
extension CommandForm {
    private static let configuration = Option(
        long: "--config",
        short: nil,
        value: "JSON",
        summary: "configuration of the plugin (default {})"
    )

    static let validate = CommandForm(
        words: ["plugin", "validate"],
        summary: "check how the plugin in a file behaves",
        options: [
            configuration,
            Option(
                long: "--seed",
                short: nil,
                value: "N",
                summary: "what random input is made from (default: another each time)"
            ),
            Option(
                long: "--iterations",
                short: nil,
                value: "N",
                summary: "rounds of random input (default \(Validation.iterationsDefault))"
            ),
            Option(
                long: "--timeout",
                short: nil,
                value: "SECONDS",
                summary: "a step that takes longer hangs (default \(Validation.timeoutDefault))"
            ),
        ],
        operands: ["FILE.so"],
        details: """
            Runs the library in the real engine, with scripted clients and origins, each check in a
            process of its own. Prints a line for each and exits with 1 if one fails. The same seed
            gives the same input.
            """,
        make: { arguments throws(UsageError) in
            let most = UInt64(Validation.iterationsMax)
            let iterations = try number("--iterations", 1...most, arguments)
            let longest = UInt64(Validation.timeoutMax)
            let timeout = try number("--timeout", 1...longest, arguments)
            return .pluginValidate(
                Validation.Order(
                    file: arguments.operand,
                    configuration: arguments.options["--config"] ?? "{}",
                    seed: try number("--seed", 0...UInt64.max, arguments),
                    iterations: iterations.map { Int($0) } ?? Validation.iterationsDefault,
                    timeout: timeout.map { Int($0) } ?? Validation.timeoutDefault
                )
            )
        }
    )

    static let bench = CommandForm(
        words: ["plugin", "bench"],
        summary: "measure the hooks of the plugin in a file",
        options: [configuration],
        operands: ["FILE.so"],
        details: """
            Calls each hook for one request again and again, and shows the best of several runs,
            beside a hook that does nothing.
            """,
        make: {
            .pluginBench(file: $0.operand, configuration: $0.options["--config"] ?? "{}")
        }
    )

    private static func number(
        _ option: String,
        _ range: ClosedRange<UInt64>,
        _ arguments: Arguments
    ) throws(UsageError) -> UInt64? {
        guard let text = arguments.options[option] else { return nil }
        guard let number = UInt64(text), range.contains(number) else {
            throw UsageError(
                "option \(quote(option)) needs a number from \(range.lowerBound) to "
                    + "\(range.upperBound)"
            )
        }
        return number
    }
}
