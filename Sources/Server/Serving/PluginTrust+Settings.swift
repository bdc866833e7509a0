internal import PluginHost
internal import Proxy
internal import TLS

extension PluginTrust {
    /// What the manifest says of libraries' files, with its keys read.
    ///
    /// - Parameter problems: gets a line for each key that can't be had; then nothing may be
    ///   loaded.
    init(_ settings: IntegritySettings, _ problems: inout [String]) {
        self.init(checksPermissions: settings.checksPermissions)
        digest = { Fingerprint.sha256($0) }
        guard let trusted = settings.trustedKeys else { return }
        var keys: [Ed25519Key] = []
        for (index, key) in trusted.enumerated() {
            do throws(TLSFailure) {
                switch key {
                case .bytes(let bytes): keys.append(try Ed25519Key(bytes: bytes))
                case .file(let path): keys.append(try Ed25519Key(file: path))
                }
            } catch {
                problems += error.lines.map { "trusted_keys[\(index)]: \($0)" }
            }
        }
        verify = { [keys] signature, bytes in keys.contains { $0.accepts(signature, of: bytes) } }
    }
}
