import CSluice

/// What a body hook has written so far; `context` of `sluice_body_out`.
///
/// A run of the input that is passed on alone is not copied: `direct`. As soon as something else
/// comes it is.
struct BodyOutput {
    /// Bytes that one call may write.
    static let capacity = 327_680

    let buffer: UnsafeMutablePointer<UInt8>
    var count = 0
    var direct: UnsafePointer<UInt8>
    var directCount = 0
    let input: UnsafePointer<UInt8>
    let inputCount: Int

    init(buffer: UnsafeMutablePointer<UInt8>) {
        self.init(buffer: buffer, input: UnsafePointer(buffer), inputCount: 0)
    }

    init(
        buffer: UnsafeMutablePointer<UInt8>,
        input: UnsafePointer<UInt8>,
        inputCount: Int
    ) {
        self.buffer = buffer
        self.input = input
        self.inputCount = inputCount
        direct = input
    }

    private var room: Int { Self.capacity &- count &- directCount }

    /// Copies what was passed on, so that more can follow it.
    private mutating func flatten() {
        guard directCount > 0 else { return }
        buffer.update(from: direct, count: directCount)
        count = directCount
        directCount = 0
    }

    private mutating func append(_ bytes: UnsafePointer<UInt8>, _ length: Int) {
        flatten()
        (buffer + count).update(from: bytes, count: length)
        count &+= length
    }

    private mutating func pass(_ offset: Int, _ length: Int) {
        let bytes = input + offset
        if count == 0, directCount == 0 {
            direct = bytes
            directCount = length
        } else if count == 0, direct + directCount == bytes {
            directCount &+= length
        } else {
            append(bytes, length)
        }
    }

    // MARK: Functions of the table

    /// Runs a change of the output; the credit afterwards is what is left.
    private static func change(
        _ out: UnsafeMutablePointer<sluice_body_out>?,
        _ body: (UnsafeMutablePointer<BodyOutput>) -> Int32
    ) -> Int32 {
        guard let out, let memory = out.pointee.context else { return Int32(SLUICE_EINVAL) }
        // Safe: `fill` put it there.
        let state = memory.assumingMemoryBound(to: BodyOutput.self)
        let result = body(state)
        guard result == SLUICE_OK else { return result }
        out.pointee.replaces = 1
        out.pointee.credit = UInt64(state.pointee.room)
        return result
    }

    private static func push(
        _ out: UnsafeMutablePointer<sluice_body_out>?,
        _ bytes: UnsafePointer<UInt8>?,
        _ length: UInt64
    ) -> Int32 {
        change(out) { state in
            guard length <= UInt64(state.pointee.room) else { return Int32(SLUICE_EAGAIN) }
            guard length > 0 else { return Int32(SLUICE_OK) }
            guard let bytes else { return Int32(SLUICE_EINVAL) }
            state.pointee.append(bytes, Int(length))
            return Int32(SLUICE_OK)
        }
    }

    static func fill(
        _ out: UnsafeMutablePointer<sluice_body_out>,
        _ state: UnsafeMutablePointer<BodyOutput>
    ) {
        out.pointee.size = UInt32(MemoryLayout<sluice_body_out>.size)
        out.pointee.context = UnsafeMutableRawPointer(state)
        out.pointee.push = { out, bytes in BodyOutput.push(out, bytes.ptr, bytes.len) }
        out.pointee.push_buf = { out, buf in
            guard let buf else { return Int32(SLUICE_EINVAL) }
            guard let bytes = Buffers.bytes(of: buf) else { return Int32(SLUICE_OK) }
            return BodyOutput.push(out, bytes.bytes, UInt64(bytes.count))
        }
        out.pointee.pass = { out, offset, length in
            BodyOutput.change(out) { state in
                let count = UInt64(state.pointee.inputCount)
                guard offset <= count, length <= count - offset else {
                    return Int32(SLUICE_EINVAL)
                }
                guard length <= UInt64(state.pointee.room) else { return Int32(SLUICE_EAGAIN) }
                if length > 0 { state.pointee.pass(Int(offset), Int(length)) }
                return Int32(SLUICE_OK)
            }
        }
        out.pointee.reserve = { out, to, capacity in
            guard let to, let capacity else { return Int32(SLUICE_EINVAL) }
            return BodyOutput.change(out) { state in
                state.pointee.flatten()
                to.pointee = state.pointee.buffer + state.pointee.count
                capacity.pointee = UInt64(state.pointee.room)
                return Int32(SLUICE_OK)
            }
        }
        out.pointee.commit = { out, length in
            BodyOutput.change(out) { state in
                guard state.pointee.directCount == 0, length <= UInt64(state.pointee.room) else {
                    return Int32(SLUICE_EINVAL)
                }
                state.pointee.count &+= Int(length)
                return Int32(SLUICE_OK)
            }
        }
    }
}
