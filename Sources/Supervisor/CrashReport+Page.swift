internal import Sys

extension CrashReport {
    /// What a process that died has left in its page; nil when that is nothing.
    init?(page: SharedDescriptor) {
        return nil
    }
}
