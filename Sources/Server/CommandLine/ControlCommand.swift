internal import Admin
internal import Proxy
internal import Sys

/// Sends a command to a proxy that runs, and shows the answer.
struct ControlCommand {
    let terminal: Terminal
    let surroundings: ManifestSurroundings

    /// Why nothing was asked, or nothing answered; a line each.
    struct Failure: Error {
        var lines: [String]
    }

    func run(_ order: ControlOrder) -> ExitCode {
        do throws(Failure) {
            let client = try client(order)
            var request = order.request
            // The other process has another working folder.
            for name in ["library", "binary"] {
                request.body = try Self.resolve(name, of: request.body)
            }
            do throws(AdminProblem) {
                return show(try client.send(request, seconds: order.seconds), order)
            } catch {
                throw Failure(lines: ["sluice: \(error.description)"])
            }
        } catch {
            error.lines.forEach(terminal.complain)
            return .failure
        }
    }

    // MARK: Asking

    func client(_ order: ControlOrder) throws(Failure) -> AdminClient {
        var admin = order.admin.map { AdminSettings(address: $0, tokenFile: order.tokenFile) }
        if admin == nil {
            guard order.tokenFile == nil else {
                throw Failure(
                    lines: ["sluice: --token-file is for --admin; the manifest names its own"]
                )
            }
            do throws(ManifestFailure) {
                admin = try Manifest.readAdmin(order.manifest, surroundings)
            } catch {
                throw Failure(lines: error.lines)
            }
        }
        guard let admin else {
            let line = "the manifest has no admin interface; name it with --admin"
            throw Failure(lines: ["sluice: \(order.manifest): \(line)"])
        }
        do throws(AdminProblem) {
            var token: AdminToken?
            if let path = admin.tokenFile { token = try AdminToken.read(path) }
            return try AdminClient(admin.address, token: token)
        } catch {
            throw Failure(lines: ["sluice: \(error.description)"])
        }
    }

    /// Makes a relative path of the body absolute.
    private static func resolve(_ name: String, of body: JSON) throws(Failure) -> JSON {
        guard case .object(var members) = body,
            let index = members.firstIndex(where: { $0.name == name }),
            let path = members[index].value.string, !path.hasPrefix("/")
        else { return body }
        guard let folder = File.absolute("."), File.exists(path) else {
            throw Failure(lines: ["sluice: there is no file \(quote(path))"])
        }
        members[index].value = .string(ManifestPath.resolve(path, in: folder))
        return .object(members)
    }

    // MARK: Showing

    private func show(_ response: AdminResponse, _ order: ControlOrder) -> ExitCode {
        let isDone = 200..<300 ~= response.status
        if order.isRaw {
            terminal.print(response.body.string ?? response.body.text)
        } else if isDone {
            ControlText.lines(of: response.body, for: order.request).forEach(terminal.print)
        } else {
            let problems = response.problems.isEmpty ? ["no reason given"] : response.problems
            for problem in problems {
                terminal.complain("sluice: \(ControlText.line(problem)) (\(response.status))")
            }
        }
        return isDone ? .ok : .failure
    }
}
