import HTTP

/// One end of a connection as a test sees it: text of HTTP/1.1, sent and received, where the proxy
/// sees a stream of HTTP/2.
///
/// A client has one for its connection, and its requests are streams one after the other. Of an
/// origin each stream is one by itself.
final class TextStream {
    /// What the next byte of the test's text belongs to.
    enum Place {
        case head
        /// A body, with the bytes of it that are still to come.
        case body(Int64)
        case chunks(ChunkedDecoder)
        case trailers
        /// A body that goes on until the test closes its end.
        case untilEnd
        /// Nothing: the message is whole.
        case whole
    }

    /// Text for the test, and the bytes of content that it stands for: they count against the
    /// windows until the test has taken the text.
    struct Piece {
        var text: [UInt8]
        var content: Int
        var stream: UInt32
    }

    /// Bytes of content that were taken from the test and that no window had room for.
    static let contentBytesMax = 16_384

    /// The stream's number; 0 while there is none.
    var id: UInt32 = 0

    // From the test to the proxy.
    var place = Place.head
    /// Of a head or a trailer section that is not whole.
    var gathered: [UInt8] = []
    var content: [UInt8] = []
    /// Nothing follows `content` but the trailers.
    var endsContent = false
    /// The trailer section's text, once it is whole.
    var trailers: [UInt8]?
    /// END_STREAM was sent.
    var hasEnded = false
    /// The proxy wants no more of the request: the rest of its text is read and dropped.
    var isDiscarded = false

    // From the proxy to the test.
    private var pieces: [Piece] = []
    private var firstPiece = 0
    /// Bytes of the first piece that the test has taken.
    private var taken = 0
    /// The body's text is in the chunked coding.
    var isChunked = false
    /// The message can have no body.
    var isBodiless = false
    /// The proxy's message is whole.
    var hasReceivedAll = false
    /// The proxy sends and takes nothing more, or the test does not.
    var isOver = false
    /// The test has closed the end in the middle of a message.
    var isLeft = false

    /// Method of the request.
    var method = Method.other
    /// Why the test's text has no counterpart in HTTP/2.
    var problem: String?

    init(id: UInt32 = 0) { self.id = id }

    /// Begins with a client's next request.
    func beginNext() {
        id = 0
        place = .head
        trailers = nil
        (endsContent, hasEnded, isDiscarded, hasReceivedAll) = (false, false, false, false)
    }

    // MARK: Text for the test

    func append(_ text: [UInt8], content: Int = 0) {
        pieces.append(Piece(text: text, content: content, stream: id))
    }

    /// Copies text that the test takes.
    ///
    /// - Parameter consumed: gets each piece of which the test has taken the last byte.
    /// - Returns: bytes; 0 when there are none now.
    func take(
        _ buffer: UnsafeMutableRawBufferPointer,
        _ consumed: (Piece) -> Void
    ) -> Int {
        var count = 0
        while count < buffer.count, firstPiece < pieces.count {
            let piece = pieces[firstPiece]
            let part = min(piece.text.count - taken, buffer.count - count)
            // Safe: `part` bytes are there on both sides.
            UnsafeMutableRawBufferPointer(rebasing: buffer[count..<count + part])
                .copyBytes(from: piece.text[taken..<taken + part])
            count += part
            taken += part
            guard taken == piece.text.count else { break }
            taken = 0
            firstPiece += 1
            consumed(piece)
        }
        if firstPiece == pieces.count {
            pieces.removeAll(keepingCapacity: true)
            firstPiece = 0
        }
        return count
    }
}
