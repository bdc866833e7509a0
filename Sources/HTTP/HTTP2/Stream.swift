/// What a connection knows of a stream that is open (RFC 9113 §5.1).
///
/// Idle streams have ids above the highest used one, closed ones a place in `ClosedStreams`; so
/// three states are left. Nobody pushes, so none is reserved.
struct H2Stream {
    enum State: UInt8 {
        case open, halfClosedLocal, halfClosedRemote
    }

    /// 0 while the slot is free.
    var id: UInt32
    var user: UnsafeMutableRawPointer?
    /// Bytes that this side may send; below zero after the peer made its window smaller
    /// (RFC 9113 §6.9.2).
    var sendWindow: Int32
    /// Bytes that the peer may send.
    var receiveWindow: Int32
    /// Bytes received that the caller has not passed on.
    var held: Int32 = 0
    /// Bytes passed on for which no WINDOW_UPDATE was sent yet.
    var unannounced: Int32 = 0
    /// Bytes of content still to come by Content-Length (RFC 9113 §8.1.1); -1 when not known.
    var expected: Int64 = -1
    /// The stream's own slot.
    let slot: Int32
    /// Neighbours in a list of streams that take turns; `next` also links free slots.
    var next: Int32 = -1
    var previous: Int32 = -1
    /// Place in the heap of streams that are sent one after the other; -1 when not in it.
    var heapPlace: Int32 = -1
    var priority = H2Priority()
    var state = State.open
    /// The peer has sent the header section after which only trailers may follow.
    var hasFinalHeaders = false
    /// The client said how urgent it is.
    var isPrioritySignalled = false
    /// The caller has bytes to send.
    var wantsToWrite = false
    /// It is among those that `nextReady` chooses from.
    var isReady = false

    init(slot: Int32, id: UInt32, sendWindow: Int32, receiveWindow: Int32) {
        self.slot = slot
        self.id = id
        self.sendWindow = sendWindow
        self.receiveWindow = receiveWindow
    }

    var reference: H2StreamReference { H2StreamReference(id, user) }

    var canSend: Bool { state != .halfClosedLocal }
    var canReceive: Bool { state != .halfClosedRemote }

    /// Whether it takes turns with others of its urgency, byte ranges mixed.
    ///
    /// RFC 9218 §10 sends what is not incremental one after the other. That is for clients that
    /// signalled it. For those that did not (gRPC, HTTP/1 libraries grown up), a download without
    /// an end on a low id would stop all others, so they share.
    var takesTurns: Bool { priority.isIncremental || !isPrioritySignalled }
}
