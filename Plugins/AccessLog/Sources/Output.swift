internal import CAccessLog
import SluiceSDK

/// Lines that are being written, and where to.
///
/// One thread at a time uses it.
final class Output {
    /// Bytes of lines that are written in one go.
    static let batchBytes = 65_536
    /// Lines of one batch.
    static let batchLinesMax = 1_024
    /// Bytes before a line that say its length: "32768 ".
    private static let countBytesMax = 6
    /// Milliseconds that a job waits for room before it gives its thread back.
    private static let patience: Int32 = 100
    /// Nanoseconds between two attempts to open what could not be opened.
    static let retryNanoseconds: UInt64 = 1_000_000_000
    /// Bytes of a pipe that are taken whole without waiting (pipe(7)).
    private static let pipeBytes = 4_096

    /// What became of a batch.
    enum Progress: Equatable {
        case done
        /// There is no room, or nobody is there: what is left is written later.
        case blocked
    }

    let destination: Destination
    private let lineBytes: Int
    private let room: UnsafeMutablePointer<UInt8>
    /// Where each line of the batch ends.
    private let ends: UnsafeMutablePointer<UInt32>
    private var lineCount = 0
    /// Lines of the batch that were written whole.
    private var doneCount = 0
    /// Bytes of the batch that were written.
    private var sent = 0
    private var file: Int32 = -1
    private var identity = accesslog_identity()
    /// When it may be opened again.
    private var retryAt: UInt64 = 0
    /// Lines that were written, and those that could not be, since they were last asked for.
    var written = 0
    var lost = 0
    /// What failed last; nil when nothing did since it was last asked for.
    var failure: String?

    init(_ destination: Destination, lineBytes: Int) {
        self.destination = destination
        self.lineBytes = lineBytes
        let bytes = Output.batchBytes + lineBytes + Output.countBytesMax
        room = .allocate(capacity: bytes)
        ends = .allocate(capacity: Output.batchLinesMax)
    }

    deinit {
        close()
        room.deallocate()
        ends.deallocate()
    }

    // MARK: Opening

    /// Opens it, unless that failed a moment ago; a negative errno when it can't be.
    @discardableResult
    func open() -> Int32 {
        if file >= 0 { return 0 }
        let now = accesslog_monotonic()
        guard now >= retryAt else { return -EAGAIN }
        let result = destination.open(&identity)
        guard result >= 0 else {
            retryAt = now + Output.retryNanoseconds
            fail(Int64(result))
            return result
        }
        retryAt = 0
        file = result
        return 0
    }

    private func fail(_ result: Int64) {
        failure = "\(destination.name): \(Destination.message(result))"
    }

    private func close() {
        if file >= 0 { accesslog_close(file) }
        file = -1
        // A line that was written in part is written again, whole.
        sent = doneCount == 0 ? 0 : Int(ends[doneCount - 1])
    }

    /// Goes on in another file when this one was moved away; an old one is kept when there is no
    /// new one to be had.
    func reopen() {
        guard destination.isFile, file >= 0 else { return }
        var found = accesslog_identity()
        let result = destination.open(&found)
        guard result >= 0 else { return fail(Int64(result)) }
        if found.device == identity.device, found.inode == identity.inode {
            accesslog_close(result)
            return
        }
        close()
        file = result
        identity = found
    }

    /// Looks whether the file still has its name.
    func follow() {
        guard case .file(let path, _) = destination.kind, file >= 0 else { return }
        var found = accesslog_identity()
        let result = accesslog_look(path, &found)
        guard result != 0 || found.device != identity.device || found.inode != identity.inode
        else { return }
        reopen()
    }

    // MARK: Batches

    /// Whether a batch is there that was not written whole.
    var hasBatch: Bool { doneCount < lineCount }

    /// Fills the batch with lines; false when there are none.
    ///
    /// - Parameter next: puts a line with its line feed where it is told, and says its length; 0
    ///   when there is none.
    func fill(_ next: (UnsafeMutablePointer<UInt8>) -> Int) -> Bool {
        precondition(!hasBatch, "a batch is there already")
        (lineCount, doneCount, sent) = (0, 0, 0)
        var count = 0
        while count < Output.batchBytes, lineCount < Output.batchLinesMax {
            var prefix = 0
            if destination.framing == .counted { prefix = Output.countBytesMax }
            // Safe: behind `batchBytes` there is room for one line with its length.
            let place = room + count
            let length = next(place + prefix)
            if length == 0 { break }
            switch destination.framing {
            case .lines: count += length
            case .packets: count += length - 1
            case .counted: count += frame(place, length - 1)
            }
            ends[lineCount] = UInt32(count)
            lineCount += 1
        }
        return lineCount > 0
    }

    /// Moves a line to right behind its length; bytes of both.
    private func frame(_ place: UnsafeMutablePointer<UInt8>, _ length: Int) -> Int {
        var number = LineWriter(start: place, capacity: Output.countBytesMax, reserve: 0)
        number.append(decimal: UInt64(length))
        number.append(UInt8(ascii: " "))
        (place + number.count).update(from: place + Output.countBytesMax, count: length)
        return number.count + length
    }

    /// Writes what is left of the batch.
    func send(patience: Int32 = patience) -> Progress {
        var mayReconnect = destination.isSocket
        while hasBatch {
            guard open() == 0 else { return .blocked }
            let result = destination.framing == .packets ? sendPacket() : sendBytes(patience)
            if result > 0 {
                advance(Int(result))
            } else if !recover(result, patience, &mayReconnect) {
                return .blocked
            }
        }
        return .done
    }

    private func sendBytes(_ patience: Int32) -> Int64 {
        let rest = Int(ends[lineCount - 1]) - sent
        // Safe: the batch's bytes are there up to its last line's end.
        let from = room + sent
        switch destination.kind {
        case .file: return accesslog_write(file, from, UInt64(rest))
        case .standardOutput:
            // It is shared with others, so it can't be told not to wait.
            let ready = accesslog_wait(file, patience)
            guard ready > 0 else { return ready < 0 ? Int64(ready) : Int64(-EAGAIN) }
            return accesslog_write(file, from, UInt64(min(rest, Output.pipeBytes)))
        case .unix, .network:
            if sent == 0, accesslog_is_closed(file) != 0 { return Int64(-EPIPE) }
            return accesslog_send(file, from, UInt64(rest))
        }
    }

    private func sendPacket() -> Int64 {
        let end = Int(ends[doneCount])
        let result = accesslog_send(file, room + sent, UInt64(end - sent))
        // An earlier packet found nobody: this one was not sent (udp(7)).
        guard result == Int64(-ECONNREFUSED), case .network = destination.kind else {
            return result
        }
        return accesslog_send(file, room + sent, UInt64(end - sent))
    }

    private func advance(_ count: Int) {
        sent += count
        while hasBatch, Int(ends[doneCount]) <= sent {
            doneCount += 1
            written += 1
        }
    }

    /// Does what an error asks for; false when there is nothing to do but to wait.
    private func recover(_ result: Int64, _ patience: Int32, _ mayReconnect: inout Bool) -> Bool {
        switch Int32(-result) {
        case EAGAIN, EWOULDBLOCK, ENOBUFS:
            guard destination.kind != .standardOutput else { return false }
            return accesslog_wait(file, patience) > 0 && result != Int64(-ENOBUFS)
        case EMSGSIZE where destination.framing == .packets:
            // It will never fit.
            fail(result)
            sent = Int(ends[doneCount])
            doneCount += 1
            lost += 1
            return true
        default:
            fail(result)
            if destination.isSocket { close() }
            // The other side may have begun anew; if not, opening says so.
            guard mayReconnect else { return false }
            mayReconnect = false
            return open() == 0
        }
    }

    /// Gives the rest of the batch up.
    func drop() { (lineCount, doneCount, sent) = (0, 0, 0) }

    /// Lines of the batch that were not written.
    var leftCount: Int { lineCount - doneCount }
}
