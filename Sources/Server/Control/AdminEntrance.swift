internal import Admin
internal import Proxy
internal import Reactor
internal import Sys

/// The admin interface of a process that nobody supervises, before anybody is answered: its token
/// read, its address bound.
struct AdminEntrance: ~Copyable {
    private let listening: FileDescriptor
    private let token: AdminToken?
    private let page: Bool?
    /// As bound.
    let address: SocketAddress

    /// - Parameter manifest: its name, for messages.
    /// - Throws: what is wrong with the token or the address.
    init(_ settings: AdminSettings, manifest: String) throws(Preparation.Failure) {
        let token: AdminToken?
        do throws(AdminProblem) {
            token = try Self.token(settings)
        } catch {
            throw Self.failure(manifest, "token_file: \(error.description)")
        }
        guard let wanted = SocketAddress(settings.address) else {
            throw Self.failure(
                manifest,
                "listen: \(settings.address) is no address of this machine"
            )
        }
        do throws(Errno) {
            let listening = try AdminServer.bind(wanted)
            address = try Socket.localAddress(listening.number)
            self.listening = listening
            self.token = token
            page = settings.page
        } catch {
            throw Self.failure(manifest, "listen: \(settings.address): \(error.description)")
        }
    }

    private static func failure(_ manifest: String, _ line: String) -> Preparation.Failure {
        Preparation.Failure(lines: ["\(manifest): admin.\(line)"])
    }

    private static func token(_ settings: AdminSettings) throws(AdminProblem) -> AdminToken? {
        guard let path = settings.tokenFile else { return nil }
        return try AdminToken.read(path)
    }

    /// What can be told to be wrong without the address, which a process may have already; a line
    /// each.
    static func problems(_ settings: AdminSettings?) -> [String] {
        guard let settings else { return [] }
        do throws(AdminProblem) {
            _ = try token(settings)
            return []
        } catch {
            return ["admin.token_file: \(error.description)"]
        }
    }

    /// Begins to answer, and says so in the log.
    consuming func open(
        to control: ServingControl,
        _ log: inout ErrorLog
    ) throws(Errno) -> AdminServer {
        let (info, warning) = AdminServer.announcement(of: address)
        log.write(3) { $0.text(info) }
        if let warning { log.write(2) { $0.text(warning) } }
        let (token, page) = (token, page)
        return try AdminServer.start(
            on: listening,
            token: token,
            page: page,
            logLevel: log.level,
            answered: { control.finish($0, $1) },
            handler: { control.answer($0) }
        )
    }

    /// Lets go of the address: nobody will be answered.
    consuming func release() { Self.removeFile(of: address) }

    /// Removes what listening on an address has left in the file system.
    static func removeFile(of address: SocketAddress) {
        guard address.isUnix else { return }
        File.remove(String(address.text.dropFirst("unix:".count)))
    }
}
