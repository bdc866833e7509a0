import CSluice
import Synchronization
import Sys

/// The file of a library: read once, so that what was checked is what runs.
public struct PluginFile: Sendable {
    public let path: String
    /// The whole file, as it was read once.
    public let bytes: [UInt8]
    private let digest: Digest

    /// SHA-256 of the bytes, worked out when it is first asked for: of 10 MB that takes a while.
    private final class Digest: Sendable {
        private let text = Mutex<String?>(nil)
        private let make: @Sendable ([UInt8]) -> String

        init(_ make: @escaping @Sendable ([UInt8]) -> String) { self.make = make }

        func of(_ bytes: [UInt8]) -> String {
            text.withLock { text in
                if let text { return text }
                let made = make(bytes)
                text = made
                return made
            }
        }
    }

    /// Bytes of a library's file.
    public static let bytesMax = 268_435_456

    /// Reads a file and checks what can be checked from outside.
    ///
    /// - Parameters:
    ///   - path: the file.
    ///   - pin: its expected SHA-256 in lower-case hex, or nil.
    ///   - trust: what else must hold of the file.
    public init(path: String, pin: String?, trust: PluginTrust = .any) throws(PluginError) {
        self.path = path
        digest = Digest(trust.digest)
        if trust.checksPermissions, let complaint = Self.complaint(aboutPermissionsOf: path) {
            throw PluginError(complaint)
        }
        guard File.isFile(path) || File.isFolder(path) || !File.exists(path) else {
            throw PluginError("\(path): not a file that can be read")
        }
        do {
            bytes = try File.readAll(path, bytesMax: Self.bytesMax)
        } catch {
            throw PluginError("\(path): can't be read: \(error)")
        }
        if let pin { try check(pin: pin) }
        if let verify = trust.verify { try checkSignature(verify) }
        let refusal = Self.refusal(of: bytes, allowsSharedRuntime: Self.allowsSharedRuntime)
        if let refusal { throw PluginError("\(path): \(refusal)") }
    }

    /// Takes bytes that another process has read and checked.
    ///
    /// - Parameter sha256: theirs, as that process has found it.
    public init(path: String, bytes: [UInt8], sha256: String) {
        self.path = path
        self.bytes = bytes
        digest = Digest { _ in sha256 }
    }

    /// The SHA-256 of the whole file, in lower-case hex.
    public var sha256: String { digest.of(bytes) }

    /// Compares the file's digest with what the manifest wants.
    public func check(pin: String) throws(PluginError) {
        try Self.check(sha256, of: path, pin: pin)
    }

    /// Compares the digest of a file with what the manifest wants.
    public static func check(
        _ sha256: String,
        of path: String,
        pin: String
    ) throws(PluginError) {
        guard pin != sha256 else { return }
        throw PluginError("\(path): sha256 is \(sha256), the manifest wants \(pin)")
    }

    /// The JSON of the library's descriptor (`descriptor.h`), without the NULs behind it.
    ///
    /// Nil when it has none.
    public func descriptor() throws(PluginError) -> [UInt8]? {
        do throws(ELFFile.Malformed) {
            return try Self.descriptor(in: bytes)
        } catch {
            throw PluginError("\(path): \(error)")
        }
    }

    static func descriptor(in bytes: [UInt8]) throws(ELFFile.Malformed) -> [UInt8]? {
        let sections = try ELFFile(bytes).sections(named: SLUICE_DESCRIPTOR_SECTION)
        guard let section = sections.first else { return nil }
        let padding = section.reversed().prefix { $0 == 0 }.count
        let text = section.dropLast(padding)
        // The linker joins sections of one name; behind each descriptor stands a NUL.
        guard sections.count == 1, !text.contains(0) else {
            throw ELFFile.Malformed("more than one descriptor; declare it once in a library")
        }
        guard !text.isEmpty else {
            throw ELFFile.Malformed("the section \(SLUICE_DESCRIPTOR_SECTION) is empty")
        }
        guard text.count <= Int(SLUICE_DESCRIPTOR_BYTES_MAX) else {
            throw ELFFile.Malformed(
                "a descriptor of \(text.count) bytes; at most "
                    + "\(SLUICE_DESCRIPTOR_BYTES_MAX) are read"
            )
        }
        return Array(text)
    }
}
