import CSluice
import Glibc

extension PluginFixture {
    /// Why a library was not opened.
    public struct NotOpened: Error, Equatable {
        /// What the dynamic linker said.
        public let line: String
    }

    /// Makes an instance of a library that was built, through the symbol that it exports.
    ///
    /// The same tests then run against the struct and against what is shipped. The library is
    /// opened in the test's own process, and stays there.
    ///
    /// - Parameters:
    ///   - path: of the shared library.
    ///   - configuration: an object.
    ///   - host: the host that the instance sees.
    ///   - workers: how many the host has.
    /// - Throws: `NotOpened`, or `Refused` when the library or the configuration is.
    public convenience init(
        library path: String,
        _ configuration: TestValue = .object([:]),
        host: FakeHost = FakeHost(),
        workers: Int = 1
    ) throws {
        // A name without a slash would be looked for in the system's folders.
        let path = path.contains("/") ? path : "./" + path
        guard let library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE),
            let symbol = dlsym(library, SLUICE_HELLO_SYMBOL)
        else {
            throw NotOpened(line: dlerror().map { String(cString: $0) } ?? path)
        }
        // Safe: the symbol's name carries the version of its type.
        let hello = unsafeBitCast(symbol, to: sluice_plugin_hello_fn.self)
        try self.init(hello: { hello($0, $1) }, configuration, host: host, workers: workers)
    }

    /// The path of a library that SwiftPM built beside the test's executable.
    ///
    /// - Parameter product: as in Package.swift: "Greeter" for libGreeter.so.
    public static func libraryPath(_ product: String) -> String {
        var path = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &path, path.count)
        let executable = path.prefix(max(count, 0)).map { UInt8(bitPattern: $0) }
        let folder = executable.prefix((executable.lastIndex(of: 0x2F) ?? -1) + 1)
        return String(decoding: folder, as: UTF8.self) + "lib\(product).so"
    }
}
