package import Admin

/// A command for a proxy that runs.
package struct ControlOrder: Equatable, Sendable {
    package var request: AdminRequest
    /// Address of the admin interface; nil is the manifest's.
    package var admin: String?
    /// File of the token for that address.
    package var tokenFile: String?
    package var manifest: String
    /// Whether the answer is printed as it came.
    package var isRaw: Bool
    /// Seconds until an answer must be there.
    package var seconds: Int

    /// Seconds for what is answered from memory.
    static let shortSeconds = 10
    /// Seconds for what loads plugins, or starts a process.
    static let longSeconds = 300
}

/// The commands that speak to the admin interface.
extension CommandForm {
    private static let interface: [Option] = [
        manifest,
        Option(
            long: "--admin",
            short: nil,
            value: "ADDRESS",
            summary:
                "address of the admin interface (default: the manifest's)"
        ),
        Option(
            long: "--token-file",
            short: nil,
            value: "FILE",
            summary: "the token for an --admin over TCP"
        ),
        Option(long: "--json", short: nil, value: nil, summary: "print the answer as it came"),
    ]

    static let status = CommandForm(
        words: ["status"],
        summary: "show what a proxy that runs is doing",
        options: interface,
        details: "Asks its admin interface.",
        make: { arguments throws(UsageError) in
            order(arguments, AdminRequest("GET", "/v1/status"), ControlOrder.shortSeconds)
        }
    )

    static let top = CommandForm(
        words: ["top"],
        summary: "watch what a proxy that runs is doing",
        options: interface.filter { $0.long != "--json" } + [
            Option(
                long: "--interval",
                short: nil,
                value: "DURATION",
                summary: "time between two views, 100ms to 60s (default 1s)"
            ),
            Option(
                long: "--count",
                short: nil,
                value: "N",
                summary: "print N views and end (default: 1 when the output is no terminal)"
            ),
        ],
        details: "Rates and times are those since the view before. Ends with q.",
        make: { arguments throws(UsageError) in
            guard
                case .control(let control) = order(
                    arguments,
                    AdminRequest("GET", "/v1/status"),
                    ControlOrder.shortSeconds
                )
            else { preconditionFailure("a question is an order") }
            return .top(
                TopOrder(
                    control: control,
                    interval: try interval(arguments),
                    count: try count(arguments)
                )
            )
        }
    )

    static let reload = CommandForm(
        words: ["reload"],
        summary: "have a proxy that runs read its manifest again",
        options: interface + [
            Option(
                long: "--dry-run",
                short: nil,
                value: nil,
                summary: "show what would change, and change nothing"
            )
        ],
        details: """
            The proxy reads the file that it was started with; --manifest only says where its admin
            interface is. A manifest with a problem changes nothing.
            """,
        make: { arguments throws(UsageError) in
            let isDry = arguments.options["--dry-run"] != nil
            let body: JSON = isDry ? ["dry_run": true] : .null
            let request = AdminRequest("POST", "/v1/reload", body)
            return order(arguments, request, ControlOrder.longSeconds)
        }
    )

    static let upgrade = CommandForm(
        words: ["upgrade"],
        summary: "replace the program of a proxy that runs",
        options: interface + [
            Option(
                long: "--binary",
                short: nil,
                value: "PATH",
                summary: "the new program (default: the file that runs now)"
            )
        ],
        details: "The old process serves until the new one does, and goes on if the new one fails.",
        make: { arguments throws(UsageError) in
            let body = arguments.options["--binary"].map { ["binary": .string($0)] as JSON }
            let request = AdminRequest("POST", "/v1/upgrade", body ?? .null)
            return order(arguments, request, ControlOrder.longSeconds)
        }
    )

    static let stop = CommandForm(
        words: ["stop"],
        summary: "stop a proxy that runs",
        options: interface + [
            Option(long: "--fast", short: nil, value: nil, summary: "do not let requests finish")
        ],
        details:
            "Returns when the proxy has begun to stop, as after SIGTERM, or SIGINT with --fast.",
        make: { arguments throws(UsageError) in
            let body: JSON = arguments.options["--fast"] != nil ? ["fast": true] : .null
            let request = AdminRequest("POST", "/v1/stop", body)
            return order(arguments, request, ControlOrder.shortSeconds)
        }
    )

    /// Milliseconds between two views.
    private static func interval(_ arguments: Arguments) throws(UsageError) -> Int {
        guard let text = arguments.options["--interval"] else { return 1_000 }
        guard let value = Quantity.milliseconds(text).flatMap({ Int(exactly: $0) }),
            TopOrder.intervals.contains(value)
        else {
            let bounds = TopOrder.intervals
            let (low, high) = (Int64(bounds.lowerBound), Int64(bounds.upperBound))
            throw UsageError(
                "option --interval: expected \(Quantity.durationText(low)) to "
                    + "\(Quantity.durationText(high)), found \(quote(text))"
            )
        }
        return value
    }

    private static func count(_ arguments: Arguments) throws(UsageError) -> Int? {
        guard let text = arguments.options["--count"] else { return nil }
        guard let value = Int(text), TopOrder.counts.contains(value) else {
            throw UsageError(
                "option --count: expected 1 to \(TopOrder.counts.upperBound), found \(quote(text))"
            )
        }
        return value
    }

    // MARK: Plugins

    static let swap = CommandForm(
        words: ["plugin", "swap"],
        summary: "replace the library of an instance in a proxy that runs",
        options: interface + [
            Option(
                long: "--sha256",
                short: nil,
                value: "DIGEST",
                summary: "refuse the file unless it has this digest"
            ),
            Option(
                long: "--canary",
                short: nil,
                value: "SHARE",
                summary: "give the new library this share of the requests first, as in 5%"
            ),
            Option(
                long: "--error-budget",
                short: nil,
                value: "SHARE",
                summary: "take it back when more fail than of the others, as in 1%"
            ),
            Option(
                long: "--latency-budget",
                short: nil,
                value: "FACTOR",
                summary: "take it back when its slowest requests take longer, as in 1.5x"
            ),
            Option(
                long: "--for",
                short: nil,
                value: "DURATION",
                summary: "promote it after this time (default: when told to)"
            ),
        ],
        operands: ["INSTANCE", "FILE.so"],
        details: "A library that is refused changes nothing. The manifest is not changed.",
        make: { arguments throws(UsageError) in
            let members: [(option: String, name: String)] = [
                ("--sha256", "sha256"), ("--canary", "canary"), ("--error-budget", "error_budget"),
                ("--latency-budget", "latency_budget"), ("--for", "for"),
            ]
            var body = [JSON.Member("library", .string(arguments.operands[1]))]
            for (option, name) in members {
                guard let text = arguments.options[option] else { continue }
                body.append(JSON.Member(name, .string(text)))
            }
            try check(.object(body))
            return try order(arguments, plugin: "swap", .object(body))
        }
    )

    /// Refuses values that the proxy would refuse.
    private static func check(_ body: JSON) throws(UsageError) {
        var body = body.members ?? []
        // Its path is made one from the root later.
        body[0].value = "/"
        do throws(SwapOrder.Refusal) {
            _ = try SwapOrder(plugin: "", .object(body))
        } catch {
            let line = error.lines[0]
                .replacing("_budget:", with: "-budget:", maxReplacements: 1)
                .replacing("only with c", with: "only with --c")
            throw UsageError("option --" + line)
        }
    }

    static let promote = change(
        "promote",
        summary: "give all requests to the canary of an instance",
        details: "It is what `sluice plugin swap --canary` began."
    )

    static let rollback = change(
        "rollback",
        summary: "take the canary of an instance back",
        details: "It is what `sluice plugin swap --canary` began."
    )

    static let reset = change(
        "reset",
        summary: "let an instance out of quarantine",
        details: "A plugin gets there when it has crashed its process, or failed too often."
    )

    private static func change(_ word: String, summary: String, details: String) -> CommandForm {
        CommandForm(
            words: ["plugin", word],
            summary: summary,
            options: interface,
            operands: ["INSTANCE"],
            details: details,
            make: { arguments throws(UsageError) in
                try order(arguments, plugin: word, .null)
            }
        )
    }

    // MARK: Caches

    static let purge = CommandForm(
        words: ["cache", "purge"],
        summary: "have a cache in a proxy that runs forget responses",
        options: interface + [
            Option(
                long: "--url",
                short: nil,
                value: "URL",
                summary: "the response to this address, in all its variants"
            ),
            Option(
                long: "--prefix",
                short: nil,
                value: "URL",
                summary: "those whose address begins so"
            ),
            Option(long: "--tag", short: nil, value: "TAG", summary: "those with this tag"),
            Option(long: "--all", short: nil, value: nil, summary: "all of them"),
            Option(
                long: "--soft",
                short: nil,
                value: nil,
                summary: "keep them, and treat them as stale"
            ),
        ],
        operands: ["INSTANCE"],
        details: "Prints how many it hit. One of --url, --prefix, --tag and --all says which.",
        make: { arguments throws(UsageError) in
            var body: [JSON.Member] = []
            for name in ["url", "prefix", "tag"] {
                guard let value = arguments.options["--" + name] else { continue }
                body.append(JSON.Member(name, .string(value)))
            }
            for name in ["all", "soft"] where arguments.options["--" + name] != nil {
                body.append(JSON.Member(name, true))
            }
            do throws(PurgeOrder.Refusal) {
                _ = try PurgeOrder(plugin: "", .object(body))
            } catch {
                throw UsageError("`sluice cache purge`: " + error.line)
            }
            return try order(arguments, at: "/v1/cache/", "purge", .object(body))
        }
    )

    // MARK: Orders

    private static func order(
        _ arguments: Arguments,
        plugin action: String,
        _ body: JSON
    ) throws(UsageError) -> Command {
        try order(arguments, at: "/v1/plugins/", action, body)
    }

    private static func order(
        _ arguments: Arguments,
        at path: String,
        _ action: String,
        _ body: JSON
    ) throws(UsageError) -> Command {
        let name = arguments.operand
        if let complaint = Pattern.complaint(aboutName: name) {
            throw UsageError("\(quote(name)) is no INSTANCE: \(complaint.message)")
        }
        let request = AdminRequest("POST", path + "\(name)/\(action)", body)
        return order(arguments, request, ControlOrder.longSeconds)
    }

    private static func order(
        _ arguments: Arguments,
        _ request: AdminRequest,
        _ seconds: Int
    ) -> Command {
        .control(
            ControlOrder(
                request: request,
                admin: arguments.options["--admin"],
                tokenFile: arguments.options["--token-file"],
                manifest: arguments.manifest,
                isRaw: arguments.options["--json"] != nil,
                seconds: seconds
            )
        )
    }
}
