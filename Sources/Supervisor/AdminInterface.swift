internal import Admin
internal import Sys

/// The admin interface of the supervisor: its socket, its server, and the way of requests.
final class AdminInterface {
    /// Milliseconds that answers have before the place changes.
    private static let answersTimeout: UInt64 = 1_000

    private let relay: AdminRelay
    /// What it listens on now; also while another program takes this one's place.
    private(set) var place: SupervisorSettings.AdminPlace?
    private(set) var socket: SharedDescriptor?
    private var logLevel: UInt32 = 3

    init(_ relay: AdminRelay) {
        self.relay = relay
    }

    /// Readable when there are requests.
    var number: Int32 { relay.number }

    func take() -> [(id: Int, request: AdminRequest)] { relay.take() }

    func answer(_ id: Int, _ response: AdminResponse) { relay.answer(id, response) }

    /// Takes a socket that another program listened on.
    func adopt(_ socket: SharedDescriptor, at place: SupervisorSettings.AdminPlace) {
        self.socket = socket
        self.place = place
    }

    /// Listens there, or, nil, no longer; what is served already stays.
    ///
    /// - Returns: why it does not, in a line.
    func serve(_ wanted: SupervisorSettings.AdminPlace?, logLevel: UInt32) -> String? {
        self.logLevel = logLevel
        guard wanted != place else { return nil }
        if wanted != place { leave(milliseconds: Self.answersTimeout) }
        guard let wanted else { return nil }
        place = wanted
        return nil
    }

    /// Ends the server, and goes on listening.
    ///
    /// - Parameter milliseconds: what answers that are on their way have.
    func close(milliseconds: UInt64) {
        relay.close(milliseconds: milliseconds)
    }

    /// Answers again after `close`.
    func open() {
        guard let place else { return }
        _ = serve(place, logLevel: logLevel)
    }

    /// Listens no longer.
    func leave(milliseconds: UInt64) {
        close(milliseconds: milliseconds)
        if let place, place.address.hasPrefix("unix:"), socket != nil {
            File.remove(String(place.address.dropFirst("unix:".count)))
        }
        socket = nil
        place = nil
    }
}
