import CLinux

/// A shared library in this process.
///
/// Most stay for the life of the process: unloading a library whose code the Swift runtime has seen
/// crashes later (docs/decisions/0003-plugins-stay-loaded.md).
public struct DynamicLibrary: @unchecked Sendable {
    // Safe: whoever closes it sees to it that nobody uses it any more.
    private let handle: UnsafeMutableRawPointer
    /// Some address in it, to look for later.
    private let address: UInt
    private let path: String

    /// Why a library was not loaded, in the words of the dynamic linker.
    public struct LoadError: Error, Sendable {
        public var text: String
    }

    /// Loads a library with all its symbols resolved and none offered to others.
    ///
    /// - Parameters:
    ///   - path: one that was never loaded before: the linker knows files by name.
    ///   - stays: false for a library that may be closed.
    public init(path: String, stays: Bool = true) throws(LoadError) {
        guard let handle = clinux_dlopen(path, stays ? 1 : 0) else {
            throw LoadError(text: dlerror().map { String(cString: $0) } ?? "dlopen failed")
        }
        self.handle = handle
        self.path = path
        address = UInt(bitPattern: clinux_library_address(handle))
    }

    /// Address of an exported symbol.
    public func symbol(_ name: String) -> UnsafeMutableRawPointer? {
        clinux_dlsym(handle, name)
    }

    /// Lets the linker unload it, once; no code and no data of it may be in use any more.
    ///
    /// The linker keeps one that was loaded to stay, and one in which a thread has a destructor to
    /// run.
    public func close() {
        _ = clinux_dlclose(handle)
    }

    /// Whether it is in memory.
    public var isMapped: Bool {
        clinux_is_in_library(UnsafeRawPointer(bitPattern: address), path) != 0
    }
}
