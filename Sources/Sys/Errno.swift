import CLinux

/// An error of the kernel, named by its errno.
package struct Errno: Error, Equatable, Sendable, CustomStringConvertible {
    /// 1 or more.
    package var code: Int32

    package init(_ code: Int32) {
        self.code = code
    }

    /// Turns the result of a shim (0 or more, or the negated errno) into a value or an error.
    @inline(__always)
    static func check(_ result: Int) throws(Errno) -> Int {
        guard result >= 0 else { throw Errno(Int32(truncatingIfNeeded: -result)) }
        return result
    }

    package var description: String {
        guard let text = strerror(code) else { return "errno \(code)" }
        return String(cString: text)
    }

    package static let wouldBlock = Errno(EAGAIN)
    package static let inProgress = Errno(EINPROGRESS)
    package static let tooManyOpenFiles = Errno(EMFILE)
    package static let tooManyOpenFilesInSystem = Errno(ENFILE)
    package static let addressInUse = Errno(EADDRINUSE)
    package static let connectionReset = Errno(ECONNRESET)
    package static let brokenPipe = Errno(EPIPE)
    package static let timedOut = Errno(ETIMEDOUT)
}
