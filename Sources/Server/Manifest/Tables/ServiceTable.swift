internal import Proxy
internal import Sys

extension TakeOverSettings: Defaulted {
    static var defaults: Self { TakeOverSettings(path: "") }
}

/// What concerns the process as a service of its machine.
extension Key where Root == ProxySettings {
    static let service: [Key] = [
        Key(
            "user",
            \.service.user,
            .absent(.account("user")),
            "User, by name or number, that the process becomes at its start; only root can. It"
                + " keeps the right to bind ports below 1,024, and no other. Read at the start"
                + " alone, as are the four keys that follow."
        ),
        Key(
            "group",
            \.service.group,
            .absent(.account("group")),
            "Group that it becomes. When left out: the group of `user`."
        ),
        Key(
            "pid_file",
            \.service.pidFile,
            .absent(.newFile),
            "File with the number of the process, which is locked while it runs: a second process"
                + " with the same file is refused."
        ),
        Key(
            "error_log",
            \.service.errorLog,
            .optional("stderr", .newFile),
            "Where the log goes: `\"stderr\"`, or a file that is added to. USR1 and"
                + " `POST /v1/reopen_logs` open it again."
        ),
        Key(
            "take_over",
            \.service.takeOver,
            .absent(.table(.takeOver)),
            "Lets another process [take over](operations.md#take-over) the listening sockets."
        ),
    ]
}

extension Table where Root == TakeOverSettings {
    static let takeOver = Table(
        "take_over",
        at: "take_over",
        keys: [
            Key(
                required: "listen",
                \.path,
                .unixPath,
                "`\"unix:/run/sluice/takeover.sock\"`: a Unix socket for processes of the same"
                    + " user, or of root. Its mode is 0600."
            ),
            Key(
                "timeout",
                \.timeout,
                .duration(1_000...3_600_000),
                "How long the other process may take until it serves. After it: this one serves"
                    + " on, as if nobody had asked."
            ),
        ]
    )
}

extension ValueKind where Value == String {
    /// The name of a user or group of the machine, or its number.
    fileprivate static func account(_ what: String) -> ValueKind {
        .parsed(
            .init(what, expected: "the name of a \(what), or its number in quotes")
        ) { text, _ throws(Complaint) in
            let isPlain = text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7f && $0 != 0x3a }
            guard !text.isEmpty, isPlain else {
                throw Complaint("\(quote(text)) is no name of a \(what)")
            }
            return text
        }
    }

    /// The path of a file that is written; it need not be there.
    fileprivate static let newFile = ValueKind.parsed(
        .init("path", expected: "the path of a file")
    ) { text, reader throws(Complaint) in
        guard !text.isEmpty, !text.utf8.contains(0), !text.hasSuffix("/") else {
            throw Complaint("\(quote(text)) is no path of a file")
        }
        let path = ManifestPath.resolve(text, in: reader.folder)
        guard reader.surroundings.kind(path) != .folder else {
            throw Complaint("\(quote(path)) is a folder")
        }
        return path
    }

    /// The path of a Unix socket, written "unix:/path".
    fileprivate static let unixPath = ValueKind.parsed(
        .init("address", expected: "an address such as \"unix:/run/sluice/takeover.sock\"")
    ) { text, reader throws(Complaint) in
        guard text.hasPrefix("unix:") else {
            throw Complaint("\(quote(text)) is no Unix socket; expected \"unix:/path\"")
        }
        let given = String(text.dropFirst("unix:".count))
        guard !given.isEmpty else { throw Complaint("a path is missing behind \"unix:\"") }
        let path = ManifestPath.resolve(given, in: reader.folder)
        // Where a new socket is made before it gets its place, the name is longer.
        guard SocketAddress(unixPath: path + ".0000000000") != nil else {
            throw Complaint("the path is longer than a Unix socket's may be")
        }
        return path
    }
}
