import HTTP
import Reactor
import Sys

/// Finds the end of a body in the bytes that arrive (RFC 9112 §6.3).
struct BodyReader {
    enum Kind: UInt8 {
        case none, length, chunked, untilClose
    }

    private(set) var kind: Kind
    /// Bytes still to come of a body with a length.
    var remaining: Int64
    private var decoder: ChunkedDecoder
    /// All of the body has been seen.
    private(set) var isDone: Bool

    /// What a run of bytes held.
    struct Result {
        /// Bytes of the run that belong to the message.
        var consumed = 0
        /// Body bytes, decoded in place.
        var dataStart = 0
        var dataCount = 0
        /// A trailer section begins at `consumed`.
        var hasTrailers = false
        var error: ChunkError?
        /// The trailer section is over a bound.
        var isTooLarge = false
    }

    @inline(__always)
    init() {
        kind = .none
        remaining = 0
        decoder = ChunkedDecoder()
        isDone = true
    }

    @inline(__always)
    init(_ framing: BodyFraming) {
        self.init()
        switch framing {
        case .none: return
        case .length(let count):
            kind = .length
            remaining = count
        case .chunked: kind = .chunked
        case .untilClose: kind = .untilClose
        }
        isDone = false
    }

    /// Takes the next bytes; chunks are put together in place.
    mutating func read(_ bytes: UnsafeMutablePointer<UInt8>, _ count: Int) -> Result {
        var result = Result()
        switch kind {
        case .none: break
        case .untilClose:
            result.consumed = count
            result.dataCount = count
        case .length:
            let taken = Int(min(Int64(count), remaining))
            remaining &-= Int64(taken)
            result.consumed = taken
            result.dataCount = taken
            if remaining == 0 { isDone = true }
        case .chunked:
            switch decoder.decode(
                bytes,
                count: count,
                consumed: &result.consumed,
                dataStart: &result.dataStart,
                dataCount: &result.dataCount
            )
            {
            case .more: break
            case .done: isDone = true
            case .trailers: result.hasTrailers = true
            case .invalid(let error): result.error = error
            }
        }
        return result
    }

    /// Counts bytes that were moved without being seen.
    mutating func skip(_ count: Int) {
        remaining &-= Int64(count)
        if remaining == 0 { isDone = true }
    }

    /// The trailer section is over, or the connection that bounded the body is.
    mutating func finish() {
        isDone = true
    }
}

/// How a body is written.
enum BodyWriting: UInt8 {
    /// As it is: by Content-Length, or until the connection ends.
    case plain
    case chunked
    /// Not at all: the answer to HEAD.
    case discard
}

/// One direction of an exchange: reads a body from one connection, writes it to the other, and
/// holds what the other has not taken yet.
///
/// Nothing is read while bytes are held, so an exchange holds at most one read's worth a direction
/// (`limits.buffer`).
struct BodyPipe {
    var reader = BodyReader()
    var writing = BodyWriting.plain
    /// Everything of this direction, its head included, has been given to the socket.
    var isFinished = false
    /// The writing side can't take more now.
    var isBlocked = false
    /// Bytes not yet taken by the receiver.
    var held: Block?
    /// The body ends with them: of streams, where the end is no bytes.
    var endsHeld = false
    var heldStart = 0
    var heldEnd = 0
    /// A trailer section that is still coming in.
    var trailer: Block?
    var trailerCount = 0
    /// A pipe with bytes on their way.
    var splice: SplicePipe?
    var spliced = 0
    /// Body bytes read so far.
    var byteCount: UInt64 = 0
    /// The plugins that the body goes through; nil when there are none.
    var transform: UnsafeMutablePointer<BodyTransform>?

    /// The receiver's TLS has taken all bytes, and its socket not yet.
    var awaitsWire = false

    var hasHeld: Bool { heldEnd > heldStart || awaitsWire }

    /// Whether there is anything to give back.
    var holdsMemory: Bool {
        held != nil || trailer != nil || splice != nil || transform != nil
    }

    /// Whether the rest is worth a pipe, and nothing must see it.
    var canSplice: Bool {
        reader.kind == .length && writing == .plain && transform == nil
            && (splice != nil || reader.remaining >= BodyPipe.spliceBytesMin)
    }

    /// Bytes that must be left for a pipe to be cheaper than a copy: measured, see
    /// docs/performance.md.
    static let spliceBytesMin: Int64 = 65_536
}
