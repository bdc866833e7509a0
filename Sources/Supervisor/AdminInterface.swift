internal import Admin
internal import Sys

/// The admin interface of the supervisor: its socket, its server, and the way of requests.
final class AdminInterface {
    /// Milliseconds that answers have before the place changes.
    private static let answersTimeout: UInt64 = 1_000

    private let relay: AdminRelay
    private var server: AdminServer?
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
        guard wanted != place || (wanted != nil && server == nil) else { return nil }
        if wanted != place { leave(milliseconds: Self.answersTimeout) }
        guard let wanted else { return nil }
        do throws(AdminProblem) {
            try listen(wanted)
            place = wanted
            return nil
        } catch {
            return error.description
        }
    }

    private func listen(_ place: SupervisorSettings.AdminPlace) throws(AdminProblem) {
        var token: AdminToken?
        if let path = place.tokenFile { token = try AdminToken.read(path) }
        do throws(Errno) {
            if socket == nil { socket = try Self.bind(place.address) }
            guard let socket else { return }
            let copy = FileDescriptor(owning: try Socket.duplicate(socket.number))
            let relay = relay
            relay.open()
            server = try AdminServer.start(
                on: copy,
                token: token,
                page: place.page,
                logLevel: logLevel,
                answered: { _, _ in relay.sent() },
                handler: { relay.ask($0) }
            )
        } catch {
            throw AdminProblem("\(place.address): \(error.description)")
        }
    }

    private static func bind(_ address: String) throws(Errno) -> SharedDescriptor {
        guard let address = SocketAddress(address) else { throw .notAnAddress }
        return SharedDescriptor(try AdminServer.bind(address))
    }

    /// What it listens on, as bound.
    var address: SocketAddress? {
        socket.flatMap { try? Socket.localAddress($0.number) }
    }

    /// Ends the server, and goes on listening.
    ///
    /// - Parameter milliseconds: what answers that are on their way have.
    func close(milliseconds: UInt64) {
        guard let server else { return }
        relay.close(milliseconds: milliseconds)
        server.stop()
        self.server = nil
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
