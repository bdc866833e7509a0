import Glibc
import Sys
import Testing

struct FileTests {
    private let folder: TemporaryFolder
    private let path: String

    init() throws {
        folder = try TemporaryFolder()
        path = folder.path + "/file"
    }

    @Test(arguments: [0, 1, 65_535, 65_536, 65_537, 200_000])
    func `a file is read up to its bound`(count: Int) throws {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
        try File.writeNew(path, bytes, mode: 0o600)
        #expect(try File.readAll(path, bytesMax: count) == bytes)
        #expect(try File.readAll(path, bytesMax: count + 1) == bytes)
        #expect(File.read(path, bytesMax: count) == bytes)
        guard count > 0 else { return }
        #expect(throws: Errno(EFBIG)) { try File.readAll(path, bytesMax: count - 1) }
        #expect(File.read(path, bytesMax: count - 1) == nil)
    }

    @Test(
        arguments: [
            (0o600, false), (0o400, false), (0o610, true), (0o640, true), (0o602, true),
            (0o601, true),
        ] as [(UInt32, Bool)]
    )
    func `a file is read with its mode`(wanted: UInt32, isOpen: Bool) throws {
        try File.writeNew(path, [1, 2], mode: 0o600)
        #expect(chmod(path, wanted) == 0)
        let (bytes, version) = try File.readWithVersion(path, bytesMax: 2)
        #expect(bytes == [1, 2])
        #expect(version == FileVersion(path))
        #expect(version.mode & 0o7777 == wanted)
        #expect(version.isOpenToOthers == isOpen)
    }

    @Test
    func `what can't be read is an error`() {
        #expect(throws: Errno(ENOENT)) { try File.readAll(path, bytesMax: 1) }
        #expect(throws: Errno(EISDIR)) { try File.readAll(folder.path, bytesMax: 1) }
        #expect(File.read(path, bytesMax: 1) == nil)
    }

    @Test
    func `an ordinary file is told from other things, also through a link`() throws {
        #expect(!File.isFile(path))
        try File.writeNew(path, [], mode: 0o600)
        #expect(File.isFile(path) && !File.isFolder(path))
        #expect(symlink(path, path + "-link") == 0)
        #expect(File.isFile(path + "-link"))
        #expect(!File.isFile(folder.path) && File.isFolder(folder.path))
        #expect(mkfifo(path + "-pipe", 0o600) == 0)
        #expect(!File.isFile(path + "-pipe") && File.exists(path + "-pipe"))
    }

    @Test
    func `a folder is made once`() throws {
        try File.makeFolder(path)
        defer { File.removeFolder(path) }
        #expect(File.isFolder(path))
        #expect(throws: Errno(EEXIST)) { try File.makeFolder(path) }
        #expect(throws: Errno(ENOENT)) { try File.makeFolder(path + "/a/b") }
    }

    @Test
    func `a path from the root has no links`() throws {
        try File.writeNew(path, [], mode: 0o600)
        #expect(symlink(path, path + "-link") == 0)
        let real = try #require(File.absolute(path))
        #expect(real.hasPrefix("/") && real.hasSuffix("/file"))
        #expect(File.absolute(path + "-link") == real)
        #expect(File.absolute(folder.path + "/../x/nothing") == nil)
    }

    @Test
    func `an existing file is never written over`() throws {
        try File.writeNew(path, [1], mode: 0o400)
        #expect(throws: Errno(EEXIST)) { try File.writeNew(path, [2], mode: 0o400) }
        #expect(File.read(path, bytesMax: 1) == [1])
        File.remove(path)
        #expect(symlink("/dev/null", path) == 0)
        #expect(throws: Errno(EEXIST)) { try File.writeNew(path, [2], mode: 0o400) }
    }

    @Test
    func `a link is told from what it leads to`() throws {
        #expect(symlink("/tmp", path) == 0)
        #expect(File.linkTarget(path) == "/tmp")
        #expect(File.linkTarget("/tmp") == nil)
        #expect(FileVersion(path)?.kind == .folder)
        let link = FileVersion(path, followsLinks: false)
        #expect(link?.kind == .link && link?.owner == Process.effectiveUser)
        #expect(FileVersion("/dev/null")?.kind == .other)
        #expect(FileVersion(path + ".none") == nil)
    }

    @Test
    func `a temporary folder is this user's alone`() {
        #expect(mode(of: folder.path) == 0o700)
        #expect(File.isFolder(folder.path))
        #expect(!File.isFolder(path))
        #expect(throws: Errno(ENOENT)) {
            try File.makeTemporaryFolder(prefix: folder.path + "/none/x")
        }
    }

    @Test
    func `entries are sorted, without the folder itself`() throws {
        for name in ["b", "a", ".c"] {
            try File.writeNew(folder.path + "/" + name, [], mode: 0o600)
        }
        #expect(File.entries(folder.path) == [".c", "a", "b"])
        #expect(File.entries(path) == nil)
        #expect(File.exists(folder.path + "/a"))
        File.remove(folder.path + "/a")
        #expect(!File.exists(folder.path + "/a"))
    }

    @Test
    func `a text is written whole`() throws {
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        File.write("some text", to: ends[1])
        Syscall.close(ends[1])
        #expect(receiveAll(ends[0]) == Array("some text".utf8))
        Syscall.close(ends[0])
        File.write("lost", to: ends[1])
    }

    private func receiveAll(_ fd: Int32) -> [UInt8] {
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 64)
        while case let got = read(fd, &block, block.count), got > 0 { bytes += block[..<got] }
        return bytes
    }
}
