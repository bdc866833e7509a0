internal import PluginHost
internal import Proxy

/// Moves a plugin's own state from one instance to the one that takes its place.
struct StateTransfer {
    private let policy: StatePolicy

    init(_ policy: StatePolicy) { self.policy = policy }

    /// Both run beside each other for a while: requests of the old one still change what was moved.
    ///
    /// - Returns: whether the new one goes on with what the old one had.
    /// - Throws: why it could not be moved, when it must be.
    func move(from old: PluginInstance, to new: PluginInstance) throws(PluginError) -> Bool {
        guard policy != .discard else { return false }
        let reason: String
        if !old.exportsState {
            reason = "the instance that runs exports none"
        } else if !new.importsState {
            reason = "the new one imports none"
        } else {
            do throws(PluginError) {
                try new.importState(try old.exportState())
                return true
            } catch {
                reason = error.description
            }
        }
        guard policy == .prefer else {
            throw PluginError("plugins.\(new.name): its state can't be moved: \(reason)")
        }
        // A plugin without state of its own is nothing to speak of.
        if old.exportsState {
            new.note("begins without the state of the instance before it: \(reason)")
        }
        return false
    }

    /// The same, of what an instance in another process exported.
    func move(_ bytes: [UInt8], to new: PluginInstance) throws(PluginError) {
        guard policy != .discard else { return }
        do throws(PluginError) {
            try new.importState(bytes)
        } catch {
            guard policy == .prefer else {
                throw PluginError("plugins.\(new.name): its state can't be moved: \(error)")
            }
            new.note("begins without the state of the process before: \(error)")
        }
    }

    /// Moves what the old one still counted after `move`, once its last request has ended.
    static func moveRest(from old: PluginInstance, to new: PluginInstance) {
        guard let rest = old.handover, let taker = new.handover else { return }
        do throws(PluginError) {
            try taker.importRest(try rest.exportRest())
        } catch {
            new.note("what the instance before it counted last is lost: \(error.description)")
        }
    }
}

/// One and the same for instances that have handed their state on from one to the next: only these
/// add what an older one of them has counted last.
final class StateLineage: Sendable {}
