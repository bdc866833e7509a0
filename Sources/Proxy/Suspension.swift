import CSluice
import PluginHost
import Reactor

/// A wait of an exchange: of a hook that returned SUSPEND, or of a client while a plugin holds the
/// response's head.
struct Suspension {
    var timer = TimerNode(kind: TimerKind.suspension)
    var exchange: UnsafeMutablePointer<Exchange>
    /// Names the wait for other threads; all zeroes when it only ends by time.
    var token: sluice_token
    var phase: Phase
    /// Place in the phase's order, or the stage of the body.
    var index: Int
    /// The next wait of the same direction: two hooks of one body may wait at the same time.
    var next: UnsafeMutablePointer<Suspension>?
}
