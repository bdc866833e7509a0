package import Sys

/// The admin interface: JSON over HTTP/1.1, one request a connection, on a thread of its own.
///
/// Over a Unix socket a client is whoever the kernel says: only the user of this process and root
/// are answered. Over TCP it must show a token. The thread reads and writes for all connections; a
/// call of the handler holds up the others, and the time that it takes is not counted against them.
package final class AdminServer: Sendable {
    /// Called when an answer was sent, or could not be: for what must not end the process before.
    package typealias Answered = @Sendable (AdminRequest, AdminResponse) -> Void

    private let stopping: Wakeup
    private let thread: PinnedThread

    /// Starts to answer on a listening socket.
    ///
    /// - Parameters:
    ///   - listening: bound and listening, of either family; closed when the server stops.
    ///   - token: what a client must show; over TCP always, over a Unix socket never.
    ///   - page: whether the page is given to browsers; nil where only this machine can ask for it.
    ///   - logLevel: the highest level that is written, as `ErrorLog` counts.
    ///   - answered: on the same thread as the handler, once for each of its answers.
    ///   - handler: on the server's thread, one call at a time.
    /// - Throws: what the kernel says when it refuses what the thread needs.
    package static func start(
        on listening: consuming FileDescriptor,
        token: AdminToken? = nil,
        page: Bool? = nil,
        limits: AdminLimits = AdminLimits(),
        logLevel: UInt32,
        answered: @escaping Answered = { _, _ in },
        handler: @escaping AdminHandler
    ) throws(Errno) -> AdminServer {
        let address = try Socket.localAddress(listening.number)
        let isUnix = address.isUnix
        precondition(isUnix == (token == nil), "a token is for TCP, which never goes without")
        let stopping = try Wakeup()
        let loop = try AdminLoop(
            listening: listening,
            stop: stopping.number,
            work: AdminLoop.Work(
                token: token,
                hasPage: page ?? isNear(address),
                limits: limits,
                answered: answered,
                handler: handler
            ),
            logLevel: logLevel
        )
        return AdminServer(loop, stopping)
    }

    private init(_ loop: AdminLoop, _ stopping: consuming Wakeup) {
        self.stopping = stopping
        thread = PinnedThread.start(name: "admin") {
            // Handlers load and start plugins.
            ThreadRole.enter(.control)
            loop.run()
        }
    }

    /// Makes the socket to listen on.
    ///
    /// A Unix socket's file is made with mode 0600; one that a process left behind is replaced, one
    /// that somebody listens on is not.
    ///
    /// - Throws: what `socket`, `bind` or `listen` said; `.addressInUse` when somebody listens.
    package static func bind(_ address: SocketAddress) throws(Errno) -> FileDescriptor {
        var options = Socket.ListenOptions()
        options.backlog = Int32(AdminLimits().connections)
        options.reusePort = false
        options.keepaliveSeconds = 0
        options.unixMode = 0o600
        return try Socket.listen(address, options)
    }

    /// What the log says once it listens: the address, and in a second line what is not safe.
    package static func announcement(of address: SocketAddress) -> (info: String, warning: String?)
    {
        (
            "admin interface on \(address.text)",
            isNear(address)
                ? nil
                : "admin.listen: \(address.text): the token crosses the network in the clear"
        )
    }

    private static func isNear(_ address: SocketAddress) -> Bool {
        let host = address.ip.text
        return address.isUnix || host.hasPrefix("127.") || host == "::1"
    }

    /// Stops: waits for the call that runs, then closes all connections and the listening socket.
    ///
    /// Once, and not from the handler. A Unix socket's file is left where it is.
    package func stop() {
        stopping.signal()
        thread.join()
    }
}
