/// What concerns the process as a service of its machine, not its clients.
///
/// It is read once, at the start: another manifest changes none of it in a running process.
package struct ServiceSettings: Sendable, Equatable {
    /// Name or number of the user that the process becomes; nil stays who it is.
    package var user: String?
    /// Name or number of its group; nil is the group of `user`.
    package var group: String?
    /// File with the number of the process; nil is none.
    package var pidFile: String?
    /// File that the log is written to; nil is the error output.
    package var errorLog: String?
    /// Where another process asks for the listening sockets; nil is nowhere.
    package var takeOver: TakeOverSettings?

    package init() {}
}

/// Handing the listening sockets to another process.
package struct TakeOverSettings: Sendable, Equatable {
    /// Path of a Unix socket.
    package var path: String
    /// Milliseconds that the other process has until it serves.
    package var timeout = 60_000

    package init(path: String) { self.path = path }
}
