import Synchronization

/// A member that keeps a plugin where it is: `private let inPlace = InPlace()`.
///
/// A call of a hook borrows the plugin. The compiler may do that by copying it, byte for byte, for
/// each call, which costs a plugin of 1 KiB some 110 instructions; what has an atomic in it can't
/// be copied, and is lent by its address. Worth it from some hundred bytes on.
public struct InPlace: ~Copyable, Sendable {
    private let word = Atomic<UInt8>(0)

    /// One for each instance.
    public init() {}
}
