package import Sys

/// What the supervisor is told of its place on the machine, before it starts.
package struct ServiceOptions: Sendable {
    /// The service manager that waits for its state.
    package var manager: ServiceManager?
    /// Listening sockets that another process made.
    package var inherited: [InheritedSocket] = []
    /// The process that serves until this one does.
    package var guest: TakeOverGuest?
    /// Where other processes ask for the sockets.
    package var takeOver: TakeOver?
    /// File of the log; nil is the error output.
    package var errorLog: String?
    package var pidFile: String?
    /// Whether it runs in the background: its outputs are let go of once it serves.
    package var isDaemon = false
    /// What is not as it should be, but does not hinder; a line each.
    package var warnings: [String] = []

    package struct TakeOver: Equatable, Sendable {
        package var path: String
        /// Milliseconds that the other process has until it serves.
        package var timeout: Int

        package init(path: String, timeout: Int) {
            self.path = path
            self.timeout = timeout
        }
    }

    package init() {}
}
