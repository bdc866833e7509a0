internal import CCacheDisk

/// What went wrong on the disk: at which step, and why.
public struct DiskError: Error, Equatable, Sendable, BitwiseCopyable {
    /// What was tried.
    public enum Step: UInt8, Sendable, BitwiseCopyable {
        /// To open the folder.
        case folder
        /// To make the folders in it.
        case subfolders
        /// To agree with other processes about the folder.
        case ownership
        /// To list its files.
        case list
        /// To make a file.
        case create
        /// To write it.
        case write
        /// To have it on the disk.
        case sync
        /// To give it its name.
        case publish
        /// To open a file.
        case open
        /// To read it.
        case read
        /// To remove it.
        case remove
        /// To get memory.
        case memory
    }

    /// What was tried.
    public let step: Step
    /// An errno, or a number of our own from 4,097 on.
    public let code: Int32

    /// - Parameter result: a negative result of `CCacheDisk`.
    init(_ step: Step, _ result: Int32) {
        self.step = step
        code = -result
    }

    static let noMemory = DiskError(.memory, Int32(CACHEDISK_ENOMEM))

    /// Whether another process has the folder now.
    public var isLost: Bool { code == -Int32(CACHEDISK_LOST) }

    /// Whether there are too many open files or too little memory: that is no fault of the disk.
    var isShortage: Bool {
        code == -Int32(CACHEDISK_EMFILE) || code == -Int32(CACHEDISK_ENFILE)
            || code == -Int32(CACHEDISK_ENOMEM)
    }

    var isMissing: Bool { code == -Int32(CACHEDISK_ENOENT) }

    /// Writes it as text, such as "cannot write a file: No space left on device", as far as there
    /// is room.
    ///
    /// - Returns: bytes written.
    public func write(to buffer: UnsafeMutableRawBufferPointer) -> Int {
        var count = 0
        append(stepText, to: buffer, &count)
        append(": ", to: buffer, &count)
        if let text = ownText {
            append(text, to: buffer, &count)
            return count
        }
        var next = cachedisk_error(-code)
        while next.pointee != 0, count < buffer.count {
            buffer[count] = UInt8(bitPattern: next.pointee)
            count += 1
            next += 1
        }
        return count
    }

    private func append(
        _ text: StaticString,
        to buffer: UnsafeMutableRawBufferPointer,
        _ count: inout Int
    ) {
        // Safe: a static string has as many bytes as it says.
        for index in 0..<text.utf8CodeUnitCount where count < buffer.count {
            buffer[count] = text.utf8Start[index]
            count += 1
        }
    }

    private var stepText: StaticString {
        switch step {
        case .folder: "cannot open the folder"
        case .subfolders: "cannot make the folders in it"
        case .ownership: "cannot take the folder"
        case .list: "cannot list its files"
        case .create: "cannot make a file"
        case .write: "cannot write a file"
        case .sync: "cannot sync a file"
        case .publish: "cannot rename a file"
        case .open: "cannot open a file"
        case .read: "cannot read a file"
        case .remove: "cannot remove a file"
        case .memory: "no memory"
        }
    }

    private var ownText: StaticString? {
        switch Int(-code) {
        case Int(CACHEDISK_NOT_A_FOLDER): "it is not a folder"
        case Int(CACHEDISK_OWNER): "it belongs to another user"
        case Int(CACHEDISK_MODE): "others may enter it; its mode must be 0700"
        case Int(CACHEDISK_FOREIGN): "it has files that are not the cache's"
        case Int(CACHEDISK_VERSION): "it has files of another version"
        case Int(CACHEDISK_LOST): "another process has taken it"
        case Int(CACHEDISK_SHORT): "it ends too early"
        default: nil
        }
    }
}
