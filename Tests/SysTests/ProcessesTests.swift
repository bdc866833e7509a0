import Glibc
import Sys
import Testing

struct ProcessesTests {
    /// Runs a script with a file as its descriptor 3, and gives what it wrote there.
    private static func shell(_ script: String, more: [Int32] = []) throws -> String {
        let file = try MemoryFile.holding([], name: "test")
        let process = try Processes.start(
            "/bin/sh",
            ["-c", script],
            descriptors: [file.number] + more
        )
        // Not `reap`: other tests wait for children of their own.
        var status: Int32 = 0
        #expect(waitpid(process, &status, 0) == process)
        #expect(status == 0)
        return String(decoding: try MemoryFile.bytes(of: file, bytesMax: 4_096), as: UTF8.self)
    }

    @Test func `a program gets the descriptors from 3 on, and no others`() throws {
        let (here, there) = try DescriptorPassing.pair()
        let open = try Self.shell("ls /proc/self/fd >&3", more: [here.number, there.number])
        // One more is of `ls` itself, which reads the folder.
        #expect(
            open.split(separator: "\n").map(String.init).prefix(6) == [
                "0", "1", "2", "3", "4", "5",
            ]
        )
        #expect(open.split(separator: "\n").count == 7)
    }

    @Test func `it has no input, and no signal is blocked or ignored`() throws {
        let told = try Self.shell("cat; grep -E 'Sig(Blk|Ign)' /proc/self/status >&3")
        let masks = told.split { $0 == "\t" || $0 == "\n" }.compactMap { UInt64($0, radix: 16) }
        // The C library keeps signals 32 and 33 for itself.
        #expect(masks.map { $0 & 0x7fff_ffff } == [0, 0])
    }

    @Test func `a program that is not there is an error`() {
        #expect(throws: Errno(ENOENT)) {
            _ = try Processes.start("/no/such/program", [], descriptors: [])
        }
    }

    @Test func `becoming a program that is not there changes nothing`() throws {
        let file = try MemoryFile.holding([], name: "test")
        let problem = Processes.become("/no/such/program", [], keeping: [file.number])
        #expect(problem == Errno(ENOENT))
        #expect(fcntl(file.number, F_GETFD) & FD_CLOEXEC != 0)
    }

    @Test func `a descriptor that was not passed on can't be adopted`() {
        let isThere = Processes.adopt(1_000_000) != nil
        #expect(!isThere)
    }

    @Test func `what is readable is told apart from what is not`() throws {
        let (here, there) = try DescriptorPassing.pair()
        #expect(Poll.readable([here.number, there.number], milliseconds: 0) == [false, false])
        try DescriptorPassing.send(here.number, [1], [], waits: false)
        #expect(Poll.readable([here.number, there.number], milliseconds: -1) == [false, true])
    }

    @Test func `endings have names`() {
        #expect(ChildProcess.Ending.signalName(SIGSEGV) == "SIGSEGV")
        #expect(ChildProcess.Ending.signalName(99) == "signal 99")
    }
}
