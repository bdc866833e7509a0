public import TinyUFO

extension DiskStore {
    /// Whether an object waits for the disk before it can be found.
    public enum Sync: UInt8, Sendable, BitwiseCopyable {
        /// It does not.
        ///
        /// A process that dies loses nothing, as the kernel has the bytes. A machine that dies may
        /// lose objects, which checksums then show.
        case none
        /// Its bytes are on the disk before it has its name: a file that is there is whole, too,
        /// after the machine has died.
        case data
    }

    /// Sizes of a store, all fixed when it is opened.
    public struct Configuration: Sendable {
        /// Bytes of all files, in whole blocks of `blockBytes`: `sizeMin` to `sizeMax`.
        public var size: UInt64
        /// Bytes of one object's body: 1 to `bodyBytesLimit`; less fits if `size` is too small.
        public var bodyBytesMax: UInt64
        /// Objects: 1 to `objectsLimit`.
        ///
        /// Each takes `objectMemoryBytes` or less, once there have been as many.
        public var objectsMax: Int
        /// Files that are open to be read, whether somebody does or not: 1 to `openFilesLimit`.
        ///
        /// Each has its key and its metadata in memory.
        public var openFilesMax = 256
        /// Objects that are written at the same time: 1 to `writersLimit`.
        public var writersMax = 64
        /// Whether an object waits for the disk.
        public var sync = Sync.none
        /// Time after an error until it is tried again, in nanoseconds.
        public var retryNanoseconds: UInt64 = 10_000_000_000
        /// The hash of keys, the same as the caller computes.
        public var keyHash: KeyHash

        /// A store of this many bytes.
        public init(size: UInt64, keyHash: KeyHash) {
            self.size = size
            bodyBytesMax = min(max(size / 4, 1), DiskStore.bodyBytesLimit)
            let objects = size / Self.objectBytesExpected
            objectsMax = Int(clamping: min(max(objects, 1), UInt64(DiskStore.objectsLimit)))
            self.keyHash = keyHash
        }

        /// The index is made for objects of this size or larger; with smaller ones it is the index
        /// that is full first.
        static let objectBytesExpected: UInt64 = 32_768

        /// The member that is out of its range; nil for none.
        func fault() -> ConfigurationError? {
            if !(DiskStore.sizeMin...DiskStore.sizeMax).contains(size) { return .size }
            if !(1...DiskStore.bodyBytesLimit).contains(bodyBytesMax) { return .bodyBytesMax }
            if !(1...DiskStore.objectsLimit).contains(objectsMax) { return .objectsMax }
            if !(1...DiskStore.openFilesLimit).contains(openFilesMax) { return .openFilesMax }
            if !(1...DiskStore.writersLimit).contains(writersMax) { return .writersMax }
            return nil
        }
    }

    /// The member of a configuration that is out of its range.
    public enum ConfigurationError: Equatable, Sendable {
        /// Not `sizeMin` to `sizeMax`.
        case size
        /// Not 1 to `bodyBytesLimit`.
        case bodyBytesMax
        /// Not 1 to `objectsLimit`.
        case objectsMax
        /// Not 1 to `openFilesLimit`.
        case openFilesMax
        /// Not 1 to `writersLimit`.
        case writersMax
    }

    /// What bytes on the disk are counted in, and what a body begins at a multiple of.
    public static let blockBytes: UInt64 = 4_096
    /// The least `size`: 1 MiB.
    public static let sizeMin: UInt64 = 1_048_576
    /// The largest `size`: 1 PiB.
    public static let sizeMax: UInt64 = 1 << 50
    /// Bytes that an object's body can have: 8 TiB.
    public static let bodyBytesLimit: UInt64 = 1 << 43
    /// Objects that a store can be made for.
    public static let objectsLimit = 134_217_728
    /// Files that can be open.
    public static let openFilesLimit = 16_384
    /// Objects that can be written at the same time.
    public static let writersLimit = 1_024
    /// Bytes of a key.
    public static let keyBytesMax = TinyUFO.keyBytesMax
    /// Bytes of an object's metadata.
    public static let metaBytesMax = 262_144
    /// Memory that an object takes in the index, in bytes.
    public static let objectMemoryBytes = ObjectTable.bytesPerObject
}
