/// How the process is replaced and restarted; all times are milliseconds.
package struct LifecycleSettings: Sendable, Equatable {
    /// Times that tunnels of a process that drains still have.
    package var shutdownGrace = 30_000
    /// Times that requests of a generation still have after another one was put in its place; 0 is
    /// no bound.
    package var reloadGrace = 0
    /// What a new process may take until it serves.
    package var upgradeTimeout = 30_000
    package var restarts = RestartSettings()

    package init() {}
}

/// When a process that crashed is started again.
package struct RestartSettings: Sendable, Equatable {
    /// Crashes within `window` after which restarts wait.
    package var crashes = 5
    package var window = 30_000
    /// Serving for so long makes a process sound: earlier crashes are forgotten.
    package var soundAfter = 10_000
    /// The first wait; each further one is twice as long, up to `waitMax`.
    package var wait = 1_000
    package var waitMax = 30_000

    package init() {}
}
