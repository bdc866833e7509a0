internal import Proxy

extension AdminSettings: Defaulted {
    static var defaults: Self { AdminSettings(address: "") }
}

/// `admin` of the manifest.
extension Table where Root == AdminSettings {
    static let admin = Table(
        "admin",
        at: "admin",
        keys: [
            Key(
                required: "listen",
                \.address,
                .address(for: .listener),
                "`\"unix:/run/sluice/admin.sock\"`, which only the user of the process and root"
                    + " can use, or an address of TCP such as `\"127.0.0.1:9000\"`, which needs"
                    + " `token_file`."
            ),
            Key(
                "token_file",
                \.tokenFile,
                .absent(.path),
                "File of the token that clients of TCP must show: 16 to 512 characters, and nobody"
                    + " but the file's owner may have rights to it."
            ),
            Key(
                "page",
                \.page,
                .absent(.words([("on", true), ("off", false)])),
                "Whether browsers get a page at `/` that shows what `sluice top` does. Absent: on a"
                    + " Unix socket and on addresses of the loopback."
            ),
        ],
        check: { node, settings, reader in
            guard !settings.address.isEmpty else { return }
            let tokenFile = node.member("token_file")
            if settings.isUnix, let tokenFile {
                reader.inside(.key("token_file")) {
                    $0.report(
                        "a Unix socket takes no token: the kernel says who the client is",
                        at: tokenFile
                    )
                }
            }
            if !settings.isUnix, tokenFile == nil {
                reader.inside(.key("token_file")) {
                    $0.report("this key is missing; over TCP a token is needed", at: node)
                }
            }
        }
    )
}

extension Manifest {
    /// Reads where the admin interface of a manifest is, and nothing else of it: whoever serves it
    /// must be within reach also while the file is being changed.
    ///
    /// - Returns: nil when the manifest has none.
    /// - Throws: what is wrong with the file, its syntax, or `admin`.
    static func readAdmin(
        _ path: String,
        _ surroundings: ManifestSurroundings
    ) throws(ManifestFailure) -> AdminSettings? {
        let bytes = try text(of: path, surroundings)
        return try read(bytes, path: path, surroundings) { root, reader in
            var settings: AdminSettings?
            let members = reader.members(of: root, expected: "an object") ?? []
            guard let node = members.first(where: { $0.key == "admin" })?.value else { return nil }
            reader.inside(.key("admin")) { reader in
                var admin = AdminSettings.defaults
                Table.admin.read(node, into: &admin, &reader)
                settings = admin
            }
            return settings
        }
    }
}
