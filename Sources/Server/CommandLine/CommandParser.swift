extension Command {
    /// Reads the arguments of the process, without its name.
    ///
    /// `--help` anywhere before the first mistake wins over everything else. Options may stand
    /// before and behind an operand, as `--manifest FILE` or `--manifest=FILE`.
    ///
    /// - Throws: the first argument that is not understood, with the nearest one that would be.
    package static func parse(_ arguments: [String]) throws(UsageError) -> Command {
        guard let first = arguments.first else {
            throw UsageError("no command; `sluice --help` lists them")
        }
        switch first {
        case "--version", "-V": return .version
        case "--help", "-h": return .help(CommandForm.overview())
        case "help": return .help(try helpText(for: arguments.dropFirst()))
        default: break
        }
        if first.hasPrefix("-") {
            throw UsageError(
                "unknown option \(quote(first)) before a command"
                    + suggestion(for: first, among: ["--help", "--version"])
            )
        }
        let words = try commandWords(arguments[...])
        guard let form = CommandForm.all.first(where: { $0.words == words }) else {
            return .help(CommandForm.overview(of: words))
        }
        return try parse(arguments.dropFirst(words.count), as: form)
    }

    private static func helpText(for arguments: ArraySlice<String>) throws(UsageError) -> String {
        if arguments.isEmpty { return CommandForm.overview() }
        let words = try commandWords(arguments + ["--help"])
        let form = CommandForm.all.first { $0.words == words }
        return form?.helpText ?? CommandForm.overview(of: words)
    }

    /// The words of the command at the begin of the arguments: those of a form, or those of a group
    /// whose help is asked for.
    private static func commandWords(
        _ arguments: ArraySlice<String>
    ) throws(UsageError) -> [String] {
        var words: [String] = []
        for argument in arguments {
            if !words.isEmpty, argument == "--help" || argument == "-h" { return words }
            let candidate = words + [argument]
            if CommandForm.all.contains(where: { $0.words == candidate }) { return candidate }
            guard CommandForm.all.contains(where: { $0.words.starts(with: candidate) }) else {
                throw unknown(argument, behind: words)
            }
            words = candidate
        }
        let group = words.joined(separator: " ")
        throw UsageError(
            "\(quote(group)) needs another word; `sluice \(group) --help` lists them"
        )
    }

    private static func unknown(_ word: String, behind group: [String]) -> UsageError {
        let name = (group + [word]).joined(separator: " ")
        let words = CommandForm.all.filter { $0.words.starts(with: group) }
            .map { $0.words[group.count] }
        let message = "unknown command \(quote(name))"
        if let meant = nearest(to: word, among: words) {
            return UsageError(
                message + "; did you mean \(quote((group + [meant]).joined(separator: " ")))?"
            )
        }
        let help = (["sluice"] + group + ["--help"]).joined(separator: " ")
        return UsageError(message + "; `\(help)` lists them")
    }

    private static func parse(
        _ arguments: ArraySlice<String>,
        as form: CommandForm
    ) throws(UsageError) -> Command {
        var result = CommandForm.Arguments()
        var operands: [String] = []
        var rest = arguments
        var areOptionsOver = false
        while let argument = rest.popFirst() {
            if areOptionsOver || !argument.hasPrefix("-") || argument == "-" {
                operands.append(argument)
            } else if argument == "--" {
                areOptionsOver = true
            } else if argument == "--help" || argument == "-h" {
                return .help(form.helpText)
            } else {
                try readOption(argument, &rest, form, &result)
            }
        }
        for (index, name) in form.operands.enumerated() {
            guard index < operands.count, !operands[index].isEmpty else {
                let article = "AEIOU".contains(name.prefix(1)) ? "an" : "a"
                throw UsageError("`sluice \(form.name)` needs \(article) \(name)")
            }
        }
        result.operands = Array(operands.prefix(form.operands.count))
        if let extra = operands.dropFirst(form.operands.count).first {
            throw UsageError("unexpected argument \(quote(extra)) of `sluice \(form.name)`")
        }
        return try form.make(result)
    }

    private static func readOption(
        _ argument: String,
        _ rest: inout ArraySlice<String>,
        _ form: CommandForm,
        _ result: inout CommandForm.Arguments
    ) throws(UsageError) {
        let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let name = String(parts[0])
        guard let option = form.options.first(where: { $0.long == name || $0.short == name }) else {
            throw UsageError(
                "unknown option \(quote(name)) of `sluice \(form.name)`"
                    + suggestion(for: name, among: (form.options + [CommandForm.help]).map(\.long))
            )
        }
        guard result.options[option.long] == nil else {
            throw UsageError("option \(quote(name)) is given twice")
        }
        guard let value = option.value else {
            guard parts.count == 1 else {
                throw UsageError("option \(quote(name)) takes no value")
            }
            result.options[option.long] = ""
            return
        }
        let given = parts.count == 2 ? String(parts[1]) : rest.popFirst()
        guard let given, !given.isEmpty else {
            throw UsageError("option \(quote(name)) needs a \(value)")
        }
        result.options[option.long] = given
    }
}
