public import CSluice

/// Memory that is freed all at once, with the object.
public final class Arena {
    private var blocks: [UnsafeMutableRawBufferPointer] = []
    /// Bytes that were asked for.
    public private(set) var byteCount = 0

    /// No memory yet.
    public init() {}

    deinit {
        for block in blocks { block.deallocate() }
    }

    /// Fills all of it with 0xDD, so that a pointer into it that somebody kept shows.
    func poison() {
        for block in blocks { block.initializeMemory(as: UInt8.self, repeating: 0xDD) }
    }

    /// `count` times a trivial value.
    public func allocate<Value>(_ value: Value, count: Int) -> UnsafeMutablePointer<Value> {
        let raw = allocate(byteCount: MemoryLayout<Value>.stride * max(count, 1))
        let typed = raw.bindMemory(to: Value.self, capacity: max(count, 1))
        typed.initialize(repeating: value, count: max(count, 1))
        return typed
    }

    /// Bytes, 16-byte aligned, filled with 0xA5 so that nobody relies on zeros.
    public func allocate(byteCount: Int) -> UnsafeMutableRawPointer {
        let block = UnsafeMutableRawPointer.allocate(byteCount: max(byteCount, 1), alignment: 16)
        block.initializeMemory(as: UInt8.self, repeating: 0xA5, count: max(byteCount, 1))
        blocks.append(UnsafeMutableRawBufferPointer(start: block, count: max(byteCount, 1)))
        self.byteCount += byteCount
        return block
    }

    /// A copy of bytes.
    func copy(_ slice: sluice_slice) -> sluice_slice {
        self.slice(UnsafeBufferPointer(start: slice.ptr, count: Int(slice.len)))
    }

    /// A copy of bytes.
    func slice(_ bytes: some Collection<UInt8>) -> sluice_slice {
        guard !bytes.isEmpty else { return sluice_slice(ptr: nil, len: 0) }
        let place = allocate(UInt8(0), count: bytes.count)
        for (index, byte) in bytes.enumerated() { place[index] = byte }
        return sluice_slice(ptr: UnsafePointer(place), len: UInt64(bytes.count))
    }

    /// A copy of a text.
    public func slice(_ text: String) -> sluice_slice {
        slice(text.utf8)
    }
}

extension String {
    /// The text of a slice.
    public init(_ slice: sluice_slice) {
        let bytes = UnsafeBufferPointer(start: slice.ptr, count: Int(slice.len))
        self.init(decoding: bytes, as: UTF8.self)
    }
}
