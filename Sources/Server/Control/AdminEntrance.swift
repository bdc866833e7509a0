internal import Admin
internal import Proxy
internal import Sys

/// The admin interface of a manifest before anybody is answered: its token read, its address bound.
struct AdminEntrance: ~Copyable {
    private let listening: FileDescriptor
    private let token: AdminToken?
    /// As bound.
    let address: SocketAddress

    /// - Parameter manifest: its name, for messages.
    /// - Throws: what is wrong with the token or the address.
    init(_ settings: AdminSettings, manifest: String) throws(Preparation.Failure) {
        let token = try Self.token(settings, manifest: manifest)
        guard let wanted = SocketAddress(settings.address) else {
            let line = "admin.listen: \(settings.address) is no address of this machine"
            throw Preparation.Failure(lines: ["\(manifest): \(line)"])
        }
        do throws(Errno) {
            let listening = try AdminServer.bind(wanted)
            address = try Socket.localAddress(listening.number)
            self.listening = listening
            self.token = token
        } catch {
            let line = "admin.listen: \(settings.address): \(error.description)"
            throw Preparation.Failure(lines: ["\(manifest): \(line)"])
        }
    }

    /// What is not as it should be.
    var warning: String? {
        let host = address.ip.text
        guard !address.isUnix, !host.hasPrefix("127."), host != "::1" else { return nil }
        return "admin.listen: \(address.text): tokens and answers cross the network in the clear"
    }

    /// The token of TCP, which is all that can be checked without the address.
    @discardableResult
    static func token(
        _ settings: AdminSettings,
        manifest: String
    ) throws(Preparation.Failure) -> AdminToken? {
        guard let path = settings.tokenFile else { return nil }
        do throws(AdminProblem) {
            return try AdminToken.read(path)
        } catch {
            throw Preparation.Failure(
                lines: ["\(manifest): admin.token_file: \(error.description)"]
            )
        }
    }

    /// Begins to answer.
    consuming func open(
        to control: ServingControl,
        logLevel: UInt32
    ) throws(Errno) -> AdminServer {
        let token = token
        return try AdminServer.start(
            on: listening,
            token: token,
            logLevel: logLevel,
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
