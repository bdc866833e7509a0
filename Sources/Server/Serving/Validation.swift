internal import Conformance
internal import PluginHost
internal import Proxy
internal import Sys

/// `sluice plugin validate`: runs each check in a process of its own, so that whatever a plugin
/// does there is told, with what it was asked to do last.
package struct Validation {
    /// What the command line asks for.
    package struct Order: Equatable, Sendable {
        package var file: String
        /// JSON5 of an object.
        package var configuration: String
        /// Nil takes one by chance.
        package var seed: UInt64?
        package var iterations: Int
        /// Seconds without a new step after which a check is taken to hang.
        package var timeout: Int

        init(
            file: String,
            configuration: String,
            seed: UInt64?,
            iterations: Int,
            timeout: Int = timeoutDefault
        ) {
            self.timeout = timeout
            self.file = file
            self.configuration = configuration
            self.seed = seed
            self.iterations = iterations
        }
    }

    /// The first argument of a process that runs one check.
    static let childCommand = "plugin-validate-check"
    static let iterationsDefault = 1_000
    static let iterationsMax = 1_000_000
    /// Seconds.
    package static let timeoutDefault = 20
    static let timeoutMax = 3_600
    /// Where a check writes what it is at.
    private static let reportDescriptor: Int32 = 3

    let terminal: Terminal
    let surroundings: ManifestSurroundings

    // MARK: The checks

    func run(_ order: Order) -> ExitCode {
        var order = order
        let seed = order.seed ?? Sys.Process.randomWord() % 1_000_000
        order.seed = seed
        do throws(PluginError) {
            _ = try subject(order)
        } catch {
            error.description.split(separator: "\n").forEach { terminal.complain("\($0)") }
            return .failure
        }
        terminal.print("\(order.file): seed \(seed), \(order.iterations) iterations")
        var counts = (passed: 0, failed: 0, skipped: 0)
        for check in ConformanceCheck.allCases {
            let outcome = run(check, order, seed)
            switch outcome {
            case .passed: counts.passed += 1
            case .failed: counts.failed += 1
            case .skipped: counts.skipped += 1
            }
            terminal.print(Self.line(check, outcome))
        }
        terminal.print(
            "\(counts.passed) passed, \(counts.failed) failed, \(counts.skipped) skipped"
        )
        return counts.failed == 0 ? .ok : .failure
    }

    private enum Outcome {
        case passed
        case failed(String)
        case skipped(String)
    }

    private static func line(_ check: ConformanceCheck, _ outcome: Outcome) -> String {
        let name = check.rawValue
        let padded = name + String(repeating: " ", count: max(1, 12 - name.count))
        return switch outcome {
        case .passed: "ok    \(padded)\(check.title)"
        case .failed(let reason): "FAIL  \(padded)\(reason)"
        case .skipped(let reason): "skip  \(padded)\(reason)"
        }
    }

    private func run(_ check: ConformanceCheck, _ order: Order, _ seed: UInt64) -> Outcome {
        do throws(Errno) {
            var child = try ChildProcess.start(
                Sys.Process.executablePath(),
                [
                    Self.childCommand, check.rawValue, order.file, order.configuration, "\(seed)",
                    "\(order.iterations)",
                ]
            )
            return Self.watch(&child, seconds: order.timeout)
        } catch {
            return .failed("no process for it: \(error.description)")
        }
    }

    private static func watch(_ child: inout ChildProcess, seconds: Int) -> Outcome {
        var step = "start"
        var hook = ""
        while true {
            switch child.nextLine(milliseconds: Int32(seconds) * 1_000) {
            case .timedOut:
                child.kill()
                _ = child.wait()
                return .failed("hangs\(place(step, hook))")
            case .end:
                let ending = child.wait()
                let output = child.takeOutput().split(separator: "\n").first.map { " (\($0))" }
                let how =
                    switch ending {
                    case .exited(let code): "ends the process with status \(code)"
                    case .signalled(let number): "ends by \(ChildProcess.Ending.signalName(number))"
                    }
                return .failed(how + place(step, hook) + (output ?? ""))
            case .text(let line):
                let parts = line.split(separator: " ", maxSplits: 1).map(String.init)
                let text = parts.count > 1 ? parts[1] : ""
                switch parts.first {
                case "step": (step, hook) = (text, "")
                case "hook": hook = text
                case "pass": return finish(child, .passed)
                case "skip": return finish(child, .skipped(text))
                default: return finish(child, .failed(text + place(step, hook)))
                }
            }
        }
    }

    private static func finish(_ child: borrowing ChildProcess, _ outcome: Outcome) -> Outcome {
        _ = child.wait()
        return outcome
    }

    private static func place(_ step: String, _ hook: String) -> String {
        hook.isEmpty ? "; at: \(step)" : "; at: \(step); last hook: \(hook)"
    }

    // MARK: One check

    /// The process of one check: its arguments behind `childCommand`.
    func runChild(_ arguments: [String]) -> ExitCode {
        guard arguments.count == 5, let check = ConformanceCheck(rawValue: arguments[0]),
            let seed = UInt64(arguments[3]), let iterations = Int(arguments[4])
        else { return .usage }
        let log = StepLog { File.write($0 + "\n", to: Self.reportDescriptor) }
        do throws(PluginError) {
            let order = Order(
                file: arguments[1],
                configuration: arguments[2],
                seed: seed,
                iterations: iterations
            )
            check.run(try subject(order), log)
            return .ok
        } catch {
            log.failed(error.description.split(separator: "\n").first.map { "\($0)" } ?? "")
            return .failure
        }
    }

    // MARK: The plugin

    /// Reads the file and the configuration, as starting up does.
    func subject(_ order: Order) throws(PluginError) -> ConformanceSubject {
        let staged = try stage(file: order.file, configuration: order.configuration)
        let descriptor = staged.descriptor
        return ConformanceSubject(
            file: staged.file,
            configuration: staged.configuration,
            differences: { facts in
                (descriptor?.differences(from: facts) ?? []).map { "\(order.file): \($0)" }
            },
            seed: order.seed ?? 0,
            iterations: order.iterations
        )
    }

    private func stage(
        file path: String,
        configuration text: String
    ) throws(PluginError) -> (
        file: PluginFile, descriptor: Descriptor?, configuration: ConfigurationTree.Node
    ) {
        // Errors that are not of the configuration have better words here.
        _ = try PluginFile(path: path, pin: nil)
        let settings: ProxySettings
        do throws(ManifestFailure) {
            settings = try Manifest.parse(
                Array(Self.manifest(path, text).utf8),
                path: "--config",
                surroundings
            )
        } catch {
            throw PluginError(error.lines.joined(separator: "\n"))
        }
        let stage = PluginStage(settings)
        guard stage.problems.isEmpty, let entry = stage.entries.first, let file = entry.file else {
            let lines = stage.problems.map { line in
                let prefix = "plugins.subject.config"
                return line.hasPrefix(prefix) ? "--config" + line.dropFirst(prefix.count) : line
            }
            throw PluginError(lines.joined(separator: "\n"))
        }
        return (file, entry.descriptor, entry.configuration)
    }

    /// A manifest with one plugin; the configuration's first line is its first line.
    private static func manifest(_ path: String, _ configuration: String) -> String {
        var quoted = ""
        for scalar in path.unicodeScalars {
            if scalar == "\"" || scalar == "\\" { quoted += "\\" }
            quoted.unicodeScalars.append(scalar)
        }
        let library = path.hasPrefix("/") ? quoted : "./\(quoted)"
        return """
            {version: 1, plugin_dir: ".", plugin_permissions: "off", \
            listeners: [{listen: "127.0.0.1:1"}], \
            routes: [{match: {}, chain: ["subject"]}], \
            plugins: {subject: {library: "\(library)", config: \(configuration)
            }}}
            """
    }
}

extension Validation {
    /// `sluice plugin bench`.
    func bench(file: String, configuration: String) -> ExitCode {
        let order = Order(file: file, configuration: configuration, seed: 0, iterations: 1)
        do throws(PluginError) {
            let subject = try subject(order)
            let rows = try HookBench.measure(
                try PluginLibrary(subject.file),
                subject.configuration
            )
            terminal.print(Self.row("", "ns", "calls/s"))
            for row in rows {
                let perSecond = row.nanoseconds > 0 ? Int(1e9 / row.nanoseconds) : 0
                let memory = row.bytesPerPeer.map { "   \(Self.tenths($0)) bytes for each" } ?? ""
                terminal.print(
                    Self.row(row.name, Self.tenths(row.nanoseconds), "\(perSecond)") + memory
                )
            }
            return .ok
        } catch {
            error.description.split(separator: "\n").forEach { terminal.complain("\($0)") }
            return .failure
        }
    }

    private static func row(_ name: String, _ time: String, _ rate: String) -> String {
        name + padding(name, 24) + padding(time, 10) + time + padding(rate, 14) + rate
    }

    private static func padding(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count))
    }

    private static func tenths(_ number: Double) -> String {
        let tenths = Int((number * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }
}
