import CSluiceEngine
import Engine
import PluginHost
import Proxy
import Server
import Sys

/// What `open` was given, as values.
struct Opening {
    private let manifest: [UInt8]
    private let folder: String
    private let views: HookProbe.Views
    private let versions: EndVersions
    private let linked: [String: PluginLibrary.Hello]

    init(_ options: sluice_engine_options) throws(PluginError) {
        let text = UnsafeBufferPointer(
            start: options.manifest.ptr,
            count: Int(options.manifest.len)
        )
        manifest = Array(text)
        folder = options.folder.len == 0 ? "." : options.folder.text
        switch Int(options.views) {
        case SLUICE_ENGINE_VIEWS_KEPT: views = .kept
        case SLUICE_ENGINE_VIEWS_POISONED: views = .poisoned
        case SLUICE_ENGINE_VIEWS_FORBIDDEN: views = .forbidden
        default: throw PluginError("views: \(options.views) is none of SLUICE_ENGINE_VIEWS_*")
        }
        versions = EndVersions(
            client: try Self.version(options.client_version, "client_version"),
            origin: try Self.version(options.origin_version, "origin_version")
        )
        var linked: [String: PluginLibrary.Hello] = [:]
        for index in 0..<Int(options.linked_count) {
            guard let entry = options.linked?[index], let hello = entry.hello else {
                throw PluginError("linked[\(index)]: no function")
            }
            linked[entry.path.text] = hello
        }
        self.linked = linked
    }

    private static func version(
        _ number: UInt32,
        _ name: StaticString
    ) throws(PluginError) -> EndVersion {
        guard let version = EndVersion(rawValue: number) else {
            throw PluginError("\(name): \(number) is none of SLUICE_ENGINE_HTTP*")
        }
        return version
    }

    func open() throws(PluginError) -> TestEngine {
        let settings = try settings()
        return try TestEngine(settings, views: views, versions: versions) {
            () throws(PluginError) in
            var libraries: [String: PluginLibrary] = [:]
            for (path, hello) in linked {
                libraries[path] = try PluginLibrary(linked: hello, name: path)
            }
            let result = PluginLoader.load(
                settings,
                folder: folder,
                workerCount: 1,
                linked: libraries
            )
            guard result.problems.isEmpty else {
                for instance in result.instances { instance.destroy() }
                throw PluginError(result.problems.joined(separator: "\n"))
            }
            return result.instances
        }
    }

    private func settings() throws(PluginError) -> ProxySettings {
        var surroundings = ManifestSurroundings.process
        let (kind, paths) = (surroundings.kind, Set(linked.keys))
        surroundings.kind = { paths.contains($0) ? .file : kind($0) }
        do throws(ManifestFailure) {
            var settings = try Manifest.parse(manifest, path: folder + "/manifest", surroundings)
            // Libraries under test are where builds put them.
            settings.integrity.checksPermissions = false
            return settings
        } catch {
            throw PluginError(error.lines.joined(separator: "\n"))
        }
    }
}
