import CSluice
import CachePolicy
package import SluiceSDK
import TinyUFO

// What becomes of the origin's responses.

extension CacheFilter {
    package func admit(_ response: borrowing CacheResponse<CacheFilter>) -> CacheAdmission {
        let context = response.contextPointer
        guard let fields = response.fields else { return failed(response) }
        let status = fields.status
        if status == 304, context.pointee.stale != nil { return revalidate(response, fields) }
        if Self.isFailure(status), context.pointee.stale != nil, context.pointee.mayServeOnError {
            return serveOnError(response, status)
        }
        let time = time(response)
        let assessment = Assessment(fields.list, now: time.wall)
        var names = Names(response.workerPointer.pointee.names)
        let vary = collect(&names, fields.list, response)
        let (head, refusal) = assessment.head(
            status: status,
            configuration,
            delay: delay(context, time.monotonic),
            hasAuthorization: response.requestFields.contains(.authorization),
            variesByAll: vary == .all,
            time: time
        )
        var reason = refusal ?? (vary == .tooMany ? .tooManyFields : nil)
        if let length = response.contentLength, length > UInt64(configuration.objectBytesMax) {
            reason = reason ?? .tooLarge
        }
        if let reason { return refuse(response, reason, status) }
        return store(response, assessment, head, names, status)
    }

    /// Statuses of an origin, or of what is before it, that can't answer now (RFC 5861 §4).
    private static func isFailure(_ status: Int) -> Bool {
        status == 500 || (502...504).contains(status)
    }

    private func time(
        _ response: borrowing CacheResponse<CacheFilter>
    ) -> (monotonic: UInt64, wall: Int64) {
        (response.facts.nowNanoseconds, Int64(host.wallClockSeconds))
    }

    private func delay(_ context: UnsafeMutablePointer<Context>, _ now: UInt64) -> Int64 {
        let startedAt = context.pointee.startedAt
        return now > startedAt ? Int64((now - startedAt) / 1_000_000_000) : 0
    }

    // MARK: What is not stored

    private func refuse(
        _ response: borrowing CacheResponse<CacheFilter>,
        _ reason: Refusal,
        _ status: Int
    ) -> CacheAdmission {
        let context = response.contextPointer
        metrics.refused[Int(reason.rawValue) - 1].add()
        if let fill = context.pointee.fill { log(reason, fill.pointee.name) }
        if Self.isFailure(status) {
            giveUp(context)
        } else {
            // What was stored is no longer what the origin says.
            if let stale = context.pointee.stale { drop(stale) }
            if let fill = context.pointee.fill, reason.isLasting, status < 500 {
                store.pointee.predictor.insert(fill.pointee.hash)
            }
            end(context, .released)
        }
        addStatus(response, status, isStored: false, reason)
        return .pass
    }

    private func drop(_ stale: UnsafeMutableRawPointer) {
        let pin = Pin(opaque: stale)
        store.pointee.objects.remove(pin)
        _ = pin.toOpaque()
    }

    /// Adds `Cache-Status` to what the client gets, and takes out what is not for it.
    private func addStatus(
        _ response: borrowing CacheResponse<CacheFilter>,
        _ status: Int,
        isStored: Bool,
        _ reason: Refusal?
    ) {
        if response.isInternal { return }
        // It is for the nearest surrogate alone.
        if response.fields?.contains(.surrogateControl) == true {
            response.edits.remove(.surrogateControl)
        }
        if configuration.statusName.isEmpty { return }
        var text = CacheStatusText(
            response.workerPointer.pointee.text,
            capacity: Self.textCapacity,
            name: Text(configuration.statusName)
        )
        let forward = CacheStatusText.Forward(rawValue: response.contextPointer.pointee.forward)
        text.add(forward ?? .miss)
        text.add(forwardStatus: status)
        if isStored { text.addStored() }
        if let reason { text.add(detail: reason.name) }
        response.edits.append(.cacheStatus, text.text.bytes)
    }

    static let textCapacity = 256

    // MARK: What is stored

    private enum Vary: Equatable {
        case names
        case all
        case tooMany
    }

    /// A list of names in memory of the worker.
    struct Names {
        let start: UnsafeMutablePointer<UInt8>
        var bytes = 0
        var count = 0

        init(_ start: UnsafeMutablePointer<UInt8>) { self.start = start }

        var text: Text { Text(UnsafePointer(start), count: bytes) }

        mutating func add(_ name: Text) -> Bool {
            KeyRules.add(name, to: start, &bytes, &count)
        }
    }

    /// What the response's variants differ by: of the configuration, and of `Vary`.
    private func collect(
        _ names: inout Names,
        _ fields: UnsafeBufferPointer<sluice_field>,
        _ response: borrowing CacheResponse<CacheFilter>
    ) -> Vary {
        for name in configuration.key.headers where !names.add(Text(name)) { return .tooMany }
        for field in fields where Int(field.id) == Int(SLUICE_FIELD_VARY) {
            for name in ListElements(field.valueText) {
                if name == "*" { return .all }
                guard name.isToken else { return .all }
                if !names.add(name) { return .tooMany }
            }
        }
        return .names
    }

    private func store(
        _ response: borrowing CacheResponse<CacheFilter>,
        _ assessment: Assessment,
        _ head: ObjectHead,
        _ names: Names,
        _ status: Int
    ) -> CacheAdmission {
        let context = response.contextPointer
        guard let fields = response.fields, let fill = context.pointee.fill else { return .pass }
        var builder = ObjectBuilder(response.workerPointer.pointee.fields)
        for field in fields.list where isStored(field.nameText, assessment, fields.list) {
            builder.add(field)
        }
        addDate(&builder, assessment, head, response.workerPointer)
        let length = response.contentLength ?? (response.isEndOfStream ? 0 : .max)
        var room = length == .max ? Self.unknownRoom : Int(length)
        if room > Self.inlineMax { room = 0 }
        guard store.pointee.reserve(ObjectHead.byteCountMax + room, for: fill) else {
            return refuse(response, .noMemory, status)
        }
        guard let block = builder.make(head, bodyCapacity: room) else {
            store.pointee.unreserve(fill)
            return refuse(response, .tooManyFields, status)
        }
        if length != .max { ObjectRef(block.bytes).setBodyLength(length) }
        fill.pointee.declaredBytes = length
        let first = block.toOpaque()
        fill.pointee.head = first
        fill.pointee.tail = first
        guard place(fill, names, response) else {
            store.pointee.unreserve(fill)
            return refuse(response, .noMemory, status)
        }
        context.pointee.fill = nil
        fill.locked {
            fill.pointee.set(Fill.State.streaming)
            fill.pointee.wakeAll()
        }
        fill.pointee.spill.request = response.request
        response.setWriter(UnsafeMutableRawPointer(fill))
        if response.isInternal { response.setStatus(UInt32(SLUICE_CACHE_STATUS_UPDATED)) }
        if response.isInternal { metrics.updated.add() }
        addStatus(response, status, isStored: true, nil)
        return .store
    }

    private func isStored(
        _ name: Text,
        _ assessment: Assessment,
        _ fields: UnsafeBufferPointer<sluice_field>
    ) -> Bool {
        !StoredFields.isExcluded(name) && !assessment.excludes(name, fields)
    }

    /// A response without a date has that of its arrival (RFC 9110 §6.6.1).
    private func addDate(
        _ builder: inout ObjectBuilder,
        _ assessment: Assessment,
        _ head: ObjectHead,
        _ worker: UnsafeMutablePointer<Worker>
    ) {
        guard assessment.date == nil, !builder.contains("date") else { return }
        let room = worker.pointee.text
        HTTPDate.write(head.storedWall, to: room)
        let value = Text(UnsafePointer(room), count: HTTPDate.byteCount)
        builder.add("date", Int(SLUICE_FIELD_DATE), value)
    }

    /// Puts a fill under the key that its response has, which `Vary` says.
    private func place(
        _ fill: Fill.Pointer,
        _ names: Names,
        _ response: borrowing CacheResponse<CacheFilter>
    ) -> Bool {
        let worker = response.workerPointer
        let primary = Text(fill.pointee.name.primary)
        let hash = store.pointee.hash(primary.raw)
        let name = KeyName(bytes: primary.raw, primaryCount: primary.count, hash: hash)
        store.pointee.predictor.remove(fill.pointee.hash)
        if names.count == 0, !configuration.key.hasExtras {
            dropMarker(name)
            return move(fill, to: name)
        }
        guard let epoch = marker(name, names, response.facts.nowNanoseconds),
            let variant = variant(
                of: name,
                VariantList(names: names.text, epoch: epoch),
                response.requestFields,
                worker
            )
        else { return false }
        return move(fill, to: variant)
    }

    /// The epoch of the address's marker, which is made if there is none for these names.
    private func marker(_ name: KeyName, _ names: Names, _ now: UInt64) -> UInt64? {
        let pin = store.pointee.objects.peek(name.bytes, hash: name.hash)
        var before: ObjectRef?
        if let bytes = pin?.bytes {
            let marker = ObjectRef(bytes)
            // After a soft purge new variants must not be taken for old ones.
            if marker.isMarker, marker.staleSince == 0 { before = marker }
        }
        for index in 0..<(before?.listCount ?? 0) {
            if let list = before?.list(index), list.names == names.text { return list.epoch }
        }
        let list = VariantList(names: names.text, epoch: host.random())
        guard let block = ObjectBuilder.marker(list, before: before, now: now) else { return nil }
        let outcome = store.pointee.objects.put(block, key: name.bytes, hash: name.hash)
        return outcome.isTaken ? list.epoch : nil
    }

    private func dropMarker(_ name: KeyName) {
        guard let pin = store.pointee.objects.peek(name.bytes, hash: name.hash) else { return }
        if ObjectRef(pin.bytes).isMarker { store.pointee.objects.remove(pin) }
    }

    private func move(_ fill: Fill.Pointer, to name: KeyName) -> Bool {
        if !name.matches(fill.pointee.name.bytes) {
            store.pointee.fills.remove(fill)
            // Those who wait for the old key look again.
            guard fill.pointee.rename(name) else { return false }
        }
        guard !fill.pointee.isTabled else { return true }
        // If there is another one, this one is nobody's but its reader's.
        if let other = store.pointee.fills.insert(fill) { other.release() }
        return true
    }

    // MARK: Validation

    /// A 304: what is stored is good for longer (RFC 9111 §4.3.4).
    private func revalidate(
        _ response: borrowing CacheResponse<CacheFilter>,
        _ fields: Fields
    ) -> CacheAdmission {
        let context = response.contextPointer
        guard let stale = context.pointee.stale else { return .pass }
        let pin = Pin(opaque: stale)
        context.pointee.stale = nil
        let time = time(response)
        let object = ObjectRef(pin.bytes)
        var validators = Validators()
        let update = Assessment(fields.list, now: time.wall)
        validators.entityTag = update.entityTag
        validators.lastModified = update.lastModified
        let isSelected = validators.selects(stored: object.validators)
        guard let merged = merge(object, pin, fields, response, time) else {
            end(context, .over)
            return answer(response, pin, time.monotonic)
        }
        if isSelected, merged.refusal == nil, let fill = context.pointee.fill {
            let name = fill.pointee.name
            _ = store.pointee.objects.put(merged.block.copy(), key: name.bytes, hash: name.hash)
        } else {
            store.pointee.objects.remove(pin)
        }
        // Who waited may have no use for it without an answer of its own.
        let flags = ObjectRef(merged.block.bytes).flags
        end(context, flags.contains(.noCache) ? .released : .over)
        if response.isInternal {
            metrics.updated.add()
            response.setStatus(UInt32(SLUICE_CACHE_STATUS_UPDATED))
            return .pass
        }
        return answer(response, merged.block, time.monotonic)
    }

    private struct Merged: ~Copyable {
        let block: ByteBlock
        let refusal: Refusal?
    }

    /// The stored response with the fields of a 304 (RFC 9111 §3.2), and the same body.
    private func merge(
        _ object: ObjectRef,
        _ pin: borrowing Pin,
        _ fields: Fields,
        _ response: borrowing CacheResponse<CacheFilter>,
        _ time: (monotonic: UInt64, wall: Int64)
    ) -> Merged? {
        let worker = response.workerPointer
        var builder = ObjectBuilder(worker.pointee.fields)
        for field in object.fields where !Self.isReplaced(field.nameText, fields) {
            builder.add(field)
        }
        for field in fields.list where StoredFields.isUpdated(field.nameText) {
            if Int(field.id) == Int(SLUICE_FIELD_SET_COOKIE), !configuration.storesCookies {
                continue
            }
            builder.add(field)
        }
        var assessment = Assessment(builder.list, now: time.wall)
        if assessment.hasExcluded {
            builder.keep { !assessment.excludes($0, object.fields, fields.list) }
        }
        // Age is not stored, and counts all the same.
        assessment.age = Assessment(fields.list, now: time.wall).age
        if fields[.date] == nil { assessment.date = time.wall }
        let (head, refusal) = assessment.head(
            status: object.status,
            configuration,
            delay: delay(response.contextPointer, time.monotonic),
            hasAuthorization: response.requestFields.contains(.authorization),
            variesByAll: false,
            time: time
        )
        let body = UnsafeRawBufferPointer(
            rebasing: pin.bytes[Int(object.head.pointee.bodyOffset)...]
        )
        guard let block = builder.make(head, bodyCapacity: body.count) else { return nil }
        block.append(body)
        if let length = object.bodyLength { ObjectRef(block.bytes).setBodyLength(length) }
        if let next = pin.value.next { block.attach(next) }
        return Merged(block: block, refusal: refusal)
    }

    private static func isReplaced(_ name: Text, _ fields: Fields) -> Bool {
        guard StoredFields.isUpdated(name) else { return false }
        for field in fields.list where field.nameText == name { return true }
        return false
    }

    private func answer(
        _ response: borrowing CacheResponse<CacheFilter>,
        _ pin: borrowing Pin,
        _ now: UInt64
    ) -> CacheAdmission {
        answer(response, pin.value, now)
    }

    /// Serves an object that was validated.
    private func answer(
        _ response: borrowing CacheResponse<CacheFilter>,
        _ block: borrowing ByteBlock,
        _ now: UInt64
    ) -> CacheAdmission {
        var note = ServeNote(status: Int(SLUICE_CACHE_STATUS_REVALIDATED))
        note.forward = CacheStatusText.Forward(rawValue: response.contextPointer.pointee.forward)
        note.forwardStatus = 304
        return serve(response, block, note, now)
    }

    private func serve(
        _ response: borrowing CacheResponse<CacheFilter>,
        _ block: borrowing ByteBlock,
        _ note: ServeNote,
        _ now: UInt64
    ) -> CacheAdmission {
        guard let answer = response.answer,
            let reader = response.workerPointer.pointee.readers.pointee.take()
        else { return .pass }
        // What the client asked for itself came as a fetch; conditions here are this cache's own.
        var note = note
        note.isDirect = false
        let object = ObjectRef(block.bytes)
        reader.pointee.first = block.bytes.baseAddress
        reader.pointee.firstCount = block.bytes.count
        reader.pointee.bodyOffset = Int(object.head.pointee.bodyOffset)
        reader.pointee.block = block.copy().toOpaque()
        let serving = object.serving(at: now, markerStale: 0)
        compose(answer, reader, object, response.requestFields, serving, note)
        count(note.status)
        return .answer
    }

    // MARK: An origin that fails

    package func failed(_ response: borrowing CacheResponse<CacheFilter>) -> CacheAdmission {
        let context = response.contextPointer
        if context.pointee.stale != nil, context.pointee.mayServeOnError {
            return serveOnError(response, 0)
        }
        giveUp(context)
        return .pass
    }

    private func serveOnError(
        _ response: borrowing CacheResponse<CacheFilter>,
        _ status: Int
    ) -> CacheAdmission {
        let context = response.contextPointer
        guard let stale = context.pointee.stale else { return .pass }
        context.pointee.stale = nil
        let pin = Pin(opaque: stale)
        let now = response.facts.nowNanoseconds
        ObjectRef(pin.bytes).setFailed(at: now)
        end(context, .over)
        if response.isInternal { return .pass }
        var note = ServeNote(status: Int(SLUICE_CACHE_STATUS_STALE_ERROR))
        note.forward = .stale
        note.forwardStatus = status
        return serve(response, pin.value, note, now)
    }
}
