import Glibc
import Sys
import Testing

@testable import PluginHost

struct PathGuardTests {
    private let outer: TemporaryFolder
    private let folder: String
    private let path: String

    init() throws {
        outer = try TemporaryFolder()
        folder = outer.path + "/folder"
        path = folder + "/lib.so"
        try File.makeFolder(folder)
        try File.writeNew(path, [1], mode: 0o600)
        #expect(chmod(folder, 0o755) == 0)
    }

    /// The complaint with names in place of paths; nil when there is none.
    private func complaint(
        about path: String? = nil,
        user: UInt32 = Process.effectiveUser,
        executable: String = "/none/exe"
    ) -> String? {
        let found = PathGuard(user: user, executable: executable)
            .complaint(about: path ?? self.path)
        return found.map { text in
            var out = ""
            var rest = text[...]
            while !rest.isEmpty {
                if rest.hasPrefix(outer.path) {
                    out += "OUT"
                    rest = rest.dropFirst(outer.path.count)
                } else {
                    out.append(rest.removeFirst())
                }
            }
            return out
        }
    }

    private func set(_ path: String, _ mode: UInt32) { #expect(chmod(path, mode) == 0) }

    @Test(arguments: [0o400, 0o644, 0o755, 0o4755] as [UInt32])
    func `what only its owner may write is good`(mode: UInt32) {
        set(path, mode)
        #expect(complaint() == nil)
    }

    @Test(arguments: [(0o602, "0602"), (0o777, "0777"), (0o1666, "01666")])
    func `a file that everybody may write`(mode: UInt32, text: String) {
        set(path, mode)
        let line =
            "OUT/folder/lib.so: everybody may write it (mode \(text)); chmod go-w "
            + "OUT/folder/lib.so"
        #expect(complaint() == line)
    }

    @Test
    func `a folder that everybody may write, near and far`() {
        set(folder, 0o777)
        #expect(
            complaint()
                == "the folder OUT/folder: everybody may write it (mode 0777); chmod go-w "
                + "OUT/folder"
        )
        set(folder, 0o755)
        set(outer.path, 0o757)
        #expect(
            complaint() == "the folder OUT: everybody may write it (mode 0757); chmod go-w OUT"
        )
        // The executable is below it too.
        #expect(complaint(executable: outer.path + "/bin/exe") == nil)
        set(folder, 0o777)
        #expect(complaint(executable: folder + "/exe")?.contains("OUT/folder: everybody") == true)
        set(outer.path, 0o700)
    }

    @Test
    func `a sticky folder will do on the way, not for the file`() {
        set(outer.path, 0o1777)
        #expect(complaint() == nil)
        set(outer.path, 0o700)
        set(folder, 0o1777)
        #expect(
            complaint()
                == "the folder OUT/folder: others may put files into it (mode 01777); move the "
                + "library to a folder of its own"
        )
    }

    @Test
    func `a group that is the owner's own is nobody else`() throws {
        // Only root may give files away.
        try #require(Process.effectiveUser == 0)
        set(path, 0o664)
        set(folder, 0o775)
        #expect(complaint() == nil)
        #expect(chown(path, 1000, 1000) == 0)
        #expect(complaint(user: 1000) == nil)
        #expect(chown(path, 1000, 50) == 0)
        #expect(
            complaint(user: 1000)
                == "OUT/folder/lib.so: group 50 may write it (mode 0664); chmod g-w "
                + "OUT/folder/lib.so"
        )
        set(path, 0o644)
        #expect(complaint(user: 1000) == nil)
        #expect(chown(folder, 0, 50) == 0)
        #expect(
            complaint(user: 1000)
                == "the folder OUT/folder: group 50 may write it (mode 0775); chmod g-w OUT/folder"
        )
    }

    @Test
    func `an owner that is neither root nor the user`() throws {
        try #require(Process.effectiveUser == 0)
        let who = ": belongs to user 1001, who is neither root nor the user of this process (0); "
        #expect(chown(path, 1001, 0) == 0)
        #expect(complaint() == "OUT/folder/lib.so\(who)chown root OUT/folder/lib.so")
        #expect(complaint(user: 1001) == nil)
        #expect(chown(path, 0, 0) == 0 && chown(folder, 1001, 0) == 0)
        #expect(complaint() == "the folder OUT/folder\(who)chown root OUT/folder")
        #expect(chown(folder, 0, 0) == 0 && chown(outer.path, 1001, 0) == 0)
        #expect(complaint() == "the folder OUT\(who)chown root OUT")
        #expect(chown(outer.path, 0, 0) == 0)
    }

    @Test
    func `links are followed, and their folders looked at`() throws {
        let link = outer.path + "/link"
        #expect(symlink("folder/../folder/./lib.so", link) == 0)
        #expect(complaint(about: link) == nil)
        set(folder, 0o777)
        #expect(complaint(about: link)?.hasPrefix("the folder OUT/folder: everybody") == true)
        set(folder, 0o755)
        let far = folder + "/far"
        #expect(symlink(path, far) == 0)
        #expect(complaint(about: far) == nil)
        // Who may write the link's folder leads it elsewhere.
        let open = outer.path + "/open"
        try File.makeFolder(open)
        set(open, 0o777)
        #expect(symlink(path, open + "/lib.so") == 0)
        #expect(
            complaint(about: open + "/lib.so")?.hasPrefix("the folder OUT/open: everybody") == true
        )
        File.remove(open + "/lib.so")
        File.removeFolder(open)
        File.remove(far)
        File.remove(link)
    }

    @Test
    func `links that go round are no path`() {
        let link = outer.path + "/round"
        #expect(symlink("round", link) == 0)
        #expect(complaint(about: link) == "OUT/round: more than 40 links")
        File.remove(link)
    }

    @Test
    func `what is not there is no complaint`() {
        #expect(complaint(about: folder + "/none") == nil)
        #expect(complaint(about: folder) == nil)
    }

    @Test
    func `a relative path begins in the current folder`() {
        #expect(PathGuard(user: 4_000_000, executable: "/").complaint(about: "x") == nil)
    }
}
