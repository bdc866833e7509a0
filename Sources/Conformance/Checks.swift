import PluginHost
import Sys

/// The checks of `sluice plugin validate`, in the order in which they run, each in a process of its
/// own.
package enum ConformanceCheck: String, CaseIterable, Sendable {
    case file
    case tables
    case life
    case workers
    case config
    case exchanges
    case views
    case bodies
    case leaving
    case waits
    case neighbours
    case state

    /// What is shown beside the name.
    package var title: String {
        switch self {
        case .file: "the file, its descriptor and its handshake agree"
        case .tables: "unknown ids have no table, known ones always the same"
        case .life: "instances leave no memory, descriptors or threads behind"
        case .workers: "workers start and stop in any order, or never"
        case .config: "configurations of any shape are taken or refused with a line"
        case .exchanges: "requests and responses of all kinds end, each exactly once"
        case .views: "nothing that a hook was given is read after it has returned"
        case .bodies: "bodies come out the same in every chunking, fast or slow"
        case .leaving: "clients and origins leave at every step"
        case .waits: "waits end late, early, or with the request"
        case .neighbours: "other plugins of the chain fail"
        case .state: "exported state is taken back, any other is refused"
        }
    }

    /// Why a check does not apply.
    enum Skipped: Error {
        case because(String)
    }

    /// Runs the check in this process and says what came of it.
    package func run(_ subject: ConformanceSubject, _ log: StepLog) {
        do {
            log.step("load \(subject.file.path)")
            let context = CheckContext(
                subject: subject,
                library: try PluginLibrary(subject.file),
                log: log
            )
            try run(context)
            log.passed(title)
        } catch Skipped.because(let reason) {
            log.skipped(reason)
        } catch let failure as CheckFailure {
            log.failed(failure.line)
        } catch {
            log.failed("\(error)")
        }
    }

    private func run(_ context: CheckContext) throws {
        switch self {
        case .file: try context.checkFile()
        case .tables: try context.checkTables()
        case .life: try context.checkLife()
        case .workers: try context.checkWorkers()
        case .config: try context.checkConfigurations()
        case .exchanges: try context.checkExchanges(.kept)
        case .views: try context.checkExchanges(.forbidden)
        case .bodies: try context.checkBodies()
        case .leaving: try context.checkLeaving()
        case .waits: try context.checkWaits()
        case .neighbours: try context.checkNeighbours()
        case .state: try context.checkState()
        }
    }
}

/// What all checks are given.
struct CheckContext {
    let subject: ConformanceSubject
    let library: PluginLibrary
    let log: StepLog

    /// A generator of its own for each use, so that one check does not depend on another.
    func numbers(_ purpose: UInt64) -> SeededNumbers {
        SeededNumbers(seed: subject.seed ^ purpose &* 0x9e37_79b9_7f4a_7c15)
    }

    func makeInstance(
        _ name: String = "subject",
        workerCount: Int = 1
    ) throws(PluginError) -> PluginInstance {
        try Self.makeInstance(library, subject.configuration, name, workerCount: workerCount)
    }

    static func makeInstance(
        _ library: PluginLibrary,
        _ configuration: ConfigurationTree.Node,
        _ name: String,
        index: Int = 0,
        failureStatus: UInt16 = 500,
        workerCount: Int = 1,
        guards: PluginGuards = PluginGuards()
    ) throws(PluginError) -> PluginInstance {
        // That of `Scene`, for plugins whose configuration names one.
        CalloutPort.setUpstreams(["app"])
        return try PluginInstance(
            name: name,
            index: index,
            library: library,
            failureStatus: failureStatus,
            configuration: configuration,
            workerCount: workerCount,
            logLevel: 2,
            guards: guards
        )
    }

    var isBalancer: Bool { library.facts.roles.contains("sluice.lb/1") }

    func expect(_ isTrue: Bool, _ line: @autoclosure () -> String) throws(CheckFailure) {
        if !isTrue { throw CheckFailure(line()) }
    }
}
