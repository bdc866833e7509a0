internal import PluginHost
internal import Proxy

/// Keys at the top of the manifest that say which libraries are taken.
extension Table where Root == ProxySettings {
    static let integrityKeys: [Key<ProxySettings>] = [
        Key(
            "plugin_permissions",
            \.integrity.checksPermissions,
            .words([("strict", true), ("off", false)]),
            "`\"strict\"` refuses a library when others than root and the user of the process"
                + " could change it: by its own mode or owner, or by those of a folder on the way"
                + " to it ([the rules](plugin-integrity.md#permissions)). `\"off\"` looks at none."
        ),
        Key(
            "trusted_keys",
            \.integrity.trustedKeys,
            .absent(.list(of: .trustedKey, 1...ManifestLimits.trustedKeysMax)),
            "Ed25519 keys, each `\"ed25519:BASE64\"` or a PEM file. With them, every library must"
                + " have a signature by one of them in a file beside it, `libX.so.sig`"
                + " ([how to sign](plugin-integrity.md#signatures))."
        ),
        Key(
            "plugin_probe",
            \.integrity.probe,
            .words(ProbeTime.allCases.map { ($0.rawValue, $0) }),
            "When a library that this process has not tried is first loaded in a short-lived"
                + " process of its own: before a reload or a swap (`\"changes\"`), also before the"
                + " process serves (`\"always\"`), or not at all."
        ),
        Key(
            "probe_timeout",
            \.integrity.probeTimeout,
            .duration(100...600_000),
            "How long that may take before the library is refused."
        ),
        Key(
            "max_retired_images",
            \.integrity.retiredImagesMax,
            .orNone(.integer(0...65_536)),
            "Libraries that are still in memory though nobody uses them, over which the process"
                + " asks to be replaced by a new one. `\"none\"` never does."
        ),
    ]
}

extension ValueKind where Value == TrustedKey {
    private static var prefix: String { "ed25519:" }

    /// A key in place, or the path of its file.
    static let trustedKey = ValueKind.parsed(
        .init("key", expected: "\"ed25519:BASE64\" or the path of a PEM file")
    ) { text, reader throws(Complaint) in
        guard text.hasPrefix(prefix) else {
            guard !text.isEmpty, !text.utf8.contains(0) else { throw Complaint("not a file name") }
            return .file(ManifestPath.resolve(text, in: reader.folder))
        }
        guard let bytes = Base64.bytes(Array(text.utf8.dropFirst(prefix.utf8.count))),
            bytes.count == 32
        else { throw Complaint("\(quote(text)) is not an Ed25519 key: 32 bytes in base64") }
        return .bytes(bytes)
    }
}
