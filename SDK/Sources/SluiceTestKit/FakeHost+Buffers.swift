import CSluice

/// What the host keeps of a buffer, in its reserved words.
private final class BufferRecord {
    let host: FakeHost
    var references = 1
    let block: UnsafeMutableRawPointer?
    let byteCount: Int
    let whole: UnsafeMutablePointer<sluice_buf>?
    let free: (@convention(c) (UnsafeMutableRawPointer?) -> Void)?
    let context: UnsafeMutableRawPointer?

    init(
        _ host: FakeHost,
        block: UnsafeMutableRawPointer? = nil,
        byteCount: Int = 0,
        whole: UnsafeMutablePointer<sluice_buf>? = nil,
        free: (@convention(c) (UnsafeMutableRawPointer?) -> Void)? = nil,
        context: UnsafeMutableRawPointer? = nil
    ) {
        self.host = host
        self.block = block
        self.byteCount = byteCount
        self.whole = whole
        self.free = free
        self.context = context
    }

    /// The buffer's struct; the record lives until the last reference is gone.
    func make(
        _ data: UnsafeMutablePointer<UInt8>?,
        length: Int,
        capacity: Int
    ) -> UnsafeMutablePointer<sluice_buf> {
        let buffer = UnsafeMutablePointer<sluice_buf>.allocate(capacity: 1)
        buffer.initialize(to: sluice_buf())
        buffer.pointee.data = data
        buffer.pointee.len = UInt64(length)
        buffer.pointee.capacity = UInt64(capacity)
        buffer.pointee.reserved.0 = UInt64(
            UInt(bitPattern: Unmanaged.passRetained(self).toOpaque())
        )
        locked {
            host.liveBuffers += 1
            host.bufferBytes += byteCount
        }
        return buffer
    }

    static func of(_ buffer: UnsafeMutablePointer<sluice_buf>) -> BufferRecord {
        guard let pointer = UnsafeRawPointer(bitPattern: UInt(buffer.pointee.reserved.0)) else {
            preconditionFailure("no buffer of the host's, or one that is gone")
        }
        return Unmanaged<BufferRecord>.fromOpaque(pointer).takeUnretainedValue()
    }
}

extension FakeHost {
    static let bufferBytesMax = 16 << 20

    static func addBuffers(to core: inout sluice_core) {
        core.buf_new = { FakeHost.of($0).makeBuffer($1) }
        core.buf_wrap = { host, bytes, free, context in
            let record = BufferRecord(FakeHost.of(host), free: free, context: context)
            let data = UnsafeMutablePointer(mutating: bytes.ptr)
            return record.make(data, length: Int(bytes.len), capacity: 0)
        }
        core.buf_slice = { buffer, offset, length in
            guard let buffer, offset <= buffer.pointee.len,
                length <= buffer.pointee.len - offset
            else { return nil }
            let record = BufferRecord.of(buffer)
            locked { record.references += 1 }
            let data = buffer.pointee.data.map { $0 + Int(offset) }
            return BufferRecord(record.host, whole: buffer)
                .make(data, length: Int(length), capacity: 0)
        }
        core.buf_retain = { buffer in
            guard let buffer else { return }
            locked { BufferRecord.of(buffer).references += 1 }
        }
        core.buf_release = { FakeHost.release($0) }
    }

    private func makeBuffer(_ capacity: UInt64) -> UnsafeMutablePointer<sluice_buf>? {
        let isTaken = locked { bufferBytes + Int(capacity) <= bufferBudget }
        guard capacity > 0, capacity <= UInt64(Self.bufferBytesMax), isTaken else { return nil }
        let count = Int(capacity)
        let block = UnsafeMutableRawPointer.allocate(byteCount: count, alignment: 16)
        let data = block.initializeMemory(as: UInt8.self, repeating: 0xA5, count: count)
        return BufferRecord(self, block: block, byteCount: count)
            .make(data, length: 0, capacity: count)
    }

    private static func release(_ buffer: UnsafeMutablePointer<sluice_buf>?) {
        guard let buffer else { return }
        let record = BufferRecord.of(buffer)
        let isLast = locked {
            record.references -= 1
            guard record.references == 0 else { return false }
            record.host.liveBuffers -= 1
            record.host.bufferBytes -= record.byteCount
            return true
        }
        guard isLast else { return }
        buffer.pointee.reserved.0 = 0
        record.block?.deallocate()
        record.free?(record.context)
        let whole = record.whole
        Unmanaged.passUnretained(record).release()
        buffer.deallocate()
        release(whole)
    }
}
