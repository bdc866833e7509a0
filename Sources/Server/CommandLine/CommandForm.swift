/// One command as the command line writes it: what the parser accepts and what help shows.
struct CommandForm: Sendable {
    /// "run", or "plugin inspect".
    var words: [String]
    var summary: String
    var options: [Option] = []
    /// What stands behind the command, as in "FILE.so".
    var operands: [String] = []
    /// More for the help of the command: sentences that are wrapped by hand.
    var details: String
    /// The command, from the options that were given and the operands.
    var make: @Sendable (Arguments) throws(UsageError) -> Command

    /// What a command line said for one command.
    struct Arguments {
        /// Values by the option's long name; "" for an option without a value.
        var options: [String: String] = [:]
        /// As many as the form has.
        var operands: [String] = []

        /// The first of them; "" where there are none.
        var operand: String { operands.first ?? "" }

        var manifest: String { options["--manifest"] ?? Command.defaultManifest }
    }

    struct Option: Sendable {
        var long: String
        var short: String?
        /// As in "FILE"; nil for an option without a value.
        var value: String?
        var summary: String
    }

    static let manifest = Option(
        long: "--manifest",
        short: "-m",
        value: "FILE",
        summary: "the manifest (default \(Command.defaultManifest))"
    )
    static let help = Option(
        long: "--help",
        short: "-h",
        value: nil,
        summary: "show this text"
    )

    var name: String { words.joined(separator: " ") }

    /// All commands, in the order of the help.
    static let all: [CommandForm] = [
        run,
        CommandForm(
            words: ["check"],
            summary: "check a manifest without serving",
            options: [
                manifest,
                Option(
                    long: "--no-bind",
                    short: nil,
                    value: nil,
                    summary: "do not try the addresses: for a manifest that is being served"
                ),
            ],
            details: "Prints every problem on a line of its own and exits with 78 if there is one.",
            make: { .check(manifest: $0.manifest, binds: $0.options["--no-bind"] == nil) }
        ),
        CommandForm(
            words: ["demo"],
            summary: "run a complete example with two origins of its own",
            details: "Needs no manifest and no other program.",
            make: { _ in .demo }
        ),
        CommandForm(
            words: ["plugin", "list"],
            summary: "list the plugins of a manifest",
            options: [manifest],
            details: """
                Shows what each library says of itself, and checks its configuration. Runs none of
                their code.
                """,
            make: { .pluginList(manifest: $0.manifest) }
        ),
        CommandForm(
            words: ["plugin", "inspect"],
            summary: "describe the plugin in a file",
            options: [
                Option(
                    long: "--load",
                    short: nil,
                    value: nil,
                    summary: "run the library's handshake too, and compare"
                )
            ],
            operands: ["FILE.so"],
            details: "Reads what the library says of itself. Without --load none of its code runs.",
            make: { .pluginInspect(file: $0.operand, loads: $0.options["--load"] != nil) }
        ),
        CommandForm(
            words: ["plugin", "new"],
            summary: "make a folder with a new plugin",
            options: [
                Option(long: "--c", short: nil, value: nil, summary: "in C instead of Swift"),
                Option(long: "--rust", short: nil, value: nil, summary: "in Rust instead of Swift"),
                Option(
                    long: "--sdk",
                    short: nil,
                    value: "PLACE",
                    summary: "the SDK's folder or Git address (default: beside this executable)"
                ),
            ],
            operands: ["NAME"],
            details:
                "The folder NAME has a plugin, its tests, a manifest that uses it and a README.",
            make: {
                .pluginNew(
                    NewPlugin.Order(
                        name: $0.operand,
                        isC: $0.options["--c"] != nil,
                        isRust: $0.options["--rust"] != nil,
                        sdk: $0.options["--sdk"]
                    )
                )
            }
        ),
        validate,
        bench,
        status,
        top,
        reload,
        upgrade,
        stop,
        swap,
        promote,
        rollback,
        reset,
        purge,
        CommandForm(
            words: ["version"],
            summary: "print the version",
            details: "Also with --version.",
            make: { _ in .version }
        ),
    ]

    // MARK: Help

    /// The help of sluice itself, or of a group of commands such as "plugin".
    static func overview(of group: [String] = []) -> String {
        let forms = all.filter { $0.words.starts(with: group) }
        let name = (["sluice"] + group).joined(separator: " ")
        let rows = forms.map {
            ($0.words.dropFirst(group.count).joined(separator: " "), $0.summary)
        }
        return """
            usage: \(name) COMMAND [OPTION]...

            Commands:
            \(columns(rows))

            `\(name) COMMAND --help` tells more about one.
            """
    }

    /// The help of this command.
    var helpText: String {
        let options = options + [CommandForm.help]
        let rows = options.map { option in
            let names = [option.short, option.long].compactMap(\.self).joined(separator: ", ")
            return (names + (option.value.map { " " + $0 } ?? ""), option.summary)
        }
        return """
            usage: sluice \((words + operands).joined(separator: " ")) [OPTION]...

            \(summary.prefix(1).uppercased() + summary.dropFirst()).
            \(details)

            Options:
            \(CommandForm.columns(rows))
            """
    }

    private static func columns(_ rows: [(String, String)]) -> String {
        let width = rows.map(\.0.count).max() ?? 0
        return rows.map { left, right in
            "  " + left + String(repeating: " ", count: width - left.count + 2) + right
        }.joined(separator: "\n")
    }
}
