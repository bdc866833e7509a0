import CLinux

/// A descriptor that several owners share; closed with the last of them.
public final class SharedDescriptor: Sendable {
    private let descriptor: FileDescriptor

    public init(_ descriptor: consuming FileDescriptor) {
        self.descriptor = descriptor
    }

    public var number: Int32 { descriptor.number }
}

/// Sockets of one machine that keep the bounds of messages (SOCK_SEQPACKET), and carry descriptors
/// beside them (SCM_RIGHTS).
public enum DescriptorPassing {
    /// Descriptors that one message may carry.
    public static let descriptorsMax = Int(CLINUX_MESSAGE_DESCRIPTORS_MAX)

    /// What has come.
    public enum Received {
        case message([UInt8], [SharedDescriptor])
        /// Nothing, for now.
        case nothing
        /// The other end is closed.
        case end
    }

    /// Two ends; both block, and neither is passed on to other programs.
    public static func pair() throws(Errno) -> (SharedDescriptor, SharedDescriptor) {
        var ends: (Int32, Int32) = (0, 0)
        let result = withUnsafeMutablePointer(to: &ends) { ends in
            // Safe: a pair of 32-bit words is laid out as an array of two.
            ends.withMemoryRebound(to: Int32.self, capacity: 2) { Int(clinux_message_pair($0)) }
        }
        _ = try Errno.check(result)
        return (
            SharedDescriptor(FileDescriptor(owning: ends.0)),
            SharedDescriptor(FileDescriptor(owning: ends.1))
        )
    }

    /// Sends one message whole.
    ///
    /// - Parameters:
    ///   - bytes: 1 or more; the kernel takes some 200 KB.
    ///   - descriptors: up to `descriptorsMax`; the receiver gets copies of its own.
    ///   - waits: false throws `Errno.wouldBlock` when the other end does not read.
    public static func send(
        _ fd: Int32,
        _ bytes: [UInt8],
        _ descriptors: [Int32],
        waits: Bool
    ) throws(Errno) {
        let result = bytes.withUnsafeBytes { bytes in
            Int(
                clinux_send_message(
                    fd,
                    bytes.baseAddress,
                    bytes.count,
                    descriptors,
                    descriptors.count,
                    waits ? 1 : 0
                )
            )
        }
        _ = try Errno.check(result)
    }

    /// Takes one message.
    ///
    /// - Parameters:
    ///   - bytesMax: a longer message throws EMSGSIZE, and is gone.
    ///   - waits: whether to wait for one.
    public static func receive(
        _ fd: Int32,
        bytesMax: Int,
        waits: Bool
    ) throws(Errno) -> Received {
        var numbers = [Int32](repeating: -1, count: descriptorsMax)
        var count = 0
        var result = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: bytesMax) { buffer, initialized in
            result = Int(
                clinux_receive_message(
                    fd,
                    buffer.baseAddress,
                    buffer.count,
                    &numbers,
                    &count,
                    waits ? 1 : 0
                )
            )
            initialized = max(result, 0)
        }
        if result == Syscall.wouldBlock { return .nothing }
        let got = try Errno.check(result)
        let descriptors = numbers.prefix(count).map {
            SharedDescriptor(FileDescriptor(owning: $0))
        }
        return got == 0 ? .end : .message(bytes, descriptors)
    }
}
