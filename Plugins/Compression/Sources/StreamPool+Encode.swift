import CCompression
import SluiceSDK

extension StreamPool {
    /// Encodes as much as there is room for.
    ///
    /// While it says `wantsRoom` it is called again, with the rest of the input and the same
    /// operation.
    ///
    /// - Parameters:
    ///   - room: memory of `capacity` bytes, 16 or more: with fewer than 7, zlib can't know that it
    ///     has flushed, and does it again and again.
    func encode(
        _ stream: StreamPointer,
        _ input: Bytes,
        _ operation: EncoderOperation,
        _ room: UnsafeMutablePointer<UInt8>,
        _ capacity: Int
    ) -> Step {
        let step =
            switch stream.pointee.coding {
            case .gzip, .deflate: deflate(stream, input, operation, room, capacity)
            case .brotli: encodeBrotli(stream, input, operation, room, capacity)
            case .zstandard: encodeZstandard(stream, input, operation, room, capacity)
            }
        stream.pointee.totalIn += UInt64(step.consumed)
        stream.pointee.totalOut += UInt64(step.produced)
        return step
    }

    private func deflate(
        _ stream: StreamPointer,
        _ input: Bytes,
        _ operation: EncoderOperation,
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
        let flush: Int
        switch operation {
        case .process: flush = COMPRESSION_Z_NO_FLUSH
        case .flush: flush = COMPRESSION_Z_SYNC_FLUSH
        case .finish: flush = COMPRESSION_Z_FINISH
        }
        let result = Int(zlib.deflate(state, Int32(flush)))
        let isFull = state.pointee.avail_out == 0
        let isEmpty = state.pointee.avail_in == 0
        var step = Step()
        step.consumed = Int(count - state.pointee.avail_in)
        step.produced = Int(space - state.pointee.avail_out)
        switch (result, operation) {
        case (COMPRESSION_Z_STREAM_END, _): step.state = .done
        // No progress is no error: there was nothing to do.
        case (COMPRESSION_Z_OK, .process), (COMPRESSION_Z_BUF_ERROR, .process):
            step.state = isEmpty ? .done : isFull ? .wantsRoom : .failed
        case (COMPRESSION_Z_OK, .flush), (COMPRESSION_Z_BUF_ERROR, .flush):
            step.state = isFull ? .wantsRoom : isEmpty ? .done : .failed
        case (COMPRESSION_Z_OK, .finish), (COMPRESSION_Z_BUF_ERROR, .finish):
            step.state = isFull ? .wantsRoom : .failed
        default: step.state = .failed
        }
        return step
    }

    private func encodeBrotli(
        _ stream: StreamPointer,
        _ input: Bytes,
        _ operation: EncoderOperation,
        _ room: UnsafeMutablePointer<UInt8>,
        _ capacity: Int
    ) -> Step {
        guard let brotli = libraries.brotli, let encoder = stream.pointee.handle else {
            return Step(state: .failed)
        }
        let number: Int
        switch operation {
        case .process: number = COMPRESSION_BROTLI_PROCESS
        case .flush: number = COMPRESSION_BROTLI_FLUSH
        case .finish: number = COMPRESSION_BROTLI_FINISH
        }
        var (availableIn, availableOut) = (input.count, capacity)
        var nextIn: UnsafePointer<UInt8>? = input.start
        var nextOut: UnsafeMutablePointer<UInt8>? = room
        var step = Step()
        repeat {
            let result = brotli.encoder_run(
                encoder,
                Int32(number),
                &availableIn,
                &nextIn,
                &availableOut,
                &nextOut,
                nil
            )
            guard result != 0 else {
                step.state = .failed
                break
            }
            let hasMore = brotli.encoder_has_more(encoder) != 0
            let isOver =
                availableIn == 0 && !hasMore
                && (operation != .finish || brotli.encoder_is_finished(encoder) != 0)
            step.state = isOver ? .done : .wantsRoom
        } while step.state == .wantsRoom && availableOut > 0
        step.consumed = input.count - availableIn
        step.produced = capacity - availableOut
        return step
    }

    private func encodeZstandard(
        _ stream: StreamPointer,
        _ input: Bytes,
        _ operation: EncoderOperation,
        _ room: UnsafeMutablePointer<UInt8>,
        _ capacity: Int
    ) -> Step {
        guard let library = libraries.zstandard, let encoder = stream.pointee.handle else {
            return Step(state: .failed)
        }
        let directive: Int
        switch operation {
        case .process: directive = COMPRESSION_ZSTD_CONTINUE
        case .flush: directive = COMPRESSION_ZSTD_FLUSH
        case .finish: directive = COMPRESSION_ZSTD_END
        }
        var source = compression_zstd_in(start: input.start, size: input.count, position: 0)
        var target = compression_zstd_out(start: room, size: capacity, position: 0)
        var step = Step()
        repeat {
            let left = library.encoder_run(encoder, &target, &source, Int32(directive))
            guard library.is_error(left) == 0 else {
                step.state = .failed
                break
            }
            let isTaken = source.position == source.size
            step.state = isTaken && (operation == .process || left == 0) ? .done : .wantsRoom
        } while step.state == .wantsRoom && target.position < target.size
        step.consumed = source.position
        step.produced = target.position
        return step
    }
}
