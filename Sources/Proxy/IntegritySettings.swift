/// Which libraries are taken, and what becomes of their memory.
package struct IntegritySettings: Sendable, Equatable {
    /// Whether a library is refused that others than root and the process's user could change.
    package var checksPermissions = true
    /// Whose signature every library must have, one of them; nil asks for none.
    package var trustedKeys: [TrustedKey]?
    package var probe = ProbeTime.changes
    /// Milliseconds that the first load of a library may take.
    package var probeTimeout = 10_000
    /// Images in memory that nobody uses, after which a process asks to be replaced; 0 is never.
    package var retiredImagesMax = 100

    package init() {}

    /// Whether the same files are taken by other settings.
    package func isTrust(of other: IntegritySettings) -> Bool {
        checksPermissions == other.checksPermissions && trustedKeys == other.trustedKeys
    }
}

/// An Ed25519 key that signs libraries.
package enum TrustedKey: Sendable, Equatable {
    /// Its 32 bytes.
    case bytes([UInt8])
    /// A file with the key in PEM form.
    case file(String)
}

/// When a library is loaded in a process of its own first.
package enum ProbeTime: String, Sendable, Equatable, CaseIterable {
    /// Also when the process starts.
    case always
    /// When it comes to a process that serves: by a reload or a swap.
    case changes
    case off
}

/// What becomes of a library's memory when nobody uses it any more.
package enum UnloadRule: String, Sendable, Equatable, CaseIterable {
    /// It stays until the process ends.
    case never
    /// It is given back if the file has nothing that speaks against it.
    case whenSafe = "when_safe"
}
