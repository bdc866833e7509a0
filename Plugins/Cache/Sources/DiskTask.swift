/// Something that is to be done on a thread that may wait for the disk.
///
/// It is the first member of whatever it belongs to, so that nothing is allocated to ask for it.
struct DiskTask: BitwiseCopyable {
    typealias Pointer = UnsafeMutablePointer<DiskTask>

    enum Kind: UInt8 {
        /// The tier's own: opens the folder, finds what was there, removes what is to go.
        case work
        /// `Opening`.
        case open
        /// `DiskFill`: writes what has come, and ends.
        case diskFill
        /// `DiskFill`: frees it.
        case retire
        /// `Load`.
        case load
        /// `Renewal`.
        case renew
        /// `Removal`.
        case remove
    }

    var kind: Kind
    var next: Pointer?

    init(_ kind: Kind) { self.kind = kind }
}

/// Tasks that wait, oldest first; under a lock of the owner's.
struct DiskTaskQueue: BitwiseCopyable {
    private var first: DiskTask.Pointer?
    private var last: DiskTask.Pointer?

    init() {}

    var isEmpty: Bool { first == nil }

    mutating func push(_ task: DiskTask.Pointer) {
        task.pointee.next = nil
        if let last { last.pointee.next = task } else { first = task }
        last = task
    }

    mutating func pop() -> DiskTask.Pointer? {
        guard let task = first else { return nil }
        first = task.pointee.next
        if first == nil { last = nil }
        return task
    }
}

extension UnsafeMutablePointer where Pointee == DiskTask {
    /// What the task is the first member of.
    func owner<Owner: ~Copyable>(_ type: Owner.Type) -> UnsafeMutablePointer<Owner> {
        // Safe: the kind says what it belongs to, which begins with it.
        UnsafeMutableRawPointer(self).assumingMemoryBound(to: Owner.self)
    }
}

extension UnsafeMutablePointer where Pointee: ~Copyable {
    /// The task that this begins with.
    var task: DiskTask.Pointer {
        UnsafeMutableRawPointer(self).assumingMemoryBound(to: DiskTask.self)
    }
}
