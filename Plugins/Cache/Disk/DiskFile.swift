internal import CCacheDisk

/// Clocks of the machine.
public enum DiskClock {
    /// Nanoseconds since 1970.
    public static var wallNanoseconds: UInt64 { cachedisk_wall_nanoseconds() }
}

/// Files by their descriptors, for who reads them beside an entry.
public enum DiskFile {
    /// Reads what is in memory already; for workers.
    ///
    /// - Returns: how many bytes there were; 0 if the first one has to come from the disk.
    public static func readCached(
        _ descriptor: Int32,
        into buffer: UnsafeMutableRawBufferPointer,
        at offset: UInt64
    ) -> Int {
        guard let start = buffer.baseAddress else { return 0 }
        return Int(cachedisk_read_cached(descriptor, start, buffer.count, offset))
    }

    /// Reads all of the bytes.
    ///
    /// - Returns: false when they can't be read.
    public static func readBlocking(
        _ descriptor: Int32,
        into buffer: UnsafeMutableRawBufferPointer,
        at offset: UInt64
    ) -> Bool {
        guard let start = buffer.baseAddress else { return true }
        return cachedisk_read(descriptor, start, buffer.count, offset) == 0
    }

    /// Closes a descriptor of `DiskWriter.duplicate`.
    public static func closeBlocking(_ descriptor: Int32) { cachedisk_close(descriptor) }
}
