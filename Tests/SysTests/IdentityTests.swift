import Glibc
import Sys
import Testing

/// Becoming another user is tried end to end: a test can't come back from it.
struct IdentityTests {
    private func problem(user: String?, group: String?) -> String? {
        do throws(Identity.Failure) {
            _ = try Identity(user: user, group: group)
            return nil
        } catch {
            return error.text
        }
    }

    @Test
    func `names and numbers are looked up`() throws {
        let root = try Identity(user: "root", group: nil)
        #expect(root.user == 0 && root.group == 0)
        let nobody = try Identity(user: "nobody", group: "daemon")
        #expect(nobody.user == 65_534 && nobody.group == 1)
        let number = try Identity(user: "12345", group: nil)
        #expect(number.user == 12_345 && number.group == 12_345)
        let group = try Identity(user: nil, group: "54321")
        #expect(group.user == geteuid() && group.group == 54_321)
    }

    @Test
    func `what the process is already needs nothing`() throws {
        let same = try Identity(user: String(geteuid()), group: String(getegid()))
        #expect(same.isCurrent)
        try same.assume()
        #expect(try Identity(user: nil, group: nil).isCurrent)
    }

    @Test(arguments: ["no-such-user-here", "-1", "4294967295", "", "1.5"])
    func `an unknown user or group is named`(name: String) {
        #expect(
            problem(user: name, group: nil) == "user \(name): there is no user of this name"
        )
        #expect(
            problem(user: nil, group: name) == "group \(name): there is no group of this name"
        )
    }
}
