import Glibc
import Synchronization
import Sys

/// What a thread writes to the error output.
enum Capture {
    /// Runs the body in a thread with a table of descriptors of its own, where 2 is a pipe.
    ///
    /// - Returns: what was written; nil where the system refuses such a thread.
    static func errors(_ body: @escaping @Sendable () -> Void) -> String? {
        let result = Mutex<String?>(nil)
        let thread = PinnedThread.start(name: "log") {
            typealias Unshare = @convention(c) (Int32) -> Int32
            guard let symbol = dlsym(nil, "unshare") else { return }
            // CLONE_FILES
            guard unsafeBitCast(symbol, to: Unshare.self)(0x400) == 0 else { return }
            var ends: [Int32] = [0, 0]
            guard pipe(&ends) == 0, dup2(ends[1], 2) == 2 else { return }
            Syscall.close(ends[1])
            body()
            Syscall.close(2)
            var bytes: [UInt8] = []
            var block = [UInt8](repeating: 0, count: 4_096)
            while case let got = read(ends[0], &block, block.count), got > 0 {
                bytes += block[..<got]
            }
            let text = String(decoding: bytes, as: UTF8.self)
            result.withLock { $0 = text }
        }
        thread.join()
        return result.withLock { $0 }
    }

    static let isPossible = errors {} != nil
}
