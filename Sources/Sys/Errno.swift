import CLinux

/// An error of the kernel, named by its errno.
public struct Errno: Error, Equatable, Sendable, CustomStringConvertible {
    /// 1 or more.
    public var code: Int32

    public init(_ code: Int32) {
        self.code = code
    }

    /// Turns the result of a shim (0 or more, or the negated errno) into a value or an error.
    @inline(__always)
    static func check(_ result: Int) throws(Errno) -> Int {
        guard result >= 0 else { throw Errno(Int32(truncatingIfNeeded: -result)) }
        return result
    }

    public var description: String {
        guard let text = strerror(code) else { return "errno \(code)" }
        return String(cString: text)
    }

    public static let wouldBlock = Errno(EAGAIN)
    public static let inProgress = Errno(EINPROGRESS)
    public static let tooManyOpenFiles = Errno(EMFILE)
    public static let tooManyOpenFilesInSystem = Errno(ENFILE)
    public static let outOfMemory = Errno(ENOMEM)
    public static let noSuchFile = Errno(ENOENT)
    public static let connectionRefused = Errno(ECONNREFUSED)
    public static let addressInUse = Errno(EADDRINUSE)
    public static let connectionReset = Errno(ECONNRESET)
    public static let brokenPipe = Errno(EPIPE)
    public static let timedOut = Errno(ETIMEDOUT)
    public static let notAnAddress = Errno(EADDRNOTAVAIL)
}
