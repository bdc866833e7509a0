/// Fixed-size elements of one type for one worker, taken and given back in constant time without
/// the heap once the worker is warm.
///
/// Memory grows by chunks up to a bound and is never given back: an element's address is valid for
/// the life of the slab, so a stale pointer reads a dead element and never foreign memory.
public struct Slab<Element: ~Copyable>: ~Copyable {
    @usableFromInline var free: UnsafeMutablePointer<Element>?
    @usableFromInline var chunks: [UnsafeMutableRawPointer] = []
    @usableFromInline let chunkCount: Int
    @usableFromInline let stride: Int
    @usableFromInline let countMax: Int
    @usableFromInline var allocated = 0
    @usableFromInline var inUseCount = 0

    /// Elements that are out.
    @inlinable public var inUse: Int { inUseCount }

    /// - Parameters:
    ///   - chunkCount: elements that the slab grows by.
    ///   - countMax: elements that it may have.
    ///   - stride: bytes of an element, at least its own; the rest follows it in memory.
    @inlinable
    public init(chunkCount: Int, countMax: Int, stride: Int = 0) {
        precondition(MemoryLayout<Element>.size >= MemoryLayout<UnsafeRawPointer>.size)
        self.chunkCount = chunkCount
        self.countMax = countMax
        self.stride = max(stride, MemoryLayout<Element>.stride)
    }

    @inlinable
    deinit {
        for chunk in chunks { chunk.deallocate() }
    }

    /// Memory of an element, not initialized; nil at the bound.
    @inlinable
    public mutating func take() -> UnsafeMutablePointer<Element>? {
        if free == nil { grow() }
        guard let element = free else { return nil }
        // Safe: a free element's first word links to the next.
        free = UnsafeRawPointer(element).load(as: UnsafeMutablePointer<Element>?.self)
        inUseCount &+= 1
        return element
    }

    /// Takes an element back; the caller has deinitialized it.
    @inlinable
    public mutating func give(_ element: UnsafeMutablePointer<Element>) {
        UnsafeMutableRawPointer(element).storeBytes(
            of: free,
            as: UnsafeMutablePointer<Element>?.self
        )
        free = element
        inUseCount &-= 1
    }

    @inlinable
    mutating func grow() {
        let count = min(chunkCount, countMax - allocated)
        guard count > 0 else { return }
        let chunk = UnsafeMutableRawPointer.allocate(byteCount: count * stride, alignment: 64)
        chunks.append(chunk)
        allocated += count
        for index in (0..<count).reversed() {
            let element = (chunk + index * stride).assumingMemoryBound(to: Element.self)
            UnsafeMutableRawPointer(element).storeBytes(
                of: free,
                as: UnsafeMutablePointer<Element>?.self
            )
            free = element
        }
    }
}
