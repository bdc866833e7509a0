public import CSluice
import Sys

/// Why a plugin was not loaded or made; one line that names the file or the instance.
public struct PluginError: Error, Sendable, Equatable, CustomStringConvertible {
    public var description: String

    public init(_ description: String) {
        self.description = description
    }
}

/// A loaded library and what it said in the handshake.
///
/// Unloaded only by `ImageRegistry.sweep`, after which nothing of it may be used.
public struct PluginLibrary: @unchecked Sendable {
    // Safe: `hello` points to memory that is never freed and no more written.
    public let path: String
    public let hello: UnsafePointer<sluice_plugin_hello>
    /// SHA-256 of the file, in lower-case hex; empty for a plugin that is linked.
    public let sha256: String
    /// Nil of a plugin that is linked into this process.
    public let image: PluginImage?
    /// What a crash in it is laid to; instances add their name.
    let label: CrashLabel

    /// Loads a library from a private copy and shakes hands.
    ///
    /// The copy has a name that was never used before, because the dynamic linker answers a known
    /// name or inode with the old library, and because writing over a mapped file changes running
    /// code.
    ///
    /// - Parameters:
    ///   - mayUnload: whether its memory may be given back when the file has nothing against it.
    ///   - generation: of the configuration that it is loaded for.
    ///   - willShakeHands: called when it is loaded, and none of its functions was called yet.
    public init(
        _ file: PluginFile,
        mayUnload: Bool = false,
        generation: UInt64 = 1,
        willShakeHands: () -> Void = {}
    ) throws(PluginError) {
        path = file.path
        sha256 = file.sha256
        let label = Self.label(path: path, sha256: sha256)
        let stays = !mayUnload || !file.unloadObstacles.isEmpty
        let library = try Self.open(file.bytes, path: path, label, stays: stays)
        image = ImageRegistry.shared.add(
            file,
            library,
            mayUnload: mayUnload,
            generation: generation
        )
        willShakeHands()
        guard let symbol = library.symbol(SLUICE_HELLO_SYMBOL) else {
            throw PluginError(
                "\(path): not a plugin of this host's ABI: it has no symbol \(SLUICE_HELLO_SYMBOL)"
            )
        }
        // Safe: the symbol's name fixes its type (`hello.h`).
        hello = try Self.shakeHands(unsafeBitCast(symbol, to: Hello.self), path: path, label)
        try Self.check(hello, path: path)
        self.label = Self.label(path: path, sha256: sha256, hello)
    }

    /// The function that a library exports as `sluice_plugin_hello_v0`.
    public typealias Hello =
        @convention(c) (
            UnsafePointer<sluice_host_hello>?, UnsafeMutablePointer<sluice_plugin_hello>?
        ) -> Int32

    /// Shakes hands with a plugin that is linked into this process, as in a test.
    ///
    /// - Parameter name: in place of the path, for messages.
    public init(linked hello: Hello, name: String) throws(PluginError) {
        path = name
        image = nil
        sha256 = ""
        let label = Self.label(path: name, sha256: "")
        self.hello = try Self.shakeHands(hello, path: name, label)
        try Self.check(self.hello, path: name)
        self.label = Self.label(path: name, sha256: "", self.hello)
    }

    /// Reads a file and loads it; see `PluginFile.init`.
    public init(path: String, pin: String?) throws(PluginError) {
        try self.init(try PluginFile(path: path, pin: pin))
    }

    /// What a crash before there is an instance is laid to.
    private static func label(path: String, sha256: String) -> UnsafePointer<CrashLabel> {
        let label = UnsafeMutablePointer<CrashLabel>.allocate(capacity: 1)
        label.initialize(to: CrashLabel(name: "", library: path, sha256: sha256, version: ""))
        return UnsafePointer(label)
    }

    private static func label(
        path: String,
        sha256: String,
        _ hello: UnsafePointer<sluice_plugin_hello>
    ) -> CrashLabel {
        CrashLabel(name: "", library: path, sha256: sha256, version: hello.pointee.version.text)
    }

    private static func open(
        _ bytes: [UInt8],
        path: String,
        _ label: UnsafePointer<CrashLabel>,
        stays: Bool
    ) throws(PluginError) -> DynamicLibrary {
        let name = path.split(separator: "/").last.map(String.init) ?? "plugin.so"
        do {
            let folder = try File.makeTemporaryFolder(prefix: temporaryPrefix)
            defer { File.removeFolder(folder) }
            let copy = folder + "/" + name
            // Also after a failure halfway; a mapping outlives the name.
            defer { File.remove(copy) }
            try File.writeNew(copy, bytes, mode: 0o500)
            let library = Breadcrumb.mark(.load, of: label) {
                Result { () throws(DynamicLibrary.LoadError) in
                    try DynamicLibrary(path: copy, stays: stays)
                }
            }
            // A runtime in the library may have taken them.
            CrashRecord.takeSignals(CrashRecord.layout)
            return try library.get()
        } catch let error as DynamicLibrary.LoadError {
            throw PluginError("\(path): \(error.text)")
        } catch {
            throw PluginError("\(path): no private copy could be made: \(error)")
        }
    }

    /// Where private copies are made: under TMPDIR when set, else /tmp.
    private static var temporaryPrefix: String {
        let folder = Process.environment("TMPDIR") ?? "/tmp"
        return (folder.isEmpty ? "/tmp" : folder) + "/sluice-plugin-"
    }

    private static func shakeHands(
        _ call: Hello,
        path: String,
        _ label: UnsafePointer<CrashLabel>
    ) throws(PluginError) -> UnsafePointer<sluice_plugin_hello> {
        let hello = UnsafeMutablePointer<sluice_plugin_hello>.allocate(capacity: 1)
        hello.initialize(to: sluice_plugin_hello())
        hello.pointee.size = UInt32(MemoryLayout<sluice_plugin_hello>.size)
        let result = Breadcrumb.mark(.hello, of: label) { call(HostTable.hello, hello) }
        guard result == SLUICE_OK else {
            throw PluginError("\(path): the plugin refused this host (result \(result))")
        }
        return UnsafePointer(hello)
    }

    private static func check(
        _ hello: UnsafePointer<sluice_plugin_hello>,
        path: String
    ) throws(PluginError) {
        let size = Int(hello.pointee.size)
        guard size == MemoryLayout<sluice_plugin_hello>.size else {
            throw PluginError(
                "\(path): size of sluice_plugin_hello is \(size), this host has "
                    + "\(MemoryLayout<sluice_plugin_hello>.size)"
            )
        }
        let abi = (UInt32(SLUICE_ABI_MAJOR), hello.pointee.abi_minor)
        if let complaint = HostTable.complaint(aboutABI: abi.0, abi.1) {
            throw PluginError("\(path): \(complaint)")
        }
        guard let factory = hello.pointee.factory,
            Int(factory.pointee.size) == MemoryLayout<sluice_factory>.size,
            factory.pointee.create != nil
        else { throw PluginError("\(path): no usable sluice_factory") }
        for name in names(hello.pointee.required) {
            if name == SLUICE_METRICS_ID { Metrics.expectReader() }
            guard HostTable.offers(name) else {
                throw PluginError("\(path): needs \(name), which this host does not offer")
            }
        }
    }

    /// The strings of a NULL-terminated list.
    public static func names(
        _ list: UnsafePointer<UnsafePointer<CChar>?>?
    ) -> [String] {
        var names: [String] = []
        guard var next = list else { return [] }
        while let name = next.pointee {
            names.append(String(cString: name))
            next += 1
        }
        return names
    }

    /// What the library says of itself, as text.
    public struct Facts {
        public var id: String
        public var version: String
        public var description: String
        /// The least ABI that it works with.
        public var abi: String
        public var roles: [String]
        public var required: [String]
        public var hooks: [String]
    }

    public var facts: Facts {
        let names = Phase.names
        let mask = hello.pointee.hooks_mask
        return Facts(
            id: hello.pointee.id.text,
            version: hello.pointee.version.text,
            description: hello.pointee.description.text,
            abi: "\(SLUICE_ABI_MAJOR).\(hello.pointee.abi_minor)",
            roles: Self.names(hello.pointee.roles),
            required: Self.names(hello.pointee.required),
            hooks: names.indices.filter { mask & (1 << UInt64($0)) != 0 }.map { names[$0] }
        )
    }
}
