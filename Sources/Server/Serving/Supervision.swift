internal import Proxy
internal import Supervisor
internal import Sys

/// `sluice run` as two processes: the supervisor, and the one that serves.
struct Supervision {
    /// The first argument of a serving process.
    static let serveCommand = "serve"
    /// The first argument of a supervisor that takes the place of another one.
    static let resumeCommand = "supervise"

    let terminal: Terminal
    let surroundings: ManifestSurroundings

    // MARK: The supervisor

    /// Supervises a process that serves the manifest; the code to exit with.
    func run(_ manifest: String, _ service: Service) -> ExitCode {
        do throws(Errno) {
            return Self.code(try Supervisor(program(manifest), service).run())
        } catch {
            terminal.complain("sluice: no supervisor: \(error.description)")
            return .failure
        }
    }

    /// Goes on as the supervisor that this program took the place of.
    ///
    /// - Parameter arguments: the descriptor of its state.
    func resume(_ arguments: [String]) -> ExitCode {
        guard arguments.count == 1, let descriptor = Int32(arguments[0]) else {
            return .usage
        }
        do throws(ChannelError) {
            return Self.code(try Supervisor(resuming: descriptor, program("")).resume())
        } catch {
            terminal.complain("sluice: \(error.message)")
            return .failure
        }
    }

    /// Codes of a serving process that did not come to serve are those of this program.
    private static func code(_ number: Int32) -> ExitCode {
        ExitCode(rawValue: number) ?? .failure
    }

    private func program(_ manifest: String) -> Supervisor.Program {
        Supervisor.Program(
            path: Process.startedPath(),
            serveCommand: Self.serveCommand,
            resumeCommand: Self.resumeCommand,
            manifest: manifest
        )
    }

    // MARK: The serving process

    /// Its arguments: the descriptors of the control channel and of the crash record, the manifest.
    func serve(_ arguments: [String]) -> ExitCode {
        Signals.block()
        do throws(Errno) {
            // The sockets come from the supervisor: no right that it may have is needed here.
            try Identity.renounce()
        } catch {
            terminal.complain("sluice: rights can't be given away: \(error.description)")
            return .failure
        }
        guard arguments.count == 3, let channel = Int32(arguments[0]),
            let record = Int32(arguments[1])
        else { return .usage }
        let manifest = arguments[2]
        CrashRecord.watch(for: terminal, record)
        do throws(SupervisorLink.Failure) {
            return serve(manifest, try SupervisorLink(descriptor: channel))
        } catch {
            terminal.complain("sluice: \(error.reason)")
            return .failure
        }
    }

    private func serve(_ manifest: String, _ link: SupervisorLink) -> ExitCode {
        let lines: [String]
        do {
            let bytes = try text(of: manifest, link.start)
            let served = ServedManifest(bytes)
            var settings = try Manifest.parse(served.text, path: manifest, surroundings)
            served.apply(to: &settings)
            let source = SupervisedListeners(link)
            let prepared = try Preparation(
                settings,
                manifest: manifest,
                source: source,
                inherited: try state(link.start, manifest),
                quarantine: link.start.quarantine.map {
                    Quarantine(name: $0.instance, sha256: $0.sha256)
                }
            )
            return Serving(prepared, source, manifest: manifest, surroundings)
                .run(.supervisor(link, bytes))
        } catch let failure as ManifestFailure {
            lines = failure.lines
        } catch let failure as Preparation.Failure {
            lines = failure.lines
        } catch {
            lines = ["\(error)"]
        }
        lines.forEach(terminal.complain)
        link.failed(lines)
        return .configuration
    }

    /// What the process before exported; nil when there was none.
    private func state(
        _ start: SupervisorMessage.Start,
        _ manifest: String
    ) throws -> ProcessState? {
        guard let file = start.state else { return nil }
        let bytesMax = SupervisorLink.stateBytesMax
        guard let bytes = try? MemoryFile.bytes(of: file, bytesMax: bytesMax),
            let state = ProcessState(bytes)
        else {
            let line = "\(manifest): the state of the process before is damaged"
            throw Preparation.Failure(lines: [line])
        }
        return state
    }

    /// The bytes of a `ServedManifest` that the supervisor kept, or what the file says now.
    private func text(
        of manifest: String,
        _ start: SupervisorMessage.Start
    ) throws -> [UInt8] {
        guard let kept = start.manifest else {
            return try Manifest.text(of: manifest, surroundings)
        }
        do throws(Errno) {
            return try MemoryFile.bytes(of: kept, bytesMax: ServedManifest.bytesMax)
        } catch {
            throw Preparation.Failure(lines: ["\(manifest): \(error.description)"])
        }
    }
}
