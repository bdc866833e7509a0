import Proxy

@testable import Server

/// Reads manifests from strings, against a machine on which only the named files exist.
struct ManifestFixture {
    var folder = "/etc/sluice"
    var folders: Set<String> = ["/etc/sluice", "/etc/sluice/plugins"]
    /// Libraries; nil is that every path ending in ".so" is one.
    var files: Set<String>?

    var surroundings: ManifestSurroundings {
        let folders = folders
        let files = files
        return ManifestSurroundings(executableFolder: "/usr/bin") { path in
            if folders.contains(path) { return .folder }
            return files.map { $0.contains(path) } ?? path.hasSuffix(".so") ? .file : .missing
        } read: { _, _ in
            .failed(reason: "this machine has no files")
        }
    }

    func parse(_ text: String) throws(ManifestFailure) -> ProxySettings {
        try Manifest.parse(Array(text.utf8), path: folder + "/sluice.json5", surroundings)
    }

    /// The problems as "path: message", without file and place.
    func problems(_ text: String) -> [String] {
        do throws(ManifestFailure) {
            _ = try parse(text)
            return []
        } catch {
            return error.problems.map { $0.path.isEmpty ? $0.message : "\($0.path): \($0.message)" }
        }
    }

    /// The complete lines.
    func lines(_ text: String) -> [String] {
        do throws(ManifestFailure) {
            _ = try parse(text)
            return []
        } catch {
            return error.lines
        }
    }
}

/// Texts of manifests that are good but for what a test puts into them.
enum Sample {
    /// A manifest with these members added to its only listener, plugin, upstream, route and to its
    /// top.
    static func manifest(
        top: String = "",
        listener: String = "",
        plugin: String = "",
        upstream: String = "",
        route: String = ""
    ) -> String {
        """
        {
          version: 1,
          listeners: [{ listen: "0.0.0.0:8080", \(listener) }],
          plugins: { one: { library: "libOne.so", \(plugin) }, two: { library: "libTwo.so" } },
          upstreams: { app: { peers: ["192.0.2.1:80"], \(upstream) } },
          routes: [{ upstream: "app", \(route) }],
          \(top)
        }
        """
    }
}
