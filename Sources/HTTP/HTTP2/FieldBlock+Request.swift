extension FieldBlock {
    /// Reads the header section of a request, and writes it as an HTTP/1.1 request head.
    ///
    /// Names stay in lower case. Host comes first, made of `:authority`; cookies are joined into
    /// one field at the end (RFC 9113 §8.2.3). An extended CONNECT becomes what an upgrade is in
    /// HTTP/1.1: GET with Connection and Upgrade, without Sec-WebSocket-Key, which HTTP/2 has not
    /// (RFC 8441 §5).
    ///
    /// Stricter than RFC 9113: Host must agree with `:authority` (§8.3.1 asks for it with SHOULD),
    /// and is not looked at for a port that goes without saying.
    ///
    /// Safe: reads `count` bytes of the block; `scratch` is as for `HPACKDecoder.decode`, and `out`
    /// has room for `readRoom` of `limits.headBytesMax`. On any outcome but `.complete`, `request`
    /// and what is in `out` mean nothing.
    ///
    /// - Parameter allowsProtocol: we have sent SETTINGS_ENABLE_CONNECT_PROTOCOL (RFC 8441 §3).
    public static func readRequest(
        _ block: UnsafePointer<UInt8>,
        count: Int,
        decoder: inout HPACKDecoder,
        scratch: UnsafeMutablePointer<UInt8>,
        scratchCount: Int,
        limits: HeadLimits,
        allowsProtocol: Bool,
        to out: UnsafeMutablePointer<UInt8>,
        into request: inout Request
    ) -> Outcome {
        var reader = FieldBlockRequestReader(
            to: out,
            limits: limits,
            allowsProtocol: allowsProtocol
        )
        let outcome = decoder.decode(
            block,
            count: count,
            scratch: scratch,
            scratchCount: scratchCount,
            limits: HPACKLimits(listBytesMax: limits.headBytesMax),
            into: &reader
        )
        if case .invalid(let error) = outcome { return .invalid(error) }
        if reader.error == nil, outcome == .complete { reader.finish() }
        if let error = reader.error { return .malformed(error) }
        guard outcome == .complete, !reader.lines.isFull else { return .tooLarge }
        request = reader.request
        request.byteCount = reader.lines.at
        request.neverIndexed = reader.lines.neverIndexed
        return .complete
    }
}

/// Checks the fields of a request and writes its head.
///
/// Pseudo-fields may come in any order, so their values wait behind the head until the first other
/// field, and cookies wait there to the end.
///
/// Safe: `out` has room for twice `waitingStart` bytes. Parts lie between it and `waitingEnd`,
/// which never passes that room.
struct FieldBlockRequestReader: HPACKSink {
    private struct Part {
        var start = 0
        /// -1 where there is none.
        var count = -1
        var isPresent: Bool { count >= 0 }
    }

    var lines: FieldLineWriter
    var request = FieldBlock.Request()
    private(set) var error: FieldBlockError?
    private let allowsProtocol: Bool
    private let waitingStart: Int
    private var waitingEnd: Int
    private var hasStart = false
    private var hasHost = false
    private var method = Part()
    private var scheme = Part()
    private var authority = Part()
    private var path = Part()
    private var upgrade = Part()
    private var cookie = Part()

    init(to out: UnsafeMutablePointer<UInt8>, limits: HeadLimits, allowsProtocol: Bool) {
        lines = FieldLineWriter(
            to: out,
            end: limits.headBytesMax,
            lineCountMax: limits.fieldCountMax
        )
        waitingStart = limits.headBytesMax
        waitingEnd = limits.headBytesMax
        self.allowsProtocol = allowsProtocol
    }

    mutating func take(_ field: HPACKField) {
        guard error == nil else { return }
        if field.nameCount > 0, field.name[0] == Byte.colon {
            error = takePseudo(field)
        } else {
            error = hasStart ? nil : writeStart()
            if error == nil { error = takeField(field) }
        }
    }

    /// Writes what has waited for the end.
    mutating func finish() {
        if !hasStart { error = writeStart() }
        guard error == nil else { return }
        guard authority.isPresent || hasHost else {
            error = .missingAuthority
            return
        }
        if cookie.isPresent {
            // Of many fields, it is one credential.
            lines.neverIndexed.insert(lines.lineCount)
            lines.append("cookie: ")
            append(cookie)
            lines.endLine()
        }
        lines.append("\r\n")
    }

    // MARK: Pseudo-fields

    private mutating func takePseudo(_ field: HPACKField) -> FieldBlockError? {
        guard !hasStart else { return .latePseudoField }
        guard FieldBlockRules.isLowercase(field.name, count: field.nameCount) else {
            return .badName
        }
        guard FieldNames.isFieldValue(field.value, count: field.valueCount) else {
            return .badValue
        }
        let part = wait(field)
        switch field.id {
        case .pseudoMethod: return set(&method, part)
        case .pseudoScheme: return set(&scheme, part)
        case .pseudoAuthority: return set(&authority, part)
        case .pseudoPath: return set(&path, part)
        case .pseudoProtocol: return set(&upgrade, part)
        default: return .unknownPseudoField
        }
    }

    private func set(_ place: inout Part, _ part: Part) -> FieldBlockError? {
        guard !place.isPresent else { return .repeatedPseudoField }
        place = part
        return nil
    }

    /// Checks the pseudo-fields (RFC 9113 §8.3.1 and §8.5) and writes the request line and Host.
    private mutating func writeStart() -> FieldBlockError? {
        hasStart = true
        guard method.isPresent else { return .missingMethod }
        guard FieldNames.isToken(bytes(method), count: method.count) else { return .badMethod }
        let isConnect = equals(method, "CONNECT")
        if upgrade.isPresent {
            guard isConnect, allowsProtocol else { return .unexpectedProtocol }
            guard FieldNames.isToken(bytes(upgrade), count: upgrade.count) else {
                return .badProtocol
            }
        }
        request.isConnect = isConnect && !upgrade.isPresent
        if let error = request.isConnect ? tunnelError() : targetError() { return error }
        if upgrade.isPresent { lines.append("GET") } else { append(method) }
        lines.append(" ")
        append(request.isConnect ? authority : path)
        lines.append(" HTTP/1.1\r\n")
        if authority.isPresent {
            lines.append("Host: ")
            append(authority)
            lines.endLine()
        }
        if upgrade.isPresent { writeUpgrade() }
        return nil
    }

    private func tunnelError() -> FieldBlockError? {
        guard !scheme.isPresent, !path.isPresent else { return .connectTarget }
        guard authority.isPresent else { return .missingAuthority }
        let isGood = FieldBlockRules.isTunnelTarget(bytes(authority), count: authority.count)
        return isGood ? nil : .badAuthority
    }

    private mutating func targetError() -> FieldBlockError? {
        guard scheme.isPresent else { return .missingScheme }
        guard path.isPresent else { return .missingPath }
        guard FieldBlockRules.isScheme(bytes(scheme), count: scheme.count) else {
            return .badScheme
        }
        if FieldNames.equals(bytes(scheme), count: scheme.count, "https") {
            request.scheme = .https
        } else {
            let isHTTP = FieldNames.equals(bytes(scheme), count: scheme.count, "http")
            request.scheme = isHTTP ? .http : .other
        }
        let isAsterisk = equals(path, "*") && equals(method, "OPTIONS")
        guard isAsterisk || FieldNames.isTarget(bytes(path), count: path.count) else {
            return .badPath
        }
        guard authority.isPresent else { return nil }
        let isHost = FieldNames.isHost(bytes(authority), count: authority.count)
        return isHost ? nil : .badAuthority
    }

    private mutating func writeUpgrade() {
        let isWebSocket = FieldNames.equals(bytes(upgrade), count: upgrade.count, "websocket")
        request.upgrade = isWebSocket ? .websocket : .other
        lines.append("connection: upgrade")
        lines.endLine()
        lines.append("upgrade: ")
        append(upgrade)
        lines.endLine()
    }

    // MARK: Other fields

    private mutating func takeField(_ field: HPACKField) -> FieldBlockError? {
        if let error = FieldBlockRules.error(field, in: .request) { return error }
        switch field.id {
        case .host: return takeHost(field)
        case .cookie:
            takeCookie(field)
            return nil
        case .contentLength:
            guard request.contentLength < 0 else { return .repeatedContentLength }
            let length = FieldRules.contentLength(field.value, count: field.valueCount)
            guard length >= 0 else { return .badContentLength }
            request.contentLength = length
        case .priority:
            request.hasPriority = true
            request.priority.update(field.value, count: field.valueCount)
        default: break
        }
        lines.line(field)
        return nil
    }

    private mutating func takeHost(_ field: HPACKField) -> FieldBlockError? {
        guard !hasHost else { return .repeatedHost }
        hasHost = true
        guard FieldNames.isHost(field.value, count: field.valueCount) else { return .badAuthority }
        guard authority.isPresent else {
            lines.line(field)
            return nil
        }
        let isSame = FieldNames.equalsIgnoringCase(
            field.value,
            field.valueCount,
            bytes(authority),
            authority.count
        )
        return isSame ? nil : .hostDiffers
    }

    private mutating func takeCookie(_ field: HPACKField) {
        guard cookie.isPresent else {
            cookie = wait(field)
            return
        }
        // Nothing else waits behind the first crumb, so they stand in a row.
        let room = lines.end &* 2 &- waitingEnd
        guard field.valueCount &+ 2 <= room else { return lines.overflow() }
        waitingEnd &+= HeadWriter.copy("; ", to: lines.out + waitingEnd)
        waitingEnd &+= HeadWriter.copy(
            field.value,
            count: field.valueCount,
            to: lines.out + waitingEnd
        )
        cookie.count = waitingEnd &- cookie.start
    }

    // MARK: Parts

    /// Copies a value to where it waits.
    private mutating func wait(_ field: HPACKField) -> Part {
        guard field.valueCount <= lines.end &* 2 &- waitingEnd else {
            lines.overflow()
            return Part(start: waitingStart, count: 0)
        }
        let part = Part(start: waitingEnd, count: field.valueCount)
        waitingEnd &+= HeadWriter.copy(
            field.value,
            count: field.valueCount,
            to: lines.out + waitingEnd
        )
        return part
    }

    private func bytes(_ part: Part) -> UnsafePointer<UInt8> {
        UnsafePointer(lines.out) + part.start
    }

    private mutating func append(_ part: Part) {
        lines.append(bytes(part), count: part.count)
    }

    /// Whether a part is this very text.
    private func equals(_ part: Part, _ text: StaticString) -> Bool {
        guard part.count == text.utf8CodeUnitCount else { return false }
        for index in 0..<part.count where lines.out[part.start &+ index] != text.utf8Start[index] {
            return false
        }
        return true
    }
}
