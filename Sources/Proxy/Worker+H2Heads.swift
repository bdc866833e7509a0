import HTTP
import PluginHost
import Reactor
import Sys

/// Heads and trailers of HTTP/2 streams, from and to the text of HTTP/1 that exchanges work on.
extension Worker {
    // MARK: From the client

    /// Begins a request, or takes its trailers.
    mutating func takeHeaders(
        _ session: UnsafeMutablePointer<H2Session>,
        _ headers: H2Headers
    ) {
        if headers.isTrailers {
            takeTrailers(session, headers)
            return
        }
        let listener = listeners + Int(session.pointee.owner.pointee.listener)
        var request = FieldBlock.Request()
        let outcome = FieldBlock.readRequest(
            headers.block,
            count: headers.count,
            decoder: &session.pointee.decoder,
            scratch: fieldScratch,
            scratchCount: Self.fieldScratchBytes,
            limits: listener.pointee.head,
            allowsProtocol: true,
            to: headText,
            into: &request
        )
        switch outcome {
        case .complete:
            // RFC 9113 §8.1.1: a length that no content follows.
            guard !headers.endStream || request.contentLength <= 0 else {
                endMalformed(session, headers, "Content-Length with no content")
                return
            }
            guard request.upgrade != .other else {
                // RFC 8441 §3 leaves it to us which protocols there are.
                refuseStream(session, headers, 501, ":protocol is not websocket")
                return
            }
            let tunnels = request.upgrade == .websocket
            beginStream(
                session,
                headers,
                tunnels ? addWebSocketKey(request.byteCount) : request.byteCount,
                request,
                tunnels: tunnels
            )
        case .tooLarge: refuseStream(session, headers, 431, "limits.head or limits.fields")
        case .malformed(let error): endMalformed(session, headers, "\(error.reason)")
        case .invalid(let error): broken(session, error)
        }
    }

    /// Puts a key into the head in `headText`.
    ///
    /// HTTP/1 asks for one, and HTTP/2 has none (RFC 8441 §5). It keeps caches from answering and
    /// is no secret (RFC 6455 §10.3).
    ///
    /// - Returns: bytes of the head.
    private mutating func addWebSocketKey(_ count: Int) -> Int {
        var at = count &- 2
        at &+= HeadWriter.copy("sec-websocket-key: ", to: headText + at)
        // 16 bytes in base64 (RFC 4648 §4), whose digits are drawn one by one: the last one that
        // counts has two bits, and two "=" stand for what is missing.
        var word: UInt64 = 0
        for digit in 0..<22 {
            if digit % 10 == 0 { word = Process.randomWord() }
            headText[at] = Self.base64Digit(digit == 21 ? word & 0x30 : word & 0x3f)
            word >>= 6
            at &+= 1
        }
        return at &+ HeadWriter.copy("==\r\n\r\n", to: headText + at)
    }

    private static func base64Digit(_ value: UInt64) -> UInt8 {
        switch UInt8(truncatingIfNeeded: value) {
        case let value where value < 26: UInt8(ascii: "A") &+ value
        case let value where value < 52: UInt8(ascii: "a") &+ value &- 26
        case let value where value < 62: UInt8(ascii: "0") &+ value &- 52
        case 62: UInt8(ascii: "+")
        default: UInt8(ascii: "/")
        }
    }

    private mutating func takeTrailers(
        _ session: UnsafeMutablePointer<H2Session>,
        _ headers: H2Headers
    ) {
        var count = 0
        let outcome = FieldBlock.readTrailers(
            headers.block,
            count: headers.count,
            decoder: &session.pointee.decoder,
            scratch: fieldScratch,
            scratchCount: Self.fieldScratchBytes,
            to: headText,
            byteCount: &count
        )
        let down = stream(headers.stream)
        switch outcome {
        case .complete:
            guard let down, let exchange = down.pointee.exchange else { return }
            keepTrailers(&exchange.pointee.requestBody, count)
            down.pointee.flags.insert(.ended)
            advance(exchange)
        case .tooLarge: endMalformed(session, headers, "the trailer section is too large")
        case .malformed(let error): endMalformed(session, headers, "\(error.reason)")
        case .invalid(let error): broken(session, error)
        }
    }

    // MARK: To the client

    /// Sends the head that stands in `out`, a status line and field lines of our own making.
    mutating func sendHead(
        _ session: UnsafeMutablePointer<H2Session>,
        _ id: UInt32,
        _ count: Int,
        endStream: Bool
    ) {
        // "HTTP/1.1 200 OK"
        let digits = out + 9
        var status =
            UInt16(digits[0] &- 48) &* 100 &+ UInt16(digits[1] &- 48) &* 10
            &+ UInt16(digits[2] &- 48)
        // What HTTP/1 says with 101, a stream says with 200 (RFC 8441 §5).
        let isSwitch = status == 101
        if isSwitch { status = 200 }
        let isNeverIndexed = isNeverIndexed(session, id)
        var writer = FieldBlock.Writer(
            status: status,
            to: fieldBlock,
            room: Self.fieldBlockBytes,
            encoder: &session.pointee.encoder
        )
        var at = lineEnd(12, count) &+ 2
        while at < count, out[at] != UInt8(ascii: "\r") {
            var colon = at
            while out[colon] != UInt8(ascii: ":") { colon &+= 1 }
            let end = lineEnd(colon, count)
            // No white space may stand around a value (RFC 9113 §8.2.1).
            var value = colon &+ 1
            while value < end, isBlank(out[value]) { value &+= 1 }
            var valueEnd = end
            while valueEnd > value, isBlank(out[valueEnd &- 1]) { valueEnd &-= 1 }
            let field = FieldNames.id(out + at, count: colon &- at)
            if !isSwitch || field != .secWebsocketAccept {
                writer.field(
                    field,
                    out + at,
                    colon &- at,
                    out + value,
                    valueEnd &- value,
                    isNeverIndexed: isNeverIndexed,
                    encoder: &session.pointee.encoder
                )
            }
            at = end &+ 2
        }
        guard !writer.hasOverflowed else {
            session.pointee.connection.abort(.internalError, reason: "a head is too large")
            return
        }
        session.pointee.connection.sendHeaders(
            id,
            fieldBlock,
            writer.count,
            endStream: endStream
        )
    }

    /// Whether the peer's response had fields that no one may index.
    private func isNeverIndexed(_ session: UnsafeMutablePointer<H2Session>, _ id: UInt32) -> Bool {
        let down = session.pointee.connection.user(id)?.assumingMemoryBound(to: Downstream.self)
        let up = down?.pointee.exchange?.pointee.up
        return up?.pointee.flags.contains(.neverIndexed) == true
    }

    private func isBlank(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t")
    }

    /// Where the line ends that `start` is in: its CR.
    private func lineEnd(_ start: Int, _ count: Int) -> Int {
        var at = start
        while at < count, out[at] != UInt8(ascii: "\r") { at &+= 1 }
        return at
    }
}
