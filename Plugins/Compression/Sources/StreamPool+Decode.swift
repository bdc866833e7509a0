import CCompression
import SluiceSDK

/// How much may come out of a body.
struct DecodingLimits: BitwiseCopyable {
    /// Output that is never too much for its input, whatever the ratio: zeroes compress well.
    static let ratioFreeBytes: UInt64 = 65_536
    /// No limit at all.
    static let none = DecodingLimits(bytesMax: .max, ratioMax: .max)

    /// Bytes of output.
    var bytesMax: UInt64
    /// Bytes of output for each of the input, beyond the free ones.
    var ratioMax: UInt64

    /// Whether `output` is too much for `input`.
    func isBroken(_ input: UInt64, _ output: UInt64) -> Bool {
        if output > bytesMax { return true }
        guard ratioMax < .max, output > Self.ratioFreeBytes else { return false }
        let (allowed, overflows) = input.multipliedReportingOverflow(by: ratioMax)
        return !overflows && output - Self.ratioFreeBytes > allowed
    }
}

/// The decoders of one body: up to two, as the body was encoded twice.
struct Decoding: BitwiseCopyable {
    /// What the bytes come to first; nil when nothing is decoded.
    var first: StreamPointer?
    /// What the first one's output comes to.
    var second: StreamPointer?
}

extension StreamPool {
    /// Decodes as much as there is room for.
    ///
    /// - Returns: never `ended`: whether a body that is over was whole says `isWhole`.
    func decode(
        _ decoding: Decoding,
        _ input: Bytes,
        _ limits: DecodingLimits,
        _ room: UnsafeMutablePointer<UInt8>,
        _ capacity: Int
    ) -> Step {
        guard let first = decoding.first else { return Step(state: .failed) }
        guard let second = decoding.second else {
            return decodeStage(first, input, limits, room, capacity)
        }
        if first.pointee.between == nil {
            first.pointee.between = .allocate(capacity: Stream.betweenBytes)
        }
        guard let between = first.pointee.between else { return Step(state: .failed) }
        var step = Step()
        var isStarved = false
        while true {
            if first.pointee.betweenRange.isEmpty {
                let rest = input.dropFirst(step.consumed)
                let inner = decodeStage(first, rest, limits, between, Stream.betweenBytes)
                step.consumed += inner.consumed
                first.pointee.betweenRange = 0..<inner.produced
                guard inner.state == .done || inner.state == .wantsRoom else {
                    step.state = inner.state
                    return step
                }
                isStarved = inner.state == .done
            }
            let range = first.pointee.betweenRange
            let middle = Bytes(UnsafePointer(between) + range.lowerBound, count: range.count)
            let to = room + step.produced
            let outer = decodeStage(second, middle, limits, to, capacity - step.produced)
            first.pointee.betweenRange = range.lowerBound + outer.consumed..<range.upperBound
            step.produced += outer.produced
            step.state = outer.state
            guard outer.state == .done else { return step }
            if isStarved, first.pointee.betweenRange.isEmpty { return step }
            // What is left in between came with an earlier call: the first decoder goes on.
        }
    }

    /// Whether what was decoded ends where it may end.
    func isWhole(_ decoding: Decoding) -> Bool {
        decoding.first?.pointee.isBetween != false && decoding.second?.pointee.isBetween != false
    }

    /// Gives both decoders back.
    func give(_ decoding: inout Decoding) {
        if let first = decoding.first { give(first) }
        if let second = decoding.second { give(second) }
        decoding = Decoding()
    }

    /// One decoder, from the end of one gzip member or frame into the next.
    private func decodeStage(
        _ stream: StreamPointer,
        _ input: Bytes,
        _ limits: DecodingLimits,
        _ room: UnsafeMutablePointer<UInt8>,
        _ capacity: Int
    ) -> Step {
        var step = Step()
        while true {
            let rest = input.dropFirst(step.consumed)
            if stream.pointee.isBetween {
                step.state = .done
                if rest.isEmpty { return step }
                guard beginNext(stream) else {
                    step.state = .failed
                    return step
                }
            }
            // One byte more than is allowed shows that there is more.
            let left = limits.bytesMax &- stream.pointee.totalOut
            let space = min(capacity - step.produced, Int(clamping: left.addingClamped(1)))
            let run = decodeOnce(stream, rest, room + step.produced, space)
            step.consumed += run.consumed
            step.produced += run.produced
            stream.pointee.totalIn += UInt64(run.consumed)
            stream.pointee.totalOut += UInt64(run.produced)
            step.state = run.state
            if limits.isBroken(stream.pointee.totalIn, stream.pointee.totalOut) {
                step.state = .tooLarge
                return step
            }
            guard run.state == .ended else { return step }
            stream.pointee.isBetween = true
        }
    }

    /// Gets ready for another gzip member (RFC 1952 §2.2) or frame (RFC 8878 §3.1); false for
    /// formats in which nothing may follow.
    private func beginNext(_ stream: StreamPointer) -> Bool {
        stream.pointee.isBetween = false
        switch stream.pointee.coding {
        case .gzip:
            let state = stream.pointee.zlib
            return libraries.zlib.map { Int($0.inflate_reset(state)) == COMPRESSION_Z_OK } ?? false
        case .zstandard: return true
        case .deflate, .brotli: return false
        }
    }

    private func decodeOnce(
        _ stream: StreamPointer,
        _ input: Bytes,
        _ room: UnsafeMutablePointer<UInt8>,
        _ capacity: Int
    ) -> Step {
        switch stream.pointee.coding {
        case .gzip, .deflate: inflate(stream, input, room, capacity)
        case .brotli: decodeBrotli(stream, input, room, capacity)
        case .zstandard: decodeZstandard(stream, input, room, capacity)
        }
    }

    private func inflate(
        _ stream: StreamPointer,
        _ input: Bytes,
        _ room: UnsafeMutablePointer<UInt8>,
        _ capacity: Int
    ) -> Step {
        guard let zlib = libraries.zlib else { return Step(state: .failed) }
        let state = stream.pointee.zlib
        let (count, space) = (UInt32(clamping: input.count), UInt32(clamping: capacity))
        state.pointee.next_in = input.start
        state.pointee.avail_in = count
        state.pointee.next_out = room
        state.pointee.avail_out = space
        let result = Int(zlib.inflate(state, Int32(COMPRESSION_Z_NO_FLUSH)))
        var step = Step()
        step.consumed = Int(count - state.pointee.avail_in)
        step.produced = Int(space - state.pointee.avail_out)
        switch result {
        case COMPRESSION_Z_STREAM_END: step.state = .ended
        // No progress is no error: there was nothing to do.
        case COMPRESSION_Z_OK, COMPRESSION_Z_BUF_ERROR:
            step.state = state.pointee.avail_out == 0 ? .wantsRoom : .done
        default: step.state = .failed
        }
        return step
    }

    private func decodeBrotli(
        _ stream: StreamPointer,
        _ input: Bytes,
        _ room: UnsafeMutablePointer<UInt8>,
        _ capacity: Int
    ) -> Step {
        guard let brotli = libraries.brotli, let decoder = stream.pointee.handle else {
            return Step(state: .failed)
        }
        var (availableIn, availableOut) = (input.count, capacity)
        var nextIn: UnsafePointer<UInt8>? = input.start
        var nextOut: UnsafeMutablePointer<UInt8>? = room
        let result = Int(
            brotli.decoder_run(decoder, &availableIn, &nextIn, &availableOut, &nextOut, nil)
        )
        var step = Step()
        step.consumed = input.count - availableIn
        step.produced = capacity - availableOut
        switch result {
        case COMPRESSION_BROTLI_SUCCESS: step.state = .ended
        case COMPRESSION_BROTLI_NEEDS_INPUT: step.state = .done
        case COMPRESSION_BROTLI_NEEDS_OUTPUT: step.state = .wantsRoom
        default: step.state = .failed
        }
        return step
    }

    private func decodeZstandard(
        _ stream: StreamPointer,
        _ input: Bytes,
        _ room: UnsafeMutablePointer<UInt8>,
        _ capacity: Int
    ) -> Step {
        guard let library = libraries.zstandard, let decoder = stream.pointee.handle else {
            return Step(state: .failed)
        }
        var source = compression_zstd_in(start: input.start, size: input.count, position: 0)
        var target = compression_zstd_out(start: room, size: capacity, position: 0)
        var step = Step()
        while true {
            let before = (source.position, target.position)
            let left = library.decoder_run(decoder, &target, &source)
            step.consumed = source.position
            step.produced = target.position
            if library.is_error(left) != 0 {
                step.state = .failed
            } else if left == 0 {
                step.state = .ended
            } else if target.position == target.size {
                step.state = .wantsRoom
            } else if source.position < source.size, before != (source.position, target.position) {
                continue
            } else {
                step.state = source.position < source.size ? .failed : .done
            }
            return step
        }
    }
}

extension UInt64 {
    /// The sum, or the greatest number where it doesn't fit.
    fileprivate func addingClamped(_ other: UInt64) -> UInt64 {
        let (sum, overflows) = addingReportingOverflow(other)
        return overflows ? .max : sum
    }
}
