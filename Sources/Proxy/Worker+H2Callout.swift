import HTTP
import PluginHost
import Reactor
import Sys

/// Plugins' own requests to peers that speak HTTP/2.
extension Worker {
    /// Begins the stream with the head of the request's text; what is left to be sent is content.
    ///
    /// - Returns: false when that was not possible, and the callout may be over.
    mutating func sendStreamHead(
        _ callout: UnsafeMutablePointer<Callout>,
        _ up: UnsafeMutablePointer<Upstream>
    ) -> Bool {
        var limits = HeadLimits()
        limits.headBytesMax = Self.calloutHeadBytesMax
        limits.targetBytesMax = 65_000
        var head = RequestHead()
        let text = callout.pointee.outgoing.first
        let outcome = HeadParser.parseRequest(
            text,
            count: callout.pointee.outgoing.count,
            limits: limits,
            fields: responseFields,
            into: &head
        )
        guard outcome == .complete, let session = up.pointee.session,
            session.pointee.connection.canOpenStream
        else {
            // The peer has lowered its limit, or left; or the head is over the bound, each time.
            if outcome == .complete { up.pointee.flags.insert(.refused) }
            streamFailed(callout)
            return false
        }
        var writer = FieldBlock.Writer(
            FieldBlock.Target(
                method: text + Int(head.methodStart),
                methodCount: Int(head.methodLength),
                isSecure: callout.pointee.upstream.pointee.tls != nil,
                authority: text + Int(head.authorityStart),
                authorityCount: Int(head.authorityLength),
                path: text + Int(head.pathStart),
                pathCount: Int(head.targetLength)
            ),
            to: fieldBlock,
            room: Self.fieldBlockBytes,
            encoder: &session.pointee.encoder
        )
        writer.copyFields(
            text,
            responseFields,
            count: Int(head.fieldCount),
            encoder: &session.pointee.encoder
        )
        if callout.pointee.probe >= 0 {
            // Servers of gRPC refuse requests that do not say that they take trailers.
            let (name, count) = FieldNames.lowercaseName(.te)
            let value = Slice("trailers")
            writer.field(
                .te,
                name,
                count,
                value.bytes,
                value.count,
                encoder: &session.pointee.encoder
            )
        }
        precondition(!writer.hasOverflowed, "the block of a head that was measured")
        callout.pointee.outgoing.drop(Int(head.byteCount))
        up.pointee.stream = session.pointee.connection.openStream(
            fieldBlock,
            writer.count,
            endStream: callout.pointee.outgoing.isEmpty,
            user: UnsafeMutableRawPointer(up)
        )
        wake(session)
        return true
    }

    /// Bytes of the head of a plugin's request: the most that a parsed head can have.
    private static let calloutHeadBytesMax = 65_535

    /// Goes on with a callout's stream as far as it can go now.
    mutating func advanceStream(
        _ callout: UnsafeMutablePointer<Callout>,
        _ up: UnsafeMutablePointer<Upstream>
    ) {
        if !callout.pointee.outgoing.isEmpty, let session = up.pointee.session {
            let sent = session.pointee.connection.sendData(
                up.pointee.stream,
                callout.pointee.outgoing.first,
                callout.pointee.outgoing.count,
                endStream: true
            )
            callout.pointee.outgoing.drop(sent)
            session.pointee.connection.setWantsToWrite(
                up.pointee.stream,
                !callout.pointee.outgoing.isEmpty
            )
            if sent > 0 { wake(session) }
        }
        if let input = up.pointee.input {
            let count = up.pointee.inputCount
            up.pointee.input = nil
            up.pointee.inputCount = 0
            let goesOn = take(callout, input.bytes, count)
            buffers.give(input)
            guard goesOn else { return }
        }
        if up.pointee.flags.contains(.ended) {
            endBody(callout, up)
        } else if up.pointee.flags.contains(.failed) {
            broke(callout, up)
        }
    }

    /// The stream is no more, or was never begun.
    mutating func streamFailed(_ callout: UnsafeMutablePointer<Callout>) {
        guard let up = callout.pointee.up else { return }
        up.pointee.flags.insert(.failed)
        advanceStream(callout, up)
    }
}
