import HTTP

/// A chunked body after it went through the decoder.
struct Decoded: Equatable {
    var outcome: ChunkedDecoder.Outcome
    var data: [UInt8]
    /// Input bytes used in all pieces.
    var consumed: Int
}

/// Decodes a body cut into pieces at the given offsets.
func decode(_ bytes: [UInt8], cutAt cuts: [Int] = []) -> Decoded {
    var decoder = ChunkedDecoder()
    var decoded = Decoded(outcome: .more, data: [], consumed: 0)
    for (start, end) in zip([0] + cuts, cuts + [bytes.count]) {
        let count = end - start
        let block = UnsafeMutablePointer<UInt8>.allocate(capacity: max(count, 1))
        defer { block.deallocate() }
        for index in 0..<count { block[index] = bytes[start + index] }
        var consumed = 0
        var dataStart = 0
        var dataCount = 0
        decoded.outcome = decoder.decode(
            block,
            count: count,
            consumed: &consumed,
            dataStart: &dataStart,
            dataCount: &dataCount
        )
        precondition(dataStart >= 0 && dataStart + dataCount <= count, "data beyond the piece")
        decoded.data += (dataStart..<dataStart + dataCount).map { block[$0] }
        decoded.consumed += consumed
        if decoded.outcome != .more { return decoded }
        precondition(consumed == count, "more wanted, but \(consumed) of \(count) bytes used")
    }
    return decoded
}

func decode(_ text: String, cutAt cuts: [Int] = []) -> Decoded {
    decode(latin1(text), cutAt: cuts)
}

/// Decodes a body byte by byte.
func decodeByteByByte(_ bytes: [UInt8]) -> Decoded {
    decode(bytes, cutAt: Array(stride(from: 1, to: bytes.count, by: 1)))
}
