internal import Admin
internal import Sys

/// What a supervisor hands to the program that takes its place, in a file in memory.
///
/// Descriptors keep their numbers; processes stay children, because the process number stays.
package struct ResumeState {
    /// The form of it: a program that takes up another one is not put in this one's place.
    package static let version = 1
    /// Bytes of the text.
    static let bytesMax = JSON.textBytesMax
}

extension Supervisor {
    /// The state of this supervisor, and the descriptors that it names.
    func resumeState() throws(Errno) -> (SharedDescriptor, [Int32]) {
        var writer = ResumeWriter()
        let json = writer.write(self)
        let file = try MemoryFile.holding(Array(json.text.utf8), name: "supervisor-state")
        return (file, writer.descriptors)
    }

    /// Takes the place of another supervisor of this process.
    ///
    /// - Parameter descriptor: of its state.
    /// - Throws: a line about what is wrong with the state.
    package convenience init(
        resuming descriptor: Int32,
        _ program: Program
    ) throws(ChannelError) {
        guard let owned = Processes.adopt(descriptor) else {
            throw ChannelError("descriptor \(descriptor) is no state of a supervisor")
        }
        let text: JSON
        do throws(Errno) {
            let bytes = try MemoryFile.bytes(
                of: SharedDescriptor(owned),
                bytesMax: ResumeState.bytesMax
            )
            text = (try? JSON.parse(bytes)) ?? .null
        } catch {
            throw ChannelError("the state of the supervisor: \(error.description)")
        }
        let reader = try ResumeReader(text)
        var program = program
        program.manifest = reader.manifest
        let service = Service(resuming: reader.service, logLevel: reader.logLevel)
        do throws(Errno) {
            try self.init(program, service, reader.lifecycle(program: program.path))
        } catch {
            throw ChannelError("the supervisor: \(error.description)")
        }
        peers = reader.peers
        sockets.entries = reader.sockets
        if let (place, socket) = reader.admin { admin.adopt(socket, at: place) }
    }

    /// Goes on where the other supervisor was; the code to exit with.
    package func resume() -> Int32 {
        run(.resumed)
    }
}
