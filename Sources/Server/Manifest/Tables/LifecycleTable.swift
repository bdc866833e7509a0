internal import Proxy

extension LifecycleSettings: Defaulted {
    static var defaults: Self { LifecycleSettings() }
}
extension RestartSettings: Defaulted {
    static var defaults: Self { RestartSettings() }
}

/// Keys of the manifest that say how the process is replaced and restarted.
extension Table where Root == LifecycleSettings {
    static let upgrade = Table(
        "upgrade",
        at: "upgrade",
        keys: [
            Key(
                "timeout",
                \.upgradeTimeout,
                .time,
                "What a new serving process may take until it serves. After that it is ended, and"
                    + " the one before serves on."
            )
        ]
    )
}

extension Table where Root == RestartSettings {
    static let restarts = Table(
        "restarts",
        at: "restarts",
        keys: [
            Key(
                "crashes",
                \.crashes,
                .integer(1...1_000),
                "A serving process that ends by itself is started again at once, but for so many"
                    + " times within `window`: then restarts wait."
            ),
            Key("window", \.window, .time, "The time in which `crashes` are counted."),
            Key(
                "sound_after",
                \.soundAfter,
                .time,
                "A process that has served for so long is sound: the crashes before it are"
                    + " forgotten, and its manifest is what a later one falls back to."
            ),
            Key(
                "wait",
                \.wait,
                .time,
                "The first wait before a restart. Each further one is twice as long. Connections"
                    + " wait in the kernel's queue meanwhile."
            ),
            Key("wait_max", \.waitMax, .time, "The longest wait."),
        ]
    )
}
