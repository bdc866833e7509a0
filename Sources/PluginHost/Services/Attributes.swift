import CSluice
import Synchronization
import Sys

/// What plugins leave with a request for those that come later.
enum Attributes {
    /// Keys in the process.
    static let keysMax = 256
    /// Bytes of a key's name.
    static let nameBytesMax = 64
    /// Bytes of a value.
    static let bytesMax = 4_096

    private static let names = Mutex<[String: UInt32]>([:])
    /// Keys that were given out; only grows.
    private static let count = Atomic<Int>(0)

    /// A key is its index with its type above, so that a look-up needs nothing shared.
    private static let typeShift: UInt32 = 16

    /// `attr_key` of the ABI.
    static func key(
        _ name: sluice_slice,
        type: UInt32,
        _ key: UnsafeMutablePointer<UInt32>
    ) -> Int32 {
        guard name.ptr != nil, 1...UInt64(nameBytesMax) ~= name.len,
            type == SLUICE_ATTR_U64 || type == SLUICE_ATTR_BYTES
        else { return Int32(SLUICE_EINVAL) }
        return names.withLock { names in
            if let known = names[name.text] {
                guard known >> typeShift == type else { return Int32(SLUICE_EINVAL) }
                key.pointee = known
                return Int32(SLUICE_OK)
            }
            guard names.count < keysMax else { return Int32(SLUICE_ENOMEM) }
            let made = type << typeShift | UInt32(names.count)
            names[name.text] = made
            key.pointee = made
            count.store(names.count, ordering: .releasing)
            return Int32(SLUICE_OK)
        }
    }

    /// The index of a key of this type, or nil.
    private static func index(_ key: UInt32, _ type: Int) -> Int? {
        let index = Int(key & (1 << typeShift - 1))
        guard key >> typeShift == type, index < count.load(ordering: .acquiring) else {
            return nil
        }
        return index
    }

    // MARK: A request's table

    /// The values of a request; in its arena.
    struct Table {
        var slots: UnsafeMutablePointer<Value>
        var capacity: Int
    }

    /// One value.
    ///
    /// Bytes keep their memory, so that setting them again need not take more.
    struct Value {
        var isSet = false
        var number: UInt64 = 0
        var bytes: UnsafeMutablePointer<UInt8>?
        var length: UInt32 = 0
        var capacity: UInt32 = 0
    }

    private static func value(
        _ context: UnsafeMutablePointer<RequestContext>,
        _ index: Int
    ) -> UnsafeMutablePointer<Value>? {
        guard let table = context.pointee.attributes, index < table.pointee.capacity else {
            return nil
        }
        return table.pointee.slots + index
    }

    /// The place of a value, made with the table when there is none; nil without memory.
    private static func place(
        _ context: UnsafeMutablePointer<RequestContext>,
        _ index: Int
    ) -> UnsafeMutablePointer<Value>? {
        if let value = value(context, index) { return value }
        // All keys that there are: a request grows its table only when a key was made meanwhile.
        let capacity = count.load(ordering: .acquiring)
        guard index < capacity,
            let slots = context.pointee.arena.allocate(Value.self, count: capacity)
        else { return nil }
        slots.initialize(repeating: Value(), count: capacity)
        if let table = context.pointee.attributes {
            slots.update(from: table.pointee.slots, count: table.pointee.capacity)
            table.pointee = Table(slots: slots, capacity: capacity)
        } else {
            guard let table = context.pointee.arena.allocate(Table.self, count: 1) else {
                return nil
            }
            table.initialize(to: Table(slots: slots, capacity: capacity))
            context.pointee.attributes = table
        }
        return slots + index
    }

    /// `attr_set_u64` of the ABI.
    static func set(
        _ context: UnsafeMutablePointer<RequestContext>,
        _ key: UInt32,
        _ number: UInt64
    ) -> Int32 {
        guard let index = index(key, SLUICE_ATTR_U64) else { return Int32(SLUICE_EINVAL) }
        guard let value = place(context, index) else { return Int32(SLUICE_ENOMEM) }
        value.pointee.number = number
        value.pointee.isSet = true
        return Int32(SLUICE_OK)
    }

    /// `attr_set_bytes` of the ABI.
    static func set(
        _ context: UnsafeMutablePointer<RequestContext>,
        _ key: UInt32,
        _ bytes: sluice_slice
    ) -> Int32 {
        guard let index = index(key, SLUICE_ATTR_BYTES), bytes.len <= UInt64(bytesMax),
            bytes.ptr != nil || bytes.len == 0
        else { return Int32(SLUICE_EINVAL) }
        guard let value = place(context, index) else { return Int32(SLUICE_ENOMEM) }
        if UInt32(bytes.len) > value.pointee.capacity {
            guard let memory = context.pointee.allocateForPlugin(Int(bytes.len)) else {
                return Int32(SLUICE_ENOMEM)
            }
            if let old = bytes.ptr { memory.copyMemory(from: old, byteCount: Int(bytes.len)) }
            value.pointee.bytes = memory.assumingMemoryBound(to: UInt8.self)
            value.pointee.capacity = UInt32(bytes.len)
        } else if let from = bytes.ptr {
            // They may overlap: what `attr_get_bytes` gave, or a part of it, set again.
            value.pointee.bytes?.update(from: from, count: Int(bytes.len))
        }
        value.pointee.length = UInt32(bytes.len)
        value.pointee.isSet = true
        return Int32(SLUICE_OK)
    }

    /// `attr_get_u64` of the ABI.
    static func get(
        _ context: UnsafeMutablePointer<RequestContext>,
        _ key: UInt32,
        _ number: UnsafeMutablePointer<UInt64>
    ) -> Int32 {
        guard let index = index(key, SLUICE_ATTR_U64) else { return Int32(SLUICE_EINVAL) }
        guard let value = value(context, index), value.pointee.isSet else {
            return Int32(SLUICE_ESTALE)
        }
        number.pointee = value.pointee.number
        return Int32(SLUICE_OK)
    }

    /// `attr_get_bytes` of the ABI.
    static func get(
        _ context: UnsafeMutablePointer<RequestContext>,
        _ key: UInt32,
        _ bytes: UnsafeMutablePointer<sluice_slice>
    ) -> Int32 {
        guard let index = index(key, SLUICE_ATTR_BYTES) else { return Int32(SLUICE_EINVAL) }
        guard let value = value(context, index), value.pointee.isSet else {
            return Int32(SLUICE_ESTALE)
        }
        bytes.pointee = sluice_slice(
            ptr: UnsafePointer(value.pointee.bytes),
            len: UInt64(value.pointee.length)
        )
        return Int32(SLUICE_OK)
    }

    // MARK: The hash key

    /// Bytes of a hash key.
    static let hashKeyBytesMax = 4_096

    /// `set_hash_key` of the ABI.
    static func setHashKey(
        _ context: UnsafeMutablePointer<RequestContext>,
        _ key: sluice_slice
    ) -> Int32 {
        let worker = context.pointee.worker
        guard worker.pointee.context == context, worker.pointee.entry != nil,
            worker.pointee.args.pointee.phase == UInt32(SLUICE_PHASE_REQUEST_HEADERS),
            context.pointee.facts.attempt == 0
        else { return Int32(SLUICE_ENOTSUP) }
        guard key.len <= UInt64(hashKeyBytesMax), key.ptr != nil || key.len == 0 else {
            return Int32(SLUICE_EINVAL)
        }
        guard let memory = context.pointee.allocateForPlugin(max(Int(key.len), 1)) else {
            return Int32(SLUICE_ENOMEM)
        }
        if let from = key.ptr { memory.copyMemory(from: from, byteCount: Int(key.len)) }
        context.pointee.hashKey = Slice(
            memory.assumingMemoryBound(to: UInt8.self),
            Int(key.len)
        )
        return Int32(SLUICE_OK)
    }
}
