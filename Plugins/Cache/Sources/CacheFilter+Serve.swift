import CCache
import CSluice
import CachePolicy
import SluiceSDK
import Synchronization
import TinyUFO

/// How an answer came about, for `Cache-Status` and the facts.
struct ServeNote: BitwiseCopyable {
    /// `SLUICE_CACHE_STATUS_*`.
    var status: Int
    /// Of the request that went to the origin for it; nil when none did.
    var forward: CacheStatusText.Forward?
    var forwardStatus = 0
    var isCollapsed = false
    /// Whether conditions and ranges of the request's fields are the client's.
    var isDirect = true
}

// Answers of what is stored.

extension CacheFilter {
    /// Serves an object of the store.
    func serve(
        _ lookup: borrowing CacheLookup<CacheFilter>,
        _ pin: consuming Pin,
        _ serving: Serving,
        _ status: Int,
        _ now: UInt64
    ) -> CacheVerdict {
        guard let answer = lookup.answer,
            let reader = lookup.workerPointer.pointee.readers.pointee.take()
        else { return bypass(lookup, .noMemory) }
        let bytes = pin.bytes
        let object = ObjectRef(bytes)
        reader.pointee.first = bytes.baseAddress
        reader.pointee.firstCount = bytes.count
        reader.pointee.bodyOffset = Int(object.head.pointee.bodyOffset)
        if let length = object.bodyLength, length > UInt64(bytes.count - reader.pointee.bodyOffset)
        {
            reader.pointee.block = pin.value.toOpaque()
        }
        reader.pointee.pin = pin.toOpaque()
        compose(answer, reader, object, lookup.fields, serving, note(lookup, status))
        count(status)
        return .hit
    }

    /// Serves what is still arriving; takes over the reference to the fill.
    ///
    /// - Returns: nil when it has just turned out that it can't be stored.
    func serve(
        _ lookup: borrowing CacheLookup<CacheFilter>,
        _ fill: Fill.Pointer,
        _ object: ObjectRef,
        _ serving: Serving,
        _ now: UInt64
    ) -> CacheVerdict? {
        guard let answer = lookup.answer,
            let reader = lookup.workerPointer.pointee.readers.pointee.take()
        else {
            fill.release()
            return bypass(lookup, .noMemory)
        }
        let isJoined = fill.locked {
            // Its beginning is there, and what follows may be no more.
            guard !fill.pointee.isSpilled.load(ordering: .relaxed) else { return false }
            fill.pointee.link(reader: reader)
            return true
        }
        guard isJoined else {
            lookup.workerPointer.pointee.readers.pointee.give(reader)
            fill.release()
            return nil
        }
        reader.pointee.fill = fill
        reader.pointee.first = UnsafeRawPointer(object.head)
        reader.pointee.bodyOffset = Int(object.head.pointee.bodyOffset)
        let note = note(lookup, Int(SLUICE_CACHE_STATUS_HIT))
        compose(answer, reader, object, lookup.fields, serving, note)
        count(note.status)
        return .hit
    }

    private func note(
        _ lookup: borrowing CacheLookup<CacheFilter>,
        _ status: Int
    ) -> ServeNote {
        var note = ServeNote(status: status)
        let context = lookup.contextPointer
        if context.pointee.hasWaited {
            note.forward = CacheStatusText.Forward(rawValue: context.pointee.forward)
            note.isCollapsed = true
        } else if status == Int(SLUICE_CACHE_STATUS_STALE_ERROR) {
            note.forward = nil
        }
        return note
    }

    func count(_ status: Int) {
        switch status {
        case Int(SLUICE_CACHE_STATUS_HIT): metrics.hit.add()
        case Int(SLUICE_CACHE_STATUS_STALE): metrics.stale.add()
        case Int(SLUICE_CACHE_STATUS_REVALIDATED): metrics.revalidated.add()
        case Int(SLUICE_CACHE_STATUS_STALE_ERROR): metrics.staleError.add()
        default: break
        }
    }

    /// Fills an answer in: the stored fields, those of now, and what of the body is asked for.
    func compose(
        _ answer: UnsafeMutablePointer<sluice_cache_answer>,
        _ reader: Reader.Pointer,
        _ object: ObjectRef,
        _ fields: Fields,
        _ serving: Serving,
        _ note: ServeNote
    ) {
        let length = object.bodyLength
        answer.pointee.status = object.head.pointee.status
        answer.pointee.fields = object.head.pointee.fields
        answer.pointee.field_count = object.head.pointee.fieldCount
        answer.pointee.reader = UnsafeMutableRawPointer(reader)
        answer.pointee.cache_status = UInt32(note.status)
        answer.pointee.content_length = length ?? .max
        answer.pointee.part_count = 0
        addAge(reader, serving)
        addStatus(reader, serving, note)
        defer {
            answer.pointee.more = reader.moreFields
            answer.pointee.more_count = reader.pointee.moreCount
        }
        let isHead = fields.method == "HEAD"
        if note.isDirect, object.status == 200,
            fields.contains(anyOf: sets.conditional)
        {
            if isNotModified(object, fields) {
                answer.pointee.status = 304
                answer.pointee.field_count = object.head.pointee.notModifiedCount
                answer.pointee.content_length = .max
                return
            }
            // RFC 9110 §14.2: defined for GET alone.
            if !isHead, let length, applyRanges(answer, reader, object, fields, length) { return }
        }
        if isHead || length == 0 { return }
        reader.pointee.part.offset = 0
        reader.pointee.part.length = length ?? .max
        answer.pointee.parts = UnsafePointer(reader.partPointer)
        answer.pointee.part_count = 1
    }

    private func addAge(_ reader: Reader.Pointer, _ serving: Serving) {
        let room = reader.text
        let count = Decimal.write(serving.age, to: room)
        reader.pointee.textCount += count
        reader.add("age", Int(SLUICE_FIELD_AGE), Text(UnsafePointer(room), count: count))
    }

    private func addStatus(_ reader: Reader.Pointer, _ serving: Serving, _ note: ServeNote) {
        if configuration.statusName.isEmpty { return }
        var text = CacheStatusText(
            reader.text,
            capacity: reader.textRoom - Self.contentRangeBytes,
            name: Text(configuration.statusName)
        )
        if let forward = note.forward {
            text.add(forward)
            if note.forwardStatus != 0 { text.add(forwardStatus: note.forwardStatus) }
            if note.isCollapsed { text.addCollapsed() }
        } else {
            text.addHit()
        }
        text.add(timeToLive: serving.lifetime - serving.age)
        reader.pointee.textCount += text.count
        reader.add("cache-status", Int(SLUICE_FIELD_CACHE_STATUS), text.text)
    }

    // MARK: Conditions

    /// RFC 9110 §13.2.2; `If-Match` and `If-Unmodified-Since` went to the origin.
    private func isNotModified(_ object: ObjectRef, _ fields: Fields) -> Bool {
        let validators = object.validators
        if fields.contains(.ifNoneMatch) {
            for field in fields where field.id == .ifNoneMatch {
                if validators.isNoneMatched(by: Text(field.value)) { return true }
            }
            return false
        }
        guard let since = fields[.ifModifiedSince] else { return false }
        return validators.isUnmodified(
            since: Text(since).trimmed,
            now: Int64(host.wallClockSeconds)
        )
    }

    // MARK: Ranges

    /// Bytes of "bytes 0-1/2" at most.
    private static let contentRangeBytes = 80

    /// - Returns: false when the whole is served.
    private func applyRanges(
        _ answer: UnsafeMutablePointer<sluice_cache_answer>,
        _ reader: Reader.Pointer,
        _ object: ObjectRef,
        _ fields: Fields,
        _ length: UInt64
    ) -> Bool {
        guard configuration.rangesMax > 0, let range = fields[.range] else { return false }
        if let condition = fields[.ifRange],
            !object.validators.permitsRange(Text(condition), now: Int64(host.wallClockSeconds))
        {
            return false
        }
        var lines = 0
        for field in fields where field.id == .range { lines += 1 }
        if lines > 1 { return false }
        return withUnsafeTemporaryAllocation(
            of: ByteRanges.Part.self,
            capacity: CacheConfiguration.rangesLimit
        ) { room in
            let parts = room.baseAddress.unsafelyUnwrapped
            switch ByteRanges.parse(
                Text(range),
                length: length,
                into: parts,
                most: configuration.rangesMax
            ) {
            case .whole: return false
            case .unsatisfiable:
                answer.pointee.status = 416
                answer.pointee.field_count = object.head.pointee.notModifiedCount
                answer.pointee.content_length = 0
                addContentRange(reader, nil, length)
                return true
            case .parts(1):
                answer.pointee.status = 206
                reader.pointee.part.offset = parts[0].offset
                reader.pointee.part.length = parts[0].length
                answer.pointee.parts = UnsafePointer(reader.partPointer)
                answer.pointee.part_count = 1
                addContentRange(reader, parts[0], length)
                return true
            case .parts(let count):
                return applyMany(answer, reader, object, parts, count, length)
            }
        }
    }

    private func addContentRange(
        _ reader: Reader.Pointer,
        _ part: ByteRanges.Part?,
        _ length: UInt64
    ) {
        let room = reader.text
        var writer = PartWriter(room)
        writer.append(contentRange: part, length)
        reader.pointee.textCount += writer.count
        let value = Text(UnsafePointer(room), count: writer.count)
        reader.add("content-range", Int(SLUICE_FIELD_CONTENT_RANGE), value)
    }

    /// Several ranges: `multipart/byteranges` (RFC 9110 §14.6).
    private func applyMany(
        _ answer: UnsafeMutablePointer<sluice_cache_answer>,
        _ reader: Reader.Pointer,
        _ object: ObjectRef,
        _ ranges: UnsafeMutablePointer<ByteRanges.Part>,
        _ count: Int,
        _ length: UInt64
    ) -> Bool {
        let type = Text(object.head.pointee.contentType)
        let partsBytes = (2 * count + 1) * MemoryLayout<sluice_cache_part>.stride
        // A boundary of 16 digits, names of fields, and what parts them.
        let textBytes = (count + 2) * (128 + type.count + Self.contentRangeBytes)
        guard let memory = cache_allocate(partsBytes + textBytes) else { return false }
        reader.pointee.ranges = memory
        let parts = memory.bindMemory(to: sluice_cache_part.self, capacity: 2 * count + 1)
        var writer = PartWriter((memory + partsBytes).assumingMemoryBound(to: UInt8.self))
        let typeText = writer.piece { writer in
            writer.append("multipart/byteranges; boundary=")
            writer.append(hex: host.random())
        }
        let boundary = typeText.dropFirst(typeText.count - 16)
        for index in 0..<count {
            let text = writer.piece { writer in
                writer.append(index == 0 ? "--" : "\r\n--")
                writer.append(boundary)
                if !type.isEmpty {
                    writer.append("\r\nContent-Type: ")
                    writer.append(type)
                }
                writer.append("\r\nContent-Range: ")
                writer.append(contentRange: ranges[index], length)
                writer.append("\r\n\r\n")
            }
            parts[2 * index] = sluice_cache_part(text: text.slice, offset: 0, length: 0)
            parts[2 * index + 1] = sluice_cache_part(
                text: sluice_slice(),
                offset: ranges[index].offset,
                length: ranges[index].length
            )
        }
        let end = writer.piece { writer in
            writer.append("\r\n--")
            writer.append(boundary)
            writer.append("--\r\n")
        }
        parts[2 * count] = sluice_cache_part(text: end.slice, offset: 0, length: 0)
        answer.pointee.status = 206
        answer.pointee.field_count = object.head.pointee.withoutTypeCount
        answer.pointee.parts = UnsafePointer(parts)
        answer.pointee.part_count = UInt32(2 * count + 1)
        reader.add("content-type", Int(SLUICE_FIELD_CONTENT_TYPE), typeText)
        return true
    }
}

/// Writes texts of an answer one behind the other, into memory that was measured before.
struct PartWriter {
    private let start: UnsafeMutablePointer<UInt8>
    private(set) var count = 0

    init(_ start: UnsafeMutablePointer<UInt8>) { self.start = start }

    mutating func append(_ text: Text) {
        // Safe: the caller has measured the room.
        (start + count).update(from: text.start, count: text.count)
        count += text.count
    }

    mutating func append(_ number: UInt64) {
        count += Decimal.write(Int64(clamping: number), to: start + count)
    }

    mutating func append(hex number: UInt64) {
        let digits: Text = "0123456789abcdef"
        for shift in stride(from: 60, through: 0, by: -4) {
            start[count] = digits[Int(number >> UInt64(shift) & 15)]
            count += 1
        }
    }

    /// "bytes 0-99/200", or "bytes */200" without a part.
    mutating func append(contentRange part: ByteRanges.Part?, _ length: UInt64) {
        append("bytes ")
        if let part {
            append(part.offset)
            append("-")
            append(part.offset + part.length - 1)
        } else {
            append("*")
        }
        append("/")
        append(length)
    }

    /// What a closure writes.
    mutating func piece(_ body: (inout PartWriter) -> Void) -> Text {
        let begin = count
        body(&self)
        return Text(UnsafePointer(start + begin), count: count - begin)
    }
}
