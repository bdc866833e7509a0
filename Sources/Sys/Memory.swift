import Glibc

/// Memory that may be refused, unlike what Swift allocates.
public enum Memory {
    /// Bytes that are all 0, 16-byte aligned; nil when there are not as many.
    ///
    /// Large blocks cost nothing until they are touched.
    public static func zeroed(_ count: Int) -> UnsafeMutableRawPointer? {
        calloc(1, count)
    }

    /// Bytes that are not initialized, 16-byte aligned; nil when there are not as many.
    public static func allocate(_ count: Int) -> UnsafeMutableRawPointer? {
        malloc(count)
    }

    /// Gives back what `zeroed` or `allocate` gave.
    public static func free(_ memory: UnsafeMutableRawPointer) {
        Glibc.free(memory)
    }
}
