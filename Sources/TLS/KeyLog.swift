internal import Sys

/// The file that secrets of sessions go to when the manifest says so, for network analysers.
final class KeyLog: Sendable {
    private let file: AppendedFile

    /// Opens the file, for its owner only.
    init?(_ path: String, _ findings: inout Findings) {
        do throws(Errno) {
            file = try AppendedFile(path, mode: 0o600)
        } catch {
            findings.refuse(path, "the key log can't be opened: \(error.description)")
            return nil
        }
        if let version = FileVersion(path), version.mode & 0o077 != 0 {
            findings.refuse(path, "others may read or write the key log; chmod 600 it")
            return nil
        }
        findings.warn(path, "secrets of all connections are written here; for debugging only")
    }

    func write(_ line: UnsafePointer<CChar>) {
        file.append(Array(String(cString: line).utf8) + [UInt8(ascii: "\n")])
    }
}
