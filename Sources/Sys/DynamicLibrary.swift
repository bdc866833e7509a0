import CLinux

/// A shared library that stays loaded for the life of the process.
///
/// Never closed: unloading a library whose code the Swift runtime has seen crashes later
/// (docs/decisions/0003-plugins-stay-loaded.md).
public struct DynamicLibrary: @unchecked Sendable {
    // Safe: the handle of a library that is never closed.
    private let handle: UnsafeMutableRawPointer

    /// Why a library was not loaded, in the words of the dynamic linker.
    public struct LoadError: Error, Sendable {
        public var text: String
    }

    /// Loads a library with all its symbols resolved and none offered to others.
    ///
    /// - Parameter path: one that was never loaded before: the linker knows files by name.
    public init(path: String) throws(LoadError) {
        guard let handle = clinux_dlopen(path) else {
            throw LoadError(text: dlerror().map { String(cString: $0) } ?? "dlopen failed")
        }
        self.handle = handle
    }

    /// Address of an exported symbol.
    public func symbol(_ name: String) -> UnsafeMutableRawPointer? {
        clinux_dlsym(handle, name)
    }
}
