internal import PluginHost
internal import Proxy
internal import Sys

/// What the commands do.
///
/// Each returns the code that the process ends with; only `main` ends it.
package struct Commands {
    let terminal: Terminal
    let surroundings: ManifestSurroundings

    package init(terminal: Terminal, surroundings: ManifestSurroundings) {
        self.terminal = terminal
        self.surroundings = surroundings
    }

    /// The whole program: reads the arguments, without the name of the process, and does as told.
    package static func main(_ arguments: [String]) -> Never {
        ThreadRole.enter(.control)
        let commands = Commands(terminal: .process, surroundings: .process)
        Process.exit(commands.execute(arguments).rawValue)
    }

    package func execute(_ arguments: [String]) -> ExitCode {
        ProbeContexts.install()
        if arguments.first == Validation.childCommand {
            return Validation(terminal: terminal, surroundings: surroundings)
                .runChild(Array(arguments.dropFirst()))
        }
        if arguments.first == PluginProbe.childCommand { return PluginProbe.runChild() }
        if arguments.first == Supervision.serveCommand {
            return Supervision(terminal: terminal, surroundings: surroundings)
                .serve(Array(arguments.dropFirst()))
        }
        if arguments.first == Supervision.resumeCommand {
            return Supervision(terminal: terminal, surroundings: surroundings)
                .resume(Array(arguments.dropFirst()))
        }
        do throws(UsageError) {
            return execute(try Command.parse(arguments))
        } catch {
            terminal.complain("sluice: \(error.message)")
            return .usage
        }
    }

    func execute(_ command: Command) -> ExitCode {
        switch command {
        case .run(let order): return run(order)
        case .check(let manifest, let binds): return check(manifest, binds: binds)
        case .demo: return demo()
        case .pluginList(let manifest): return listPlugins(manifest)
        case .pluginInspect(let file, let loads): return inspectPlugin(file, loads: loads)
        case .pluginNew(let order): return newPlugin(order)
        case .pluginValidate(let order):
            return Validation(terminal: terminal, surroundings: surroundings).run(order)
        case .pluginBench(let file, let configuration):
            return Validation(terminal: terminal, surroundings: surroundings)
                .bench(file: file, configuration: configuration)
        case .control(let order):
            return ControlCommand(terminal: terminal, surroundings: surroundings).run(order)
        case .top(let order):
            let control = ControlCommand(terminal: terminal, surroundings: surroundings)
            return TopCommand(control: control, order: order).run()
        case .version: terminal.print(Version.line)
        case .help(let text): terminal.print(text)
        }
        return .ok
    }

    // MARK: Commands

    private func run(_ order: Command.RunOrder) -> ExitCode {
        let start = ServiceStart(terminal: terminal, order: order)
        return withSettings(of: order.manifest) { settings in
            guard order.isSupervised else {
                if let problem = start.directly(settings.service) { return problem }
                Signals.block()
                watchForCrashes()
                return serve(settings, order.manifest)
            }
            switch start.supervised(settings.service) {
            case .supervise(let service):
                return Supervision(terminal: terminal, surroundings: surroundings)
                    .run(order.manifest, service)
            case .end(let code): return code
            }
        }
    }

    private func check(_ manifest: String, binds: Bool) -> ExitCode {
        watchForCrashes()
        return withSettings(of: manifest) { settings in
            prepare(settings, manifest, binds ? OwnListeners() : nil) { prepared, admin in
                prepared.warnings.forEach { terminal.complain("\(manifest): warning: \($0)") }
                prepared.release()
                if let admin { admin.release() }
                let counts = [
                    count(settings.listeners.count, "listener"),
                    count(settings.plugins.count, "plugin"),
                    count(settings.upstreams.count, "upstream"),
                    count(settings.routes.count, "route"),
                ]
                terminal.print("\(manifest): good (\(counts.joined(separator: ", ")))")
                return .ok
            }
        }
    }

    private func demo() -> ExitCode {
        Signals.block()
        watchForCrashes()
        terminal.print(Demo.introduction)
        do throws(ManifestFailure) {
            let settings = try Manifest.parse(Array(Demo.manifest.utf8), path: "demo", surroundings)
            return serve(settings, "demo")
        } catch {
            error.lines.forEach(terminal.complain)
            return .configuration
        }
    }

    private func serve(_ settings: ProxySettings, _ manifest: String) -> ExitCode {
        let source = OwnListeners()
        return prepare(settings, manifest, source) { prepared, admin in
            Serving(prepared, source, manifest: manifest, surroundings, admin: admin)
                .run(.signals)
        }
    }

    private func listPlugins(_ manifest: String) -> ExitCode {
        withSettings(of: manifest) { settings in
            let stage = PluginStage(settings)
            for entry in stage.entries where !entry.sha256.isEmpty {
                terminal.print(PluginDescription.line(entry))
            }
            stage.problems.forEach { terminal.complain("\(manifest): \($0)") }
            return stage.problems.isEmpty ? .ok : .configuration
        }
    }

    private func inspectPlugin(_ path: String, loads: Bool) -> ExitCode {
        do throws(PluginError) {
            let file = try PluginFile(path: path, pin: nil)
            let descriptor = try PluginStage.descriptor(of: file)
            guard loads || descriptor != nil else {
                throw PluginError(
                    "\(path): there is no descriptor in it; with --load the library is asked itself"
                )
            }
            let library = loads ? try PluginLoader.load(file, descriptor) : nil
            PluginDescription.lines(file).forEach(terminal.print)
            PluginDescription.unloadLines(file).forEach(terminal.print)
            if let descriptor {
                PluginDescription.lines(descriptor).forEach(terminal.print)
                if let library {
                    PluginDescription.found(library.facts, descriptor).forEach(terminal.print)
                    terminal.print("handshake:   the same")
                }
            } else if let library {
                PluginDescription.lines(library.facts).forEach(terminal.print)
            }
            return .ok
        } catch {
            terminal.complain(error.description)
            return .failure
        }
    }

    private func newPlugin(_ order: NewPlugin.Order) -> ExitCode {
        do throws(NewPlugin.Failure) {
            let plugin = try NewPlugin(order, executableFolder: surroundings.executableFolder)
            try plugin.make().forEach(terminal.print)
            return .ok
        } catch {
            switch error {
            case .usage(let line):
                terminal.complain("sluice: \(line)")
                return .usage
            case .other(let line):
                terminal.complain("sluice: \(line)")
                return .failure
            }
        }
    }

    // MARK: Steps

    private func watchForCrashes() { CrashRecord.watch(for: terminal) }

    /// Prepares all that a manifest needs and goes on with it, or shows what is wrong.
    ///
    /// - Parameter source: nil leaves the addresses alone.
    private func prepare(
        _ settings: ProxySettings,
        _ manifest: String,
        _ source: (any ListenerSource)?,
        _ body: (Preparation, consuming AdminEntrance?) -> ExitCode
    ) -> ExitCode {
        do throws(Preparation.Failure) {
            let prepared = try Preparation(settings, manifest: manifest, source: source)
            guard source != nil, let address = settings.admin else { return body(prepared, nil) }
            do throws(Preparation.Failure) {
                return body(prepared, try AdminEntrance(address, manifest: manifest))
            } catch {
                prepared.release()
                throw error
            }
        } catch {
            error.lines.forEach(terminal.complain)
            return .configuration
        }
    }

    /// Reads a manifest and goes on with it, or shows what is wrong with it.
    private func withSettings(
        of manifest: String,
        _ body: (ProxySettings) -> ExitCode
    ) -> ExitCode {
        do throws(ManifestFailure) {
            return body(try Manifest.read(manifest, surroundings))
        } catch {
            error.lines.forEach(terminal.complain)
            return .configuration
        }
    }

    private func count(_ count: Int, _ what: String) -> String {
        "\(count) \(what)\(count == 1 ? "" : "s")"
    }
}

/// Where commands write to, a line at a time.
package struct Terminal: Sendable {
    /// What was asked for.
    package var print: @Sendable (String) -> Void
    /// Why it could not be had.
    package var complain: @Sendable (String) -> Void

    package init(
        print: @escaping @Sendable (String) -> Void,
        complain: @escaping @Sendable (String) -> Void
    ) {
        self.print = print
        self.complain = complain
    }

    /// The standard output and error of the process.
    package static let process = Terminal {
        File.write($0 + "\n", to: 1)
    } complain: {
        File.write($0 + "\n", to: 2)
    }
}

extension ManifestSurroundings {
    /// The machine that the process runs on.
    package static var process: ManifestSurroundings {
        ManifestSurroundings(
            executableFolder: ManifestPath.folder(of: Process.executablePath())
        ) { path in
            if File.isFile(path) { return .file }
            if File.isFolder(path) { return .folder }
            return File.exists(path) ? .other : .missing
        } read: { path, bytesMax in
            do throws(Errno) {
                return .bytes(try File.readAll(path, bytesMax: bytesMax))
            } catch {
                return error == fileTooBig ? .tooLarge : .failed(reason: error.description)
            }
        }
    }

    /// `EFBIG` of Linux, which `File.readAll` throws for a file over the bound.
    private static let fileTooBig = Errno(27)
}

extension CrashRecord {
    /// From now on a crash tells in which plugin it was, where that can be told.
    ///
    /// - Parameter descriptor: where the record goes to; nil for a process that nobody watches.
    static func watch(for terminal: Terminal, _ descriptor: Int32? = nil) {
        do throws(Errno) {
            try watch(descriptor, layout: layout)
        } catch {
            terminal.complain("sluice: no record of a crash will be kept: \(error.description)")
        }
    }
}
