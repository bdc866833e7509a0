import CCache
import CSluice
import CachePolicy
import TinyUFO

/// Collects the fields of an object, in memory of the worker, and makes its first block.
struct ObjectBuilder {
    /// Room for `ObjectHead.fieldsMax` fields.
    private let start: UnsafeMutablePointer<sluice_field>
    private(set) var count = 0
    private var textBytes = 0
    /// Whether there were more than there is room for.
    private(set) var isOver = false

    init(_ start: UnsafeMutablePointer<sluice_field>) { self.start = start }

    var list: UnsafeBufferPointer<sluice_field> {
        UnsafeBufferPointer(start: start, count: count)
    }

    mutating func add(_ field: sluice_field) {
        guard count < ObjectHead.fieldsMax else {
            isOver = true
            return
        }
        // Safe: there is room for `fieldsMax` fields.
        start[count] = field
        count += 1
        textBytes += Int(field.name_len) + Int(field.value_len)
    }

    mutating func add(_ name: Text, _ id: Int, _ value: Text) {
        var field = sluice_field()
        field.name = name.start
        field.name_len = UInt32(name.count)
        field.value = value.start
        field.value_len = UInt32(value.count)
        field.id = UInt16(id)
        add(field)
    }

    /// Takes out the fields whose names a closure does not want.
    mutating func keep(_ isWanted: (Text) -> Bool) {
        let all = count
        count = 0
        textBytes = 0
        for index in 0..<all where isWanted(start[index].nameText) { add(start[index]) }
    }

    func contains(_ name: Text) -> Bool {
        for index in 0..<count where list[index].nameText == name { return true }
        return false
    }

    /// The first block of an object with these fields.
    ///
    /// - Parameters:
    ///   - head: what is known beside the fields.
    ///   - bodyCapacity: bytes of the body that the block has room for.
    /// - Returns: nil when the head is too large, or there is no memory.
    func make(_ head: ObjectHead, bodyCapacity: Int) -> ByteBlock? {
        let fieldsOffset = MemoryLayout<ObjectHead>.stride
        let textOffset = fieldsOffset + count * MemoryLayout<sluice_field>.stride
        let size = (textOffset + textBytes + 15) & ~15
        guard !isOver, size <= ObjectHead.byteCountMax,
            let block = ByteBlock(capacity: size + bodyCapacity), let memory = cache_zeroed(size)
        else { return nil }
        defer { cache_free(memory) }
        // Safe: the block has room for `size` bytes; addresses are those that they will have there.
        let home = block.bytes.baseAddress.unsafelyUnwrapped
        var head = head
        head.fields = (home + fieldsOffset).assumingMemoryBound(to: sluice_field.self)
        head.fieldCount = UInt32(count)
        head.bodyOffset = UInt32(size)
        let fields = (memory + fieldsOffset).bindMemory(to: sluice_field.self, capacity: count)
        var place = 0
        var text = textOffset
        // What a 304 has comes first, the type last, so that both are a shorter array.
        for group in 0..<3 {
            for index in 0..<count where Self.group(list[index].nameText) == group {
                var field = list[index]
                field.name = Self.copy(field.nameText, memory, home, &text)
                field.value = Self.copy(field.valueText, memory, home, &text)
                field.flags = field.flags & ~UInt16(SLUICE_FIELD_FLAG_REPEATED)
                if field.id != 0, Self.has(fields, place, field.id) {
                    field.flags |= UInt16(SLUICE_FIELD_FLAG_REPEATED)
                }
                fields[place] = field
                if group == 2 { head.contentType = field.valueText.slice }
                if Int(field.id) == Int(SLUICE_FIELD_ETAG), head.entityTag.ptr == nil {
                    head.entityTag = field.valueText.slice
                }
                place += 1
            }
            if group == 0 { head.notModifiedCount = UInt32(place) }
            if group == 1 { head.withoutTypeCount = UInt32(place) }
        }
        memory.bindMemory(to: ObjectHead.self, capacity: 1).initialize(to: head)
        block.append(UnsafeRawBufferPointer(start: memory, count: size))
        return block
    }

    private static func group(_ name: Text) -> Int {
        if name == "content-type" { return 2 }
        return StoredFields.isOfContent(name) ? 1 : 0
    }

    private static func has(
        _ fields: UnsafeMutablePointer<sluice_field>,
        _ count: Int,
        _ id: UInt16
    ) -> Bool {
        for index in 0..<count where fields[index].id == id { return true }
        return false
    }

    private static func copy(
        _ source: Text,
        _ memory: UnsafeMutableRawPointer,
        _ home: UnsafeRawPointer,
        _ offset: inout Int
    ) -> UnsafePointer<UInt8> {
        // Safe: the texts' bytes were added up when they were added.
        (memory + offset).copyMemory(from: source.start, byteCount: source.count)
        defer { offset += source.count }
        return (home + offset).assumingMemoryBound(to: UInt8.self)
    }

    /// A marker for a key whose variants differ by these fields.
    ///
    /// - Parameters:
    ///   - list: the newest one.
    ///   - before: a marker whose lists stay behind it, as many as there may be.
    static func marker(_ list: VariantList, before: ObjectRef?, now: UInt64) -> ByteBlock? {
        let names = list.names
        let size = MemoryLayout<ObjectHead>.stride
        let others = min(before?.listCount ?? 0, Variance.listsMax - 1)
        var capacity = size + names.count
        for index in 0..<others {
            capacity += VariantList.overheadBytes + (before?.list(index).names.count ?? 0)
        }
        guard let block = ByteBlock(capacity: capacity) else { return nil }
        let home = block.bytes.baseAddress.unsafelyUnwrapped
        var head = ObjectHead()
        head.kind = ObjectHead.Kind.marker.rawValue
        head.epoch = list.epoch
        head.fieldCount = UInt32(1 + others)
        head.storedAt = now
        // Safe: the names follow the head.
        let text = (home + size).assumingMemoryBound(to: UInt8.self)
        head.names = sluice_slice(ptr: text, len: UInt64(names.count))
        withUnsafeBytes(of: head) { bytes in _ = block.append(bytes) }
        block.append(names.raw)
        for index in 0..<others {
            guard let other = before?.list(index) else { break }
            let start = (other.epoch, UInt64(other.names.count))
            withUnsafeBytes(of: start) { bytes in _ = block.append(bytes) }
            block.append(other.names.raw)
        }
        return block
    }
}
