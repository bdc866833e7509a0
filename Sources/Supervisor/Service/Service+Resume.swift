internal import Admin
internal import Sys

/// The service over an `execve`: the process stays, and so does what it holds.
extension Service {
    /// What the program that takes this one's place goes on with, and the descriptors that it
    /// keeps.
    func resumeState() -> (JSON, [Int32]) {
        var members: [JSON.Member] = []
        var descriptors: [Int32] = []
        if let manager = options.manager {
            members.append(JSON.Member("notify", .string(manager.address)))
            if let time = manager.watchdogNanoseconds {
                members.append(JSON.Member("watchdog", .integer(Int64(clamping: time))))
            }
        }
        if let place = options.takeOver {
            members.append(JSON.Member("take_over", .string(place.path)))
            members.append(JSON.Member("take_over_timeout", .integer(Int64(place.timeout))))
        }
        if let path = options.errorLog {
            members.append(JSON.Member("error_log", .string(path)))
        }
        if let path = options.pidFile {
            members.append(JSON.Member("pid_file", .string(path)))
            if let number = pidFileDescriptor {
                members.append(JSON.Member("pid_file_descriptor", .integer(Int64(number))))
                descriptors.append(number)
            }
        }
        return (.object(members), descriptors)
    }

    /// Goes on with what another program of this process held.
    convenience init(resuming state: JSON, logLevel: Int) {
        var options = ServiceOptions()
        if let address = state["notify"]?.string {
            options.manager = ServiceManager(
                address: address,
                watchdogNanoseconds: state["watchdog"]?.integer.map { UInt64(clamping: $0) }
            )
        }
        if let path = state["take_over"]?.string, let time = state["take_over_timeout"]?.integer {
            options.takeOver = ServiceOptions.TakeOver(path: path, timeout: Int(time))
        }
        options.errorLog = state["error_log"]?.string
        options.pidFile = state["pid_file"]?.string
        var pidFile: PIDFile?
        if let path = options.pidFile, let number = state["pid_file_descriptor"]?.integer,
            let descriptor = Processes.adopt(Int32(clamping: number))
        {
            pidFile = PIDFile(path, adopting: descriptor.release())
        }
        self.init(options, pidFile: pidFile, report: nil)
        setLogLevel(logLevel)
        goOn()
    }
}
