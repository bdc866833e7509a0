internal import Sys

extension CrashReport {
    /// What a process that died has left in its file; nil when that is nothing.
    init?(file: SharedDescriptor) {
        guard let record = CrashRecord.read(file.number) else { return nil }
        self.init(record)
    }

    init(_ record: CrashRecord) {
        let what =
            switch record.kind {
            case .signal(let number, _): ChildProcess.Ending.signalName(number)
            case .hang(let nanoseconds): "no return for \(nanoseconds / 1_000_000) ms"
            }
        guard let plugin = record.plugin else {
            self.init(line: "\(what) in no call of a plugin", plugin: nil, policy: .restart)
            return
        }
        let hook = plugin.hook.isEmpty ? "" : ", hook \(plugin.hook)"
        self.init(
            line: "\(what) in plugin \(plugin.name)\(hook), library \(plugin.library)",
            plugin: Quarantined(instance: plugin.name, sha256: plugin.sha256),
            policy: Policy(plugin.policy)
        )
    }
}

extension CrashReport.Policy {
    fileprivate init(_ policy: CrashPolicy) {
        self =
            switch policy {
            case .restart: .restart
            case .quarantine: .quarantine
            case .halt: .halt
            }
    }
}
