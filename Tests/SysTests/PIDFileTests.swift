import Glibc
import Sys
import Testing

struct PIDFileTests {
    private let folder: TemporaryFolder
    private let path: String

    init() throws {
        folder = try TemporaryFolder()
        path = folder.path + "/sluice.pid"
    }

    private func text() -> String? {
        File.read(path, bytesMax: 100).map { String(decoding: $0, as: UTF8.self) }
    }

    private func failure() -> PIDFile.Failure? {
        do throws(PIDFile.Failure) {
            _ = try PIDFile.take(path)
            return nil
        } catch {
            return error
        }
    }

    @Test
    func `the file has the number, everybody may read it, and it goes at the end`() throws {
        let old = umask(0o077)
        defer { umask(old) }
        let file = try PIDFile.take(path)
        #expect(text() == "\(getpid())\n")
        #expect(FileVersion(path)?.mode == 0o100_644)
        #expect(File.entries(folder.path) == ["sluice.pid"])
        file.remove()
        #expect(File.entries(folder.path) == [])
    }

    @Test
    func `a second one is refused with the number of the first`() throws {
        let file = try PIDFile.take(path)
        #expect(failure() == .taken(getpid()))
        #expect(text() == "\(getpid())\n")
        #expect(File.entries(folder.path) == ["sluice.pid"])
        file.remove()
        #expect(failure() == nil)
    }

    @Test(arguments: ["1\n", "", "no number", String(repeating: "1", count: 100)])
    func `a file that nobody holds is replaced`(left: String) throws {
        try File.writeNew(path, Array(left.utf8), mode: 0o600)
        let file = try PIDFile.take(path)
        #expect(text() == "\(getpid())\n")
        file.remove()
    }

    @Test
    func `the lock outlives the one who asks, and who replaced the file keeps it`() throws {
        let file = try PIDFile.take(path)
        unlink(path)
        let other = try PIDFile.take(path)
        // The file is another's by now.
        file.remove()
        #expect(text() == "\(getpid())\n")
        #expect(failure() == .taken(getpid()))
        other.remove()
    }

    @Test
    func `the file moves over an execve`() throws {
        let file = try PIDFile.take(path)
        let adopted = PIDFile(path, adopting: dup(file.number))
        #expect(failure() == .taken(getpid()))
        adopted.remove()
        #expect(!File.exists(path))
        file.remove()
    }

    @Test
    func `what can't be made is an error`() throws {
        let none = folder.path + "/none/sluice.pid"
        #expect(throws: PIDFile.Failure.failed(Errno(ENOENT))) { _ = try PIDFile.take(none) }
        try File.makeFolder(path)
        defer { rmdir(path) }
        #expect(failure() == .failed(Errno(EISDIR)))
        #expect(File.entries(folder.path) == ["sluice.pid"])
    }

    @Test
    func `a link is refused`() throws {
        #expect(symlink("/dev/null", path) == 0)
        defer { unlink(path) }
        #expect(failure() == .failed(Errno(ELOOP)))
    }
}
