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
/// Never unloaded.
public struct PluginLibrary: @unchecked Sendable {
    // Safe: `hello` points to memory that is never freed and no more written.
    public let path: String
    public let hello: UnsafePointer<sluice_plugin_hello>

    /// The first minor version whose libraries are still taken.
    static let leastMinor: UInt32 = 2
    /// Bytes of a library's file.
    public static let fileBytesMax = 268_435_456

    /// Loads a library from a private copy and shakes hands.
    ///
    /// The copy has a name that was never used before, because the dynamic linker answers a known
    /// name or inode with the old library, and because writing over a mapped file changes running
    /// code.
    ///
    /// - Parameters:
    ///   - path: the file.
    ///   - pin: its expected SHA-256 in lower-case hex, or nil.
    public init(path: String, pin: String?) throws(PluginError) {
        self.path = path
        let bytes = try Self.read(path)
        guard !File.isWorldWritable(path) else {
            throw PluginError("\(path): everybody may write this file; take that right away")
        }
        if let pin { try Self.check(SHA256.hexDigest(bytes), pin: pin, path: path) }
        guard bytes.starts(with: [0x7f, 0x45, 0x4c, 0x46]) else {
            throw PluginError("\(path): not a shared library (no ELF header)")
        }
        let library = try Self.open(bytes, path: path)
        guard let symbol = library.symbol(SLUICE_HELLO_SYMBOL) else {
            throw PluginError(
                "\(path): not a plugin of this host's ABI: it has no symbol \(SLUICE_HELLO_SYMBOL)"
            )
        }
        hello = try Self.shakeHands(symbol, path: path)
        try check()
    }

    private static func read(_ path: String) throws(PluginError) -> [UInt8] {
        do {
            return try File.readAll(path, bytesMax: fileBytesMax)
        } catch {
            throw PluginError("\(path): can't be read: \(error)")
        }
    }

    /// The SHA-256 of a library's file in lower-case hex.
    public static func sha256(of path: String) throws(PluginError) -> String {
        SHA256.hexDigest(try read(path))
    }

    /// Compares a file's digest with what the manifest wants.
    public static func check(
        _ sha256: String,
        pin: String,
        path: String
    ) throws(PluginError) {
        guard pin != sha256 else { return }
        throw PluginError("\(path): sha256 is \(sha256), the manifest wants \(pin)")
    }

    private static func open(
        _ bytes: [UInt8],
        path: String
    ) throws(PluginError) -> DynamicLibrary {
        let name = path.split(separator: "/").last.map(String.init) ?? "plugin.so"
        do {
            let folder = try File.makeTemporaryFolder(prefix: temporaryPrefix)
            defer { File.removeFolder(folder) }
            let copy = folder + "/" + name
            // Also after a failure halfway; a mapping outlives the name.
            defer { File.remove(copy) }
            try File.writeNew(copy, bytes, mode: 0o500)
            return try DynamicLibrary(path: copy)
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
        _ symbol: UnsafeMutableRawPointer,
        path: String
    ) throws(PluginError) -> UnsafePointer<sluice_plugin_hello> {
        typealias Hello =
            @convention(c) (
                UnsafePointer<sluice_host_hello>?, UnsafeMutablePointer<sluice_plugin_hello>?
            ) -> Int32
        // Safe: the symbol's name fixes its type (`hello.h`).
        let call = unsafeBitCast(symbol, to: Hello.self)
        let hello = UnsafeMutablePointer<sluice_plugin_hello>.allocate(capacity: 1)
        hello.initialize(to: sluice_plugin_hello())
        hello.pointee.size = UInt32(MemoryLayout<sluice_plugin_hello>.size)
        let result = call(HostTable.hello, hello)
        guard result == SLUICE_OK else {
            throw PluginError("\(path): the plugin refused this host (result \(result))")
        }
        return UnsafePointer(hello)
    }

    private func check() throws(PluginError) {
        let size = Int(hello.pointee.size)
        guard size == MemoryLayout<sluice_plugin_hello>.size else {
            throw PluginError(
                "\(path): size of sluice_plugin_hello is \(size), this host has "
                    + "\(MemoryLayout<sluice_plugin_hello>.size)"
            )
        }
        guard hello.pointee.abi_minor >= Self.leastMinor else {
            throw PluginError(
                "\(path): was built for plugin ABI \(SLUICE_ABI_MAJOR).\(hello.pointee.abi_minor), "
                    + "a draft; build it anew with this host's SDK"
            )
        }
        guard hello.pointee.abi_minor <= UInt32(SLUICE_ABI_MINOR) else {
            throw PluginError(
                "\(path): needs plugin ABI \(SLUICE_ABI_MAJOR).\(hello.pointee.abi_minor), this "
                    + "host has \(SLUICE_ABI_MAJOR).\(SLUICE_ABI_MINOR)"
            )
        }
        guard let factory = hello.pointee.factory,
            Int(factory.pointee.size) == MemoryLayout<sluice_factory>.size,
            factory.pointee.create != nil
        else { throw PluginError("\(path): no usable sluice_factory") }
        for name in Self.names(hello.pointee.required) {
            guard name.withCString({ HostTable.hello.pointee.get_extension($0) }) != nil else {
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
