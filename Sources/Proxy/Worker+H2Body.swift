import HTTP
import PluginHost
import Reactor
import Sys

/// What exchanges write to streams of HTTP/2, of either side.
extension Worker {
    /// Writes a head, a run of body and its end to a stream; as `emit`.
    ///
    /// - Parameter headCount: bytes of a response's head in `out`; a request's head is what begins
    ///   its stream, so here it has none.
    mutating func emitToStream(
        _ pipe: inout BodyPipe,
        _ session: UnsafeMutablePointer<H2Session>,
        _ id: UInt32,
        headCount: Int,
        data: UnsafePointer<UInt8>,
        count: Int,
        isEnd: Bool,
        sent: inout Int
    ) -> WriteResult {
        precondition(!pipe.hasHeld, "bytes would overtake held ones")
        guard session.pointee.connection.isOpen(id) else { return .failed }
        let bodyCount = pipe.writing == .discard ? 0 : count
        let trailersFollow = isEnd && hasTrailers(pipe)
        let endsNow = isEnd && !trailersFollow
        if headCount > 0 {
            sendHead(session, id, headCount, endStream: endsNow && bodyCount == 0)
        }
        wake(session)
        sent = headCount
        if bodyCount > 0 || endsNow && headCount == 0 {
            // What has just come from the other side does not pass those that wait.
            let most =
                session.pointee.connection.mustShare(id)
                ? min(bodyCount, session.pointee.turnLeft) : bodyCount
            let taken = session.pointee.connection.sendData(
                id,
                data,
                most,
                endStream: endsNow && most == bodyCount
            )
            sent &+= taken
            guard taken == bodyCount else {
                var rest = Pieces()
                rest.add(data + taken, bodyCount &- taken)
                hold(rest, from: 0, in: &pipe)
                pipe.endsHeld = isEnd
                session.pointee.connection.setWantsToWrite(id, true)
                return .blocked
            }
        }
        if trailersFollow { sendTrailers(session, id, pipe) }
        return .done
    }

    /// Writes what is held for a stream, as much as one turn gives; as `flush`.
    mutating func flushToStream(
        _ pipe: inout BodyPipe,
        _ session: UnsafeMutablePointer<H2Session>,
        _ id: UInt32,
        sent: inout Int
    ) -> WriteResult {
        guard session.pointee.connection.isOpen(id) else { return .failed }
        guard let block = pipe.held else { return .done }
        let left = pipe.heldEnd &- pipe.heldStart
        let count = min(left, H2Session.turnBytes)
        let isEnd = pipe.endsHeld && count == left
        let trailersFollow = isEnd && hasTrailers(pipe)
        sent = session.pointee.connection.sendData(
            id,
            block.bytes + pipe.heldStart,
            count,
            endStream: isEnd && !trailersFollow
        )
        session.pointee.turnLeft &-= sent
        if sent > 0 { wake(session) }
        guard sent == left else {
            pipe.heldStart &+= sent
            session.pointee.connection.setWantsToWrite(id, true)
            return .blocked
        }
        releaseHeld(&pipe)
        pipe.isBlocked = false
        pipe.endsHeld = false
        if trailersFollow {
            sendTrailers(session, id, pipe)
        } else if !isEnd {
            session.pointee.connection.setWantsToWrite(id, false)
        }
        return .done
    }

    // MARK: Trailers

    /// Whether a body has trailer fields to send.
    private func hasTrailers(_ pipe: BodyPipe) -> Bool {
        if let section = pipe.transform?.pointee.trailers {
            return section.pointee.message.fieldBytesMax > 0
        }
        return pipe.trailerCount > 2
    }

    /// Ends a stream with the trailer fields of its body.
    private mutating func sendTrailers(
        _ session: UnsafeMutablePointer<H2Session>,
        _ id: UInt32,
        _ pipe: BodyPipe
    ) {
        var writer = FieldBlock.Writer(
            trailersTo: fieldBlock,
            room: Self.fieldBlockBytes,
            encoder: &session.pointee.encoder
        )
        if let section = pipe.transform?.pointee.trailers {
            writer.copyFields(of: section.pointee.message, encoder: &session.pointee.encoder)
        } else if let trailer = pipe.trailer {
            var fieldCount = 0
            var consumed = 0
            let outcome = HeadParser.parseTrailers(
                trailer.bytes,
                count: pipe.trailerCount,
                fields: responseFields,
                fieldCount: &fieldCount,
                consumed: &consumed
            )
            if outcome == .complete {
                writer.copyFields(
                    trailer.bytes,
                    responseFields,
                    count: fieldCount,
                    encoder: &session.pointee.encoder
                )
            }
        }
        session.pointee.connection.sendHeaders(id, fieldBlock, writer.count, endStream: true)
    }

    /// Keeps the trailer fields in `headText` until the body before them has passed.
    mutating func keepTrailers(_ pipe: inout BodyPipe, _ count: Int) {
        let block = pipe.trailer ?? buffers.take(count)
        block.bytes.update(from: headText, count: count)
        pipe.trailer = block
        pipe.trailerCount = count
    }
}

extension FieldBlock.Writer {
    /// Adds the fields of a message: those that were received, and those that were added.
    mutating func copyFields(of message: borrowing Message, encoder: inout HPACKEncoder) {
        copyFields(
            message.head,
            message.fields,
            count: message.fieldCount,
            encoder: &encoder
        )
        for index in 0..<message.addedCount {
            guard let added = message.added?[index], !added.isDropped else { continue }
            field(
                added.id,
                added.name,
                Int(added.nameLength),
                added.value,
                Int(added.valueLength),
                encoder: &encoder
            )
        }
    }
}
