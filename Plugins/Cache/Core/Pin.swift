/// An object of the cache that somebody reads: it stays as it is until this goes out of scope,
/// whatever becomes of it in the cache.
///
/// It may even outlive the cache.
@frozen
public struct Pin: ~Copyable, @unchecked Sendable {
    // Safe: what an object is does not change while there is a reference, which any thread may give
    // up.
    private let address: UnsafeMutableRawPointer

    /// Takes over a reference.
    @inline(__always)
    init(_ node: Node.Pointer) { address = UnsafeMutableRawPointer(node) }

    var node: Node.Pointer {
        // Safe: only addresses of nodes get there.
        address.assumingMemoryBound(to: Node.self)
    }

    deinit { node.release() }

    /// The key: valid as long as the pin.
    public var key: UnsafeRawBufferPointer { node.key }

    /// The hash that came with the key.
    public var hash: UInt64 { node.object.pointee.hash }

    /// Bytes of the value's first block: valid as long as the pin.
    public var bytes: UnsafeRawBufferPointer {
        guard let value = node.object.pointee.value else {
            preconditionFailure("a node without a value")
        }
        return ByteBlock.bytes(opaque: value)
    }

    /// A reference of its own to the value.
    public var value: ByteBlock {
        guard let value = node.object.pointee.value else {
            preconditionFailure("a node without a value")
        }
        let held = ByteBlock(opaque: value)
        let copy = held.copy()
        // The object keeps its reference.
        _ = held.toOpaque()
        return copy
    }

    /// Another pin of the same object.
    public func copy() -> Pin {
        node.retainHeld()
        return Pin(node)
    }

    /// The pin as an address, for C; `init(opaque:)` takes it back.
    public consuming func toOpaque() -> UnsafeMutableRawPointer {
        let address = address
        discard self
        return address
    }

    /// Takes over the pin that `toOpaque` gave.
    public init(opaque: UnsafeMutableRawPointer) {
        address = opaque
    }
}
