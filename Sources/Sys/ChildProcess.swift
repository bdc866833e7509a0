import CLinux

/// Another process that reports in lines on its descriptor 3.
public struct ChildProcess: ~Copyable {
    private let process: Int32
    private let report: FileDescriptor
    private var output: MemoryFile
    private var bytes: [UInt8] = []

    /// How it ended.
    public enum Ending: Equatable, Sendable {
        case exited(Int32)
        case signalled(Int32)
    }

    /// What came of waiting for a line.
    public enum Line: Equatable, Sendable {
        case text(String)
        case timedOut
        /// There are no more.
        case end
    }

    private init(
        process: Int32,
        report: consuming FileDescriptor,
        output: consuming MemoryFile
    ) {
        self.process = process
        self.report = report
        self.output = output
    }

    /// Starts a program; its output and errors are kept (`takeOutput`).
    ///
    /// - Parameters:
    ///   - arguments: without the program's name.
    ///   - input: a descriptor that it reads as its input; nil gives none.
    public static func start(
        _ path: String,
        _ arguments: [String],
        input: Int32? = nil
    ) throws(Errno) -> ChildProcess {
        var ends: (Int32, Int32) = (0, 0)
        let result = withUnsafeMutablePointer(to: &ends) { ends in
            // Safe: a pair of 32-bit words is laid out as an array of two.
            ends.withMemoryRebound(to: Int32.self, capacity: 2) { Int(clinux_pipe($0)) }
        }
        _ = try Errno.check(result)
        let reading = FileDescriptor(owning: ends.0)
        let writing = FileDescriptor(owning: ends.1)
        let output = try MemoryFile(name: "output")
        let copies = ([path] + arguments).map { copy($0) }
        defer { for copy in copies { copy.deallocate() } }
        let list = copies.map { Optional($0) } + [nil]
        let (report, kept) = (writing.number, output.number)
        let started = list.withUnsafeBufferPointer { list in
            Int(clinux_spawn(path, list.baseAddress, input ?? -1, report, kept))
        }
        let process = Int32(try Errno.check(started))
        return ChildProcess(process: process, report: reading, output: output)
    }

    private static func copy(_ text: String) -> UnsafeMutablePointer<CChar> {
        let bytes = text.utf8CString
        let copy = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count)
        copy.initialize(from: Array(bytes), count: bytes.count)
        return copy
    }

    /// Bytes of a line of its report; a longer one is cut into several.
    public static let lineBytesMax = 65_536

    /// The next line of its report.
    ///
    /// - Parameter milliseconds: how long it may take.
    public mutating func nextLine(milliseconds: Int32) -> Line {
        let deadline = Clock.kernelNanoseconds() + UInt64(max(milliseconds, 0)) * 1_000_000
        while true {
            if let end = bytes.firstIndex(of: UInt8(ascii: "\n")) {
                let line = String(decoding: bytes[..<end], as: UTF8.self)
                bytes.removeFirst(end + 1)
                return .text(line)
            }
            guard bytes.count < Self.lineBytesMax else {
                defer { bytes = [] }
                return .text(String(decoding: bytes, as: UTF8.self))
            }
            let now = Clock.kernelNanoseconds()
            let left = now < deadline ? Int32((deadline - now + 999_999) / 1_000_000) : 0
            guard clinux_poll(report.number, left) > 0 else { return .timedOut }
            var piece = [UInt8](repeating: 0, count: Self.lineBytesMax)
            let count = Int(clinux_read(report.number, &piece, piece.count))
            guard count > 0 else { return .end }
            bytes += piece[..<count]
        }
    }

    /// What it wrote to its output and errors since the last call.
    public mutating func takeOutput() -> String {
        String(decoding: output.take(), as: UTF8.self)
    }

    /// Ends it at once.
    public func kill() {
        _ = clinux_kill(process)
    }

    /// Waits for its end; once.
    public func wait() -> Ending {
        Ending(status: Int32(truncatingIfNeeded: clinux_wait_process(process)))
    }
}
