import CCache
import CSluice
import CachePolicy

// From the bytes of a file to a head that answers are made of.

extension DiskHead {
    /// What is known of an object beside its metadata.
    struct Frame {
        /// Bytes of its body.
        var bodyCount: UInt64
        /// When it was made stale, in nanoseconds since 1970; 0 for never.
        var staleSince: UInt64
        /// Of the rules that keys are made by.
        var rules: UInt64
    }

    /// Makes a head, in memory of `malloc` that is the caller's.
    ///
    /// - Returns: nil for what is no head of this version or these rules, for one that was written
    ///   in the future, and when there is no memory.
    static func read(
        _ bytes: UnsafeRawBufferPointer,
        _ frame: Frame,
        now: Times
    ) -> UnsafeMutableRawPointer? {
        guard let view = View(bytes), view.rules == frame.rules,
            var head = head(view, frame, now)
        else { return nil }
        let fieldsOffset = MemoryLayout<ObjectHead>.stride
        let textOffset = fieldsOffset + view.fieldCount * MemoryLayout<sluice_field>.stride
        var size = textOffset + view.names.count
        view.forEachField { field in
            size += Int(field.name_len) + Int(field.value_len)
            return true
        }
        guard size <= ObjectHead.byteCountMax, let memory = cache_zeroed(size) else { return nil }
        let fields = (memory + fieldsOffset).bindMemory(
            to: sluice_field.self,
            capacity: view.fieldCount
        )
        var text = textOffset
        head.names = copy(view.names, memory, &text).slice
        head.fields = UnsafePointer(fields)
        // A marker counts its lists there.
        head.fieldCount = view.isMarker ? 1 : UInt32(view.fieldCount)
        head.bodyOffset = UInt32(size)
        var index = 0
        var isGood = true
        view.forEachField { field in
            isGood = isSound(field)
            var field = field
            let name = copy(field.nameText, memory, &text)
            let value = copy(field.valueText, memory, &text)
            field.name = name.start
            field.value = value.start
            fields[index] = field
            index += 1
            note(field, in: &head)
            return isGood
        }
        guard isGood else {
            cache_free(memory)
            return nil
        }
        memory.bindMemory(to: ObjectHead.self, capacity: 1).initialize(to: head)
        return memory
    }

    /// What answers use of a field, beside all of it.
    private static func note(_ field: sluice_field, in head: inout ObjectHead) {
        if field.nameText == "content-type" { head.contentType = field.valueText.slice }
        if Int(field.id) == Int(SLUICE_FIELD_ETAG), head.entityTag.ptr == nil {
            head.entityTag = field.valueText.slice
        }
    }

    private static func copy(
        _ source: Text,
        _ memory: UnsafeMutableRawPointer,
        _ offset: inout Int
    ) -> Text {
        // Safe: the caller has added all lengths up.
        let start = (memory + offset).assumingMemoryBound(to: UInt8.self)
        start.update(from: source.start, count: source.count)
        offset += source.count
        return Text(UnsafePointer(start), count: source.count)
    }

    /// Whether a field may stand in a response (RFC 9110 §5.1, §5.5).
    private static func isSound(_ field: sluice_field) -> Bool {
        let name = field.nameText
        guard name.isToken, !StoredFields.isExcluded(name) else { return false }
        let value = field.valueText
        for offset in 0..<value.count {
            let byte = value[offset]
            if byte < 0x20 && byte != 0x09 || byte == 0x7F { return false }
        }
        return true
    }

    /// The numbers, each in its range; nil when one is not.
    private static func head(_ view: View, _ frame: Frame, _ now: Times) -> ObjectHead? {
        var head = ObjectHead()
        guard let kind = ObjectHead.Kind(rawValue: view.byte(4)) else { return nil }
        head.kind = kind.rawValue
        head.isShared = view.byte(5) & 1
        head.flags = view.short(6)
        head.status = view.number(8)
        head.notModifiedCount = view.number(16)
        head.withoutTypeCount = view.number(20)
        head.initialAge = seconds(view.long(56))
        // An Expires of before Date makes one below 0.
        head.lifetime = min(view.long(64), ResponseDirectives.secondsMax)
        head.staleWhileRevalidate = seconds(view.long(72))
        head.staleIfError = seconds(view.long(80))
        head.epoch = view.epoch
        head.lastModified = view.long(96)
        head.date = view.long(104)
        head.bodyLength = frame.bodyCount
        guard head.notModifiedCount <= head.withoutTypeCount,
            head.withoutTypeCount <= UInt32(view.fieldCount),
            head.lifetime >= -ResponseDirectives.secondsMax
        else { return nil }
        switch kind {
        case .object: guard (200..<600).contains(head.status) else { return nil }
        case .marker: guard isList(view.names), view.fieldCount == 0 else { return nil }
        }
        guard place(&head, view, now) else { return nil }
        if frame.staleSince != 0 {
            let ago = now.wall > frame.staleSince ? now.wall - frame.staleSince : 0
            let since = now.monotonic > ago ? now.monotonic - ago : 0
            // A marker's counts for variants that came before it, whenever the marker came.
            head.staleSince = max(since, kind == .object ? head.storedAt : 0, 1)
        }
        return head
    }

    private static func seconds(_ number: Int64) -> Int64 {
        min(max(number, 0), ResponseDirectives.secondsMax)
    }

    /// Whether each name is there behind its length.
    private static func isList(_ names: Text) -> Bool {
        var rest = names
        guard names.count <= Variance.nameBytesMax else { return false }
        while !rest.isEmpty {
            let count = Int(rest[0])
            guard count > 0, count < rest.count else { return false }
            rest = rest.dropFirst(1 + count)
        }
        return true
    }

    /// Says by the clock of now when the object came; false if that was in the future.
    private static func place(_ head: inout ObjectHead, _ view: View, _ now: Times) -> Bool {
        let storedAt = UInt64(bitPattern: view.long(40))
        head.storedWall = view.long(48)
        guard head.storedWall >= 0, head.storedWall <= now.wallSeconds + clockSecondsMax else {
            return false
        }
        let resident = elapsed(from: head.storedWall, to: now.wallSeconds)
        let measured = now.monotonic &- storedAt
        let most = UInt64(clockSecondsMax) * 1_000_000_000
        if storedAt <= now.monotonic, measured <= resident + most, resident <= measured + most {
            // The machine has not been started anew since.
            head.storedAt = storedAt
            return true
        }
        head.storedAt = now.monotonic > resident ? now.monotonic - resident : 0
        // What was before this machine was started.
        let rest = Int64((resident - (now.monotonic - head.storedAt)) / 1_000_000_000)
        head.initialAge = min(head.initialAge + rest, ResponseDirectives.secondsMax)
        return true
    }

    /// Nanoseconds between two times, 0 if they are the other way round.
    private static func elapsed(from start: Int64, to end: Int64) -> UInt64 {
        let seconds = min(max(end - start, 0), ResponseDirectives.secondsMax)
        return UInt64(seconds) * 1_000_000_000
    }
}
