extension Command {
    /// What `sluice run` was asked for.
    package struct RunOrder: Equatable, Sendable {
        package var manifest = Command.defaultManifest
        /// False is without the process that restarts this one.
        package var isSupervised = true
        /// In the background.
        package var isDaemon = false
        /// In place of the manifest's `pid_file`.
        package var pidFile: String?
        /// In place of the manifest's `user` and `group`.
        package var user: String?
        package var group: String?
        /// Path of the socket of the process to take over from.
        package var takeOver: String?

        package init(manifest: String = Command.defaultManifest, isSupervised: Bool = true) {
            self.manifest = manifest
            self.isSupervised = isSupervised
        }
    }
}

/// `sluice run`.
extension CommandForm {
    private static func flag(_ long: String, _ summary: String) -> Option {
        Option(long: long, short: nil, value: nil, summary: summary)
    }

    private static func value(_ long: String, _ value: String, _ summary: String) -> Option {
        Option(long: long, short: nil, value: value, summary: summary)
    }

    static let run = CommandForm(
        words: ["run"],
        summary: "serve what the manifest says",
        options: [
            manifest,
            flag("--daemon", "go into the background; returns when it serves"),
            value("--pid-file", "FILE", "file for the number of the process"),
            value("--user", "NAME", "user to become, when started as root"),
            value("--group", "NAME", "group to become (default: that of the user)"),
            value("--take-over", "PATH", "take the sockets of the process that listens there"),
            flag(
                "--no-supervisor",
                "serve without the process that restarts and upgrades this one"
            ),
        ],
        details: """
            Stays in the foreground, unless told otherwise. SIGTERM and SIGQUIT finish the requests
            at hand and stop; a second one, or SIGINT, stops at once. SIGHUP reloads the manifest,
            SIGUSR1 opens the log again, SIGUSR2 goes over to the program as it is now on the disk.
            """,
        make: { arguments throws(UsageError) in
            var order = Command.RunOrder(manifest: arguments.manifest)
            order.isSupervised = arguments.options["--no-supervisor"] == nil
            order.isDaemon = arguments.options["--daemon"] != nil
            order.pidFile = arguments.options["--pid-file"]
            order.user = arguments.options["--user"]
            order.group = arguments.options["--group"]
            order.takeOver = arguments.options["--take-over"]
            for option in ["--daemon", "--pid-file", "--take-over"]
            where !order.isSupervised && arguments.options[option] != nil {
                throw UsageError("option \(quote(option)) needs the supervisor")
            }
            return .run(order)
        }
    )
}
