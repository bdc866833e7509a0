internal import Admin
internal import PluginHost
internal import Proxy
internal import Synchronization
internal import Sys
internal import TLS

/// The first load of a library, in a short-lived process of its own: whatever it does there, the
/// process that serves goes on.
///
/// The child is given the bytes that were checked, not a path, and lives through `PluginTrial` with
/// the real configuration. What passed once is not tried again; what did not is, because its cause
/// may be gone.
enum PluginProbe {
    /// The first argument of the child.
    static let childCommand = "plugin-probe"
    /// This very program, also after its file was replaced.
    private static let program = "/proc/self/exe"
    /// Libraries with their configuration that are remembered; the oldest is forgotten.
    static let passedMax = 256
    /// Bytes of an order, which has a configuration, and a library.
    private static let inputBytesMax = PluginFile.bytesMax + (64 << 20)
    /// Scalars of what a library wrote before it ended that are told.
    static let outputScalarsMax = 200
    private static let reportDescriptor: Int32 = 3

    private static let passed = Mutex<[String]>([])

    /// Tries the library of an entry with its configuration.
    ///
    /// Takes up to `settings.integrity.probeTimeout`. To be called on a thread that may wait: the
    /// child ends with it.
    ///
    /// - Parameter folder: where relative paths of the configuration begin.
    /// - Throws: a line that says what the library did and where; what it says itself when it
    ///   refuses its configuration.
    static func check(
        _ entry: PluginStage.Entry,
        _ settings: ProxySettings,
        folder: String,
        workerCount: Int
    ) throws(PluginError) {
        let path = entry.settings.libraryPath
        // Of a library that is in use and has not changed, with another configuration.
        let file = if let file = entry.file { file } else { try again(path, entry.sha256) }
        let order = PluginProbeOrder(
            path: file.path,
            sha256: file.sha256,
            name: entry.settings.name,
            folder: folder,
            workerCount: workerCount,
            memoryBytes: entry.settings.memoryBytes,
            upstreams: settings.upstreams.map(\.name),
            configuration: entry.configuration
        )
        let head = Array("\(order.json.text)\n".utf8)
        let key = Fingerprint.sha256(head)
        guard !passed.withLock({ $0.contains(key) }) else { return }
        var complaint: String?
        do throws(Errno) {
            let input = try MemoryFile.holding(head + file.bytes, name: "probe")
            var child = try ChildProcess.start(program, [childCommand], input: input.number)
            complaint = watch(&child, file.path, milliseconds: settings.integrity.probeTimeout)
        } catch {
            complaint = "\(file.path): no process for its first load: \(error)"
        }
        if let complaint { throw PluginError(complaint) }
        passed.withLock { passed in
            if passed.count == passedMax { passed.removeFirst() }
            passed.append(key)
        }
    }

    private static func again(_ path: String, _ sha256: String) throws(PluginError) -> PluginFile {
        try PluginFile(path: path, pin: sha256)
    }

    // MARK: The parent's side

    /// Waits for the child; what went wrong in lines, nil when nothing did.
    private static func watch(
        _ child: inout ChildProcess,
        _ path: String,
        milliseconds: Int
    ) -> String? {
        let subject = "\(path): its first load, in a process of its own,"
        let deadline = Clock.kernelNanoseconds() + UInt64(milliseconds) * 1_000_000
        var step = "start"
        var refusals: [String] = []
        while true {
            let now = Clock.kernelNanoseconds()
            let left = now < deadline ? Int32((deadline - now) / 1_000_000) + 1 : 0
            let line = left > 0 ? child.nextLine(milliseconds: left) : .timedOut
            guard case .text(let text) = line else {
                // Also one that has closed its report, and goes on.
                child.kill()
                let ending = child.wait()
                if line == .timedOut {
                    return "\(subject) hung for \(milliseconds) ms; at: \(step)"
                }
                if !refusals.isEmpty { return refusals.joined(separator: "\n") }
                return "\(subject) \(words(ending)); at: \(step)\(words(child.takeOutput()))"
            }
            let parts = text.split(separator: " ", maxSplits: 1).map(String.init)
            switch (parts.first, parts.last) {
            case ("pass", _):
                child.kill()
                _ = child.wait()
                return nil
            case ("step", let name?): step = name
            case ("fail", let reason?): refusals.append(reason)
            default: refusals.append("\(subject) wrote to its report; at: \(step)")
            }
        }
    }

    private static func words(_ ending: ChildProcess.Ending) -> String {
        switch ending {
        case .exited(let code): "ended with status \(code)"
        case .signalled(let number): "ended by \(ChildProcess.Ending.signalName(number))"
        }
    }

    /// The line that is most likely to say why, as " (LINE)"; nothing without output.
    private static func words(_ output: String) -> String {
        let lines = output.split(separator: "\n")
        let telling = lines.first { $0.contains("atal error") || $0.contains("panicked at") }
        guard let line = telling ?? lines.first else { return "" }
        var text = ""
        for scalar in line.unicodeScalars.prefix(outputScalarsMax) {
            text.unicodeScalars.append(scalar.value < 0x20 || scalar.value == 0x7f ? " " : scalar)
        }
        return " (\(text))"
    }

    // MARK: The child's side

    /// The process that tries a library: its input is an order, an end of line, and the file.
    static func runChild() -> ExitCode {
        Process.becomeExpendable()
        let input = SharedDescriptor(FileDescriptor(owning: 0))
        let bytes = (try? MemoryFile.bytes(of: input, bytesMax: inputBytesMax)) ?? []
        guard let end = bytes.firstIndex(of: UInt8(ascii: "\n")),
            let order = PluginProbeOrder(Array(bytes[..<end]))
        else { return .usage }
        CalloutPort.setUpstreams(Set(order.upstreams))
        let file = PluginFile(
            path: order.path,
            bytes: Array(bytes[(end + 1)...]),
            sha256: order.sha256
        )
        do throws(PluginError) {
            let descriptor = try PluginStage.descriptor(of: file)
            try PluginTrial.run(
                file,
                name: order.name,
                configuration: order.configuration,
                folder: order.folder,
                workerCount: order.workerCount,
                memoryBytes: order.memoryBytes
            ) { facts in
                (descriptor?.differences(from: facts) ?? []).map { "\(order.path): \($0)" }
            } begin: { step in
                report("step \(step.rawValue)")
            }
        } catch {
            error.description.split(separator: "\n").forEach { report("fail \($0)") }
            return .failure
        }
        report("pass")
        return .ok
    }

    private static func report(_ line: String) {
        File.write(line + "\n", to: reportDescriptor)
    }
}
