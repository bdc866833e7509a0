internal import CCacheDisk

/// A file that is open to be read, in memory that stays one's as long as the store lives.
struct OpenFile: BitwiseCopyable {
    typealias Pointer = UnsafeMutablePointer<OpenFile>

    let store: Store.Pointer
    var descriptor: Int32 = -1
    /// Entries that were given out, and 1 as long as an object has it.
    var references = 0
    /// The object that has it; `ObjectTable.none` when that is gone.
    var record = ObjectTable.none
    /// Blocks that are free when it is closed, as its object is gone.
    var blocks: UInt32 = 0
    var wasUsed = false
    /// Next free one, or next one to be closed.
    var next: UInt16 = 0
    /// Fixed, and there, as long as there are references.
    var head: Head?
    /// What the owner of the store has made of the metadata: set once, on any thread.
    var form: UnsafeMutableRawPointer?

    init(store: Store.Pointer) { self.store = store }
}

/// The files that are open to be read: so many and not more.
///
/// Numbers of files begin at 1; 0 is none. Under the store's lock.
struct FileTable {
    private let files: OpenFile.Pointer
    let capacity: Int
    private var free: UInt16 = 0
    /// Nobody has them, and they are to be closed.
    private var closing: UInt16 = 0
    private var hand = 0
    /// Files that are not free.
    private(set) var taken = 0

    /// - Returns: nil when there is no memory.
    init?(capacity: Int, store: Store.Pointer) {
        guard let memory = cachedisk_zeroed(capacity, MemoryLayout<OpenFile>.stride) else {
            return nil
        }
        files = memory.bindMemory(to: OpenFile.self, capacity: capacity)
        self.capacity = capacity
        for number in stride(from: capacity, to: 0, by: -1) {
            (files + (number - 1)).initialize(to: OpenFile(store: store))
            files[number - 1].next = free
            free = UInt16(number)
        }
    }

    func destroy() { cachedisk_free(files) }

    /// A file by its number, which came from here.
    @inline(__always)
    func file(_ number: UInt16) -> OpenFile.Pointer {
        // Safe: numbers are given out up to the capacity.
        files + (Int(number) - 1)
    }

    private func number(_ file: OpenFile.Pointer) -> UInt16 { UInt16(file - files + 1) }

    /// A place for a file that is about to be opened; nil when all are taken.
    mutating func take() -> OpenFile.Pointer? {
        guard free != 0 else { return nil }
        let file = file(free)
        free = file.pointee.next
        taken += 1
        return file
    }

    /// Gives a place back whose file is closed.
    mutating func give(_ file: OpenFile.Pointer) {
        file.pointee.descriptor = -1
        file.pointee.record = ObjectTable.none
        file.pointee.blocks = 0
        file.pointee.head = nil
        file.pointee.form = nil
        file.pointee.next = free
        free = number(file)
        taken -= 1
    }

    /// Lets an object have the file, and one reader.
    func attach(_ file: OpenFile.Pointer, to record: UInt32, of table: ObjectTable) {
        table[record].file = number(file)
        file.pointee.record = record
        file.pointee.references = 2
        file.pointee.wasUsed = true
    }

    /// Takes it away from its object.
    ///
    /// - Parameter blocks: what is free when the file is closed.
    /// - Returns: whether nobody has it now, and it is to be closed.
    @discardableResult
    mutating func detach(
        _ file: OpenFile.Pointer,
        of table: ObjectTable,
        blocks: UInt32
    ) -> Bool {
        table[file.pointee.record].file = 0
        file.pointee.record = ObjectTable.none
        file.pointee.blocks = blocks
        return release(file)
    }

    /// One reference less; true if it was the last, and the file is to be closed.
    mutating func release(_ file: OpenFile.Pointer) -> Bool {
        file.pointee.references -= 1
        guard file.pointee.references == 0 else { return false }
        file.pointee.next = closing
        closing = number(file)
        return true
    }

    /// All that are to be closed, as the number of the first.
    mutating func takeClosing() -> UInt16 {
        let first = closing
        closing = 0
        return first
    }

    /// Moves a hand over the files (CLOCK) until one is found that only its object has.
    ///
    /// - Parameter moves: as many as there may be; less those that there were.
    mutating func findIdle(_ moves: inout Int, chunk: Int) -> OpenFile.Pointer? {
        var left = min(moves, chunk)
        moves -= left
        while left > 0 {
            left -= 1
            let file = files + hand
            hand = hand + 1 == capacity ? 0 : hand + 1
            guard file.pointee.record != ObjectTable.none, file.pointee.references == 1 else {
                continue
            }
            if !file.pointee.wasUsed { return file }
            file.pointee.wasUsed = false
        }
        return nil
    }
}
