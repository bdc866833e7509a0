import CLinux
import Glibc

/// Whom the process becomes once it need not be root any more.
public struct Identity: Sendable, Equatable {
    public let user: UInt32
    public let group: UInt32
    /// The user's name, whose supplementary groups it gets; nil for a number without a name.
    let name: String?

    /// Why it cannot be had, in one line.
    public struct Failure: Error, Equatable, Sendable {
        public let text: String
    }

    /// Looks names up.
    ///
    /// - Parameters:
    ///   - user: a name, or a number; nil leaves the user as it is.
    ///   - group: a name, or a number; nil is the group of the user.
    public init(user: String?, group: String?) throws(Failure) {
        var foundGroup = clinux_effective_group()
        if let user {
            (self.user, foundGroup, name) = try Self.find(user: user)
        } else {
            self.user = clinux_effective_user()
            name = nil
        }
        self.group =
            try group.map { text throws(Failure) in try Self.find(group: text) }
            ?? foundGroup
    }

    private static func find(
        user text: String
    ) throws(Failure) -> (user: UInt32, group: UInt32, name: String?) {
        var (user, group): (UInt32, UInt32) = (0, 0)
        let result = clinux_find_user(text, &user, &group)
        if result == 0 { return (user, group, text) }
        if result < 0 {
            throw Failure(text: "user \(text): \(Errno(Int32(truncatingIfNeeded: -result)))")
        }
        // All bits set means "leave it" to the kernel.
        guard let number = UInt32(text), number != .max else {
            throw Failure(text: "user \(text): there is no user of this name")
        }
        return (number, number, nil)
    }

    private static func find(group text: String) throws(Failure) -> UInt32 {
        var group: UInt32 = 0
        let result = clinux_find_group(text, &group)
        if result == 0 { return group }
        if result < 0 {
            throw Failure(text: "group \(text): \(Errno(Int32(truncatingIfNeeded: -result)))")
        }
        guard let number = UInt32(text), number != .max else {
            throw Failure(text: "group \(text): there is no group of this name")
        }
        return number
    }

    /// Whether the process is that already.
    public var isCurrent: Bool {
        clinux_effective_user() == user && clinux_effective_group() == group
    }

    /// Becomes this user and group for good.
    ///
    /// Of root's capabilities only the one to bind ports below 1,024 is kept, also over an
    /// `execve`, if the process had it: a reload or an upgrade may have to bind again. The process
    /// must have one thread: capabilities belong to threads.
    public func assume() throws(Failure) {
        if isCurrent { return }
        let keeps = user != 0 && clinux_may_bind_low_ports() != 0
        try step("its groups", Int(clinux_set_groups(name, group)))
        try step("its group", Int(clinux_set_group(group)))
        if keeps { try step("the right to bind", Int(clinux_keep_capabilities(1))) }
        try step("its user", Int(clinux_set_user(user)))
        if keeps {
            try step("the right to bind", Int(clinux_keep_low_ports_only()))
            try step("the right to bind", Int(clinux_keep_capabilities(0)))
        }
        guard user != 0 else { return }
        try step("no new privileges", Int(clinux_no_new_privileges()))
        guard clinux_set_user(0) < 0 else {
            throw Failure(text: "user \(label): root could be had again")
        }
    }

    private var label: String { name ?? String(user) }

    private func step(_ what: String, _ result: Int) throws(Failure) {
        guard result < 0 else { return }
        let error = Errno(Int32(truncatingIfNeeded: -result))
        let hint = error.code == EPERM ? "; only root may become another user" : ""
        throw Failure(text: "user \(label): \(what) can't be taken: \(error)\(hint)")
    }

    /// Whether the process is root.
    public static var isRoot: Bool { clinux_effective_user() == 0 }

    /// Gives away every right that the process does not need to serve, for good: all capabilities
    /// (those of root are left to root), and new ones that a program could bring.
    ///
    /// The process must have one thread.
    public static func renounce() throws(Errno) {
        if !isRoot { _ = try Errno.check(Int(clinux_drop_capabilities())) }
        _ = try Errno.check(Int(clinux_no_new_privileges()))
    }
}

extension PeerCredentials {
    /// Whether it may tell this process what to do: the same user, or root.
    public var isTrusted: Bool { user == 0 || user == clinux_effective_user() }
}
