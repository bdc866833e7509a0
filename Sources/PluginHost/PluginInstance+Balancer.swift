public import CSluice
internal import Sys

/// Tables of a balancer's peers.
extension PluginInstance {
    /// What came of a set of peers.
    public enum Build: @unchecked Sendable {
        // Safe: a table is handed on to one thread.
        case table(UnsafeMutableRawPointer)
        /// Why there is none.
        case refused(String)
    }

    /// Has it build a table, with a function of its role. [control]
    ///
    /// - Throws: when its time is over; what it was given is never freed then.
    public func build(
        _ call:
            @convention(c) (
                UnsafeMutableRawPointer?, UnsafePointer<sluice_peer_set>?,
                UnsafeMutablePointer<sluice_errbuf>?
            ) -> UnsafeMutableRawPointer?,
        _ set: UnsafePointer<sluice_peer_set>
    ) throws(PluginError) -> Build {
        // Safe: the caller leaves the set to a call that does not return.
        nonisolated(unsafe) let set = set
        return try control.run("plugin \(name): build") { [self] in
            var table: UnsafeMutableRawPointer?
            let done = Self.withErrorText { error in
                table = Breadcrumb.mark(.build, of: label) { call(state, set, error) }
                return 0
            }
            nonisolated(unsafe) let built = table
            guard let built else { return .refused(done.text.isEmpty ? "no table" : done.text) }
            return .table(built)
        }
    }

    /// Gives a table back; no worker uses it any more. [control]
    ///
    /// - Returns: whether the call has returned.
    public func drop(
        _ call: (@convention(c) (UnsafeMutableRawPointer?, UnsafeMutableRawPointer?) -> Void)?,
        _ table: UnsafeMutableRawPointer
    ) -> Bool {
        // Safe: nobody else has it.
        nonisolated(unsafe) let table = table
        do throws(PluginError) {
            try control.run("drop") { [self] in
                Breadcrumb.mark(.destroy, of: label) { call?(state, table) }
            }
            return true
        } catch {
            record.pointee.tell(1, error.description)
            return false
        }
    }
}
