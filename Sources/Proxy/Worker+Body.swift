import HTTP
import PluginHost
import Reactor
import Sys

/// What came of writing.
enum WriteResult {
    case done
    /// The rest is held; the socket tells when it takes more.
    case blocked
    case failed
}

/// Writing heads and bodies, holding what is not taken, and moving bodies without a copy.
extension Worker {
    /// Writes a head, a run of body and, at its end, the framing that closes it.
    ///
    /// What the socket does not take is copied and held; nothing may be held when this is called.
    ///
    /// - Parameters:
    ///   - headCount: bytes of `out`.
    ///   - data: body bytes, decoded.
    ///   - isEnd: the body ends with these.
    ///   - sent: set to the bytes that the socket took.
    mutating func emit(
        _ pipe: inout BodyPipe,
        to wire: Wire,
        headCount: Int,
        data: UnsafePointer<UInt8>,
        count: Int,
        isEnd: Bool,
        sent: inout Int
    ) -> WriteResult {
        precondition(!pipe.hasHeld, "bytes would overtake held ones")
        var pieces = Pieces()
        pieces.add(out, headCount)
        switch pipe.writing {
        case .plain: pieces.add(data, count)
        case .discard: break
        case .chunked:
            var tail = 0
            if count > 0 {
                pieces.add(chunkLine, ChunkedEncoder.writeSizeLine(count, to: chunkLine))
                pieces.add(data, count)
                tail = HeadWriter.copy("\r\n", to: chunkTail)
            }
            if isEnd { tail &+= writeLastChunk(pipe, to: chunkTail + tail) }
            pieces.add(chunkTail, tail)
        }
        let total = pieces.byteCount
        guard total > 0 else { return .done }
        let result = wire.send(&pieces)
        sent = max(result, 0)
        if result == total {
            guard wire.hasPending else { return .done }
            pipe.awaitsWire = true
            pipe.isBlocked = true
            return .blocked
        }
        guard result >= 0 || result == Syscall.wouldBlock else { return .failed }
        hold(pieces, from: sent, in: &pipe)
        return .blocked
    }

    /// `0`, the trailer fields that may pass, and the empty line.
    private mutating func writeLastChunk(
        _ pipe: BodyPipe,
        to out: UnsafeMutablePointer<UInt8>
    ) -> Int {
        if let section = pipe.transform?.pointee.trailers {
            // Plugins have seen it, and may have changed it, within `ChunkLimits.trailerBytesMax`.
            var at = HeadWriter.copy("0\r\n", to: out)
            at &+= section.pointee.message.writeFields(to: out + at)
            return at &+ HeadWriter.copy("\r\n", to: out + at)
        }
        guard let trailer = pipe.trailer else { return HeadWriter.copy("0\r\n\r\n", to: out) }
        var fieldCount = 0
        var consumed = 0
        var at = HeadWriter.copy("0\r\n", to: out)
        let outcome = HeadParser.parseTrailers(
            trailer.bytes,
            count: pipe.trailerCount,
            fields: responseFields,
            fieldCount: &fieldCount,
            consumed: &consumed
        )
        if outcome == .complete {
            at &+= HeadWriter.copyFields(
                trailer.bytes,
                responseFields,
                count: fieldCount,
                fieldsEnd: consumed &- 2,
                to: out + at
            )
        }
        return at &+ HeadWriter.copy("\r\n", to: out + at)
    }

    /// Copies what the receiver did not take.
    ///
    /// - Parameter start: bytes that it did take.
    mutating func hold(_ pieces: Pieces, from start: Int, in pipe: inout BodyPipe) {
        let block = buffers.take(pieces.byteCount &- start)
        var skip = start
        var at = 0
        for index in 0..<pieces.count {
            let (bytes, count) = pieces.piece(index)
            if skip >= count {
                skip &-= count
                continue
            }
            (block.bytes + at).update(from: bytes + skip, count: count &- skip)
            at &+= count &- skip
            skip = 0
        }
        pipe.held = block
        pipe.heldStart = 0
        pipe.heldEnd = at
        pipe.isBlocked = true
    }

    /// Writes what is held.
    mutating func flush(_ pipe: inout BodyPipe, to wire: Wire, sent: inout Int) -> WriteResult {
        if pipe.awaitsWire {
            let result = wire.flush()
            guard result > 0 else { return result == Syscall.wouldBlock ? .blocked : .failed }
            pipe.awaitsWire = false
            pipe.isBlocked = false
        }
        guard let block = pipe.held else { return .done }
        let count = pipe.heldEnd &- pipe.heldStart
        let result = wire.send(block.bytes + pipe.heldStart, count)
        sent = max(result, 0)
        if result == count {
            releaseHeld(&pipe)
            pipe.awaitsWire = wire.hasPending
            pipe.isBlocked = pipe.awaitsWire
            return pipe.awaitsWire ? .blocked : .done
        }
        guard result >= 0 || result == Syscall.wouldBlock else { return .failed }
        pipe.heldStart &+= sent
        pipe.isBlocked = true
        return .blocked
    }

    mutating func releaseHeld(_ pipe: inout BodyPipe) {
        guard let block = pipe.held else { return }
        buffers.give(block)
        pipe.held = nil
        pipe.heldStart = 0
        pipe.heldEnd = 0
    }

    /// Gives back all that a direction holds.
    mutating func release(_ pipe: inout BodyPipe) {
        releaseHeld(&pipe)
        if let trailer = pipe.trailer {
            buffers.give(trailer)
            pipe.trailer = nil
        }
        if let transform = pipe.transform {
            transform.pointee.release()
            pipe.transform = nil
        }
        if let splice = pipe.splice {
            pipes.give(splice, isEmpty: pipe.spliced == 0)
            pipe.splice = nil
            pipe.spliced = 0
        }
    }

    // MARK: Reading

    /// Splits a run of bytes into body, trailer section, and what is behind the message.
    mutating func readBody(
        _ pipe: inout BodyPipe,
        _ bytes: UnsafeMutablePointer<UInt8>,
        _ count: Int
    ) -> BodyReader.Result {
        var result = BodyReader.Result()
        if pipe.trailer != nil {
            result.hasTrailers = true
        } else {
            result = pipe.reader.read(bytes, count)
        }
        guard result.hasTrailers, result.error == nil else { return result }
        var consumed = 0
        let from = result.consumed
        let outcome = collectTrailer(&pipe, bytes + from, count &- from, consumed: &consumed)
        result.consumed &+= consumed
        if outcome == .invalid || outcome == .tooLarge { result.error = .badLineEnd }
        result.isTooLarge = outcome == .tooLarge
        return result
    }

    // MARK: Trailers

    /// What came of collecting a trailer section.
    private enum TrailerResult {
        case more
        case done
        case invalid
        case tooLarge
    }

    /// Adds bytes to the trailer section that a chunked body ends with.
    ///
    /// - Parameter consumed: bytes of the run that belong to it.
    private mutating func collectTrailer(
        _ pipe: inout BodyPipe,
        _ bytes: UnsafePointer<UInt8>,
        _ count: Int,
        consumed: inout Int
    ) -> TrailerResult {
        let limit = ChunkLimits.trailerBytesMax
        let block = pipe.trailer ?? buffers.take(limit)
        pipe.trailer = block
        let before = pipe.trailerCount
        let taken = min(count, limit &- before)
        (block.bytes + before).update(from: bytes, count: taken)
        pipe.trailerCount = before &+ taken
        var fieldCount = 0
        var used = 0
        switch HeadParser.parseTrailers(
            block.bytes,
            count: pipe.trailerCount,
            fields: responseFields,
            fieldCount: &fieldCount,
            consumed: &used
        )
        {
        case .complete:
            consumed = used &- before
            pipe.trailerCount = used
            pipe.reader.finish()
            return .done
        case .incomplete:
            consumed = taken
            return pipe.trailerCount < limit ? .more : .tooLarge
        case .invalid(let error):
            return error.status == 431 ? .tooLarge : .invalid
        }
    }

    // MARK: Splicing

    /// What came of moving bytes through a pipe.
    enum SpliceResult {
        /// All of the body is through.
        case done
        /// The source has no more now.
        case empty
        /// The receiver takes no more now.
        case blocked
        /// The source ended before its length was reached.
        case ended
        case readFailed
        case writeFailed
        /// Others should have a turn.
        case turn
        /// There is no pipe to be had: copy.
        case unavailable
    }

    /// Moves the rest of a body of known length from socket to socket inside the kernel.
    mutating func splice(
        _ pipe: inout BodyPipe,
        from: Int32,
        to: Int32,
        moved: inout Int,
        read: inout Int
    ) -> SpliceResult {
        if pipe.splice == nil { pipe.splice = pipes.take() }
        guard let ends = pipe.splice else { return .unavailable }
        for _ in 0..<Self.turnsMax {
            if pipe.spliced == 0, !pipe.reader.isDone {
                let wanted = Int(min(pipe.reader.remaining, Int64(ends.capacity)))
                let count = Syscall.splice(from: from, to: ends.writeEnd, wanted)
                if count == Syscall.wouldBlock { return .empty }
                if count == 0 { return .ended }
                if count < 0 { return .readFailed }
                read &+= count
                pipe.spliced = count
                pipe.byteCount &+= UInt64(count)
                pipe.reader.skip(count)
            }
            while pipe.spliced > 0 {
                let count = Syscall.splice(from: ends.readEnd, to: to, pipe.spliced)
                if count == Syscall.wouldBlock {
                    pipe.isBlocked = true
                    return .blocked
                }
                if count <= 0 { return .writeFailed }
                moved &+= count
                pipe.spliced &-= count
            }
            pipe.isBlocked = false
            if pipe.reader.isDone { return .done }
        }
        return .turn
    }
}
