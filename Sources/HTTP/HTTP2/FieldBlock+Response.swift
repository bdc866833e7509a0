extension FieldBlock {
    /// Reads the header section of a response, and writes it as an HTTP/1.1 response head with the
    /// usual reason.
    ///
    /// An interim response (1xx) is one of its own; more follow it. 101 has no meaning in HTTP/2
    /// (RFC 9113 §8.6) and is malformed.
    ///
    /// Safe: as `readRequest`.
    public static func readResponse(
        _ block: UnsafePointer<UInt8>,
        count: Int,
        decoder: inout HPACKDecoder,
        scratch: UnsafeMutablePointer<UInt8>,
        scratchCount: Int,
        limits: HeadLimits,
        to out: UnsafeMutablePointer<UInt8>,
        into response: inout Response
    ) -> Outcome {
        var reader = FieldBlockResponseReader(to: out, limits: limits)
        let outcome = decoder.decode(
            block,
            count: count,
            scratch: scratch,
            scratchCount: scratchCount,
            limits: HPACKLimits(listBytesMax: limits.headBytesMax),
            into: &reader
        )
        if case .invalid(let error) = outcome { return .invalid(error) }
        if let error = reader.error { return .malformed(error) }
        if outcome == .complete, reader.response.status == 0 { return .malformed(.missingStatus) }
        reader.lines.append("\r\n")
        guard outcome == .complete, !reader.lines.isFull else { return .tooLarge }
        response = reader.response
        response.byteCount = reader.lines.at
        response.neverIndexed = reader.lines.neverIndexed
        return .complete
    }

    /// Reads a trailer section of either side, and writes field lines and an empty line for
    /// `HeadParser.parseTrailers`, within `ChunkLimits`.
    ///
    /// `byteCount` tells how many bytes were written.
    ///
    /// Safe: as `readRequest`, but `out` has room for `ChunkLimits.trailerBytesMax`.
    public static func readTrailers(
        _ block: UnsafePointer<UInt8>,
        count: Int,
        decoder: inout HPACKDecoder,
        scratch: UnsafeMutablePointer<UInt8>,
        scratchCount: Int,
        to out: UnsafeMutablePointer<UInt8>,
        byteCount: inout Int
    ) -> Outcome {
        var reader = FieldBlockTrailerReader(to: out)
        let outcome = decoder.decode(
            block,
            count: count,
            scratch: scratch,
            scratchCount: scratchCount,
            limits: HPACKLimits(listBytesMax: ChunkLimits.trailerBytesMax),
            into: &reader
        )
        if case .invalid(let error) = outcome { return .invalid(error) }
        if let error = reader.error { return .malformed(error) }
        reader.lines.append("\r\n")
        guard outcome == .complete, !reader.lines.isFull else { return .tooLarge }
        byteCount = reader.lines.at
        return .complete
    }
}

/// Checks the fields of a response and writes its head.
struct FieldBlockResponseReader: HPACKSink {
    var lines: FieldLineWriter
    var response = FieldBlock.Response()
    private(set) var error: FieldBlockError?
    private var hasFields = false

    init(to out: UnsafeMutablePointer<UInt8>, limits: HeadLimits) {
        lines = FieldLineWriter(
            to: out,
            end: limits.headBytesMax,
            lineCountMax: limits.fieldCountMax
        )
    }

    mutating func take(_ field: HPACKField) {
        guard error == nil else { return }
        if field.nameCount > 0, field.name[0] == Byte.colon {
            error = takePseudo(field)
        } else {
            hasFields = true
            error = takeField(field)
        }
    }

    /// `:status`, once and first (RFC 9113 §8.3.2).
    private mutating func takePseudo(_ field: HPACKField) -> FieldBlockError? {
        guard !hasFields else { return .latePseudoField }
        guard FieldBlockRules.isLowercase(field.name, count: field.nameCount) else {
            return .badName
        }
        guard field.id == .pseudoStatus else { return .unknownPseudoField }
        guard response.status == 0 else { return .repeatedPseudoField }
        guard field.valueCount == 3 else { return .badStatus }
        var status: UInt16 = 0
        var at = 0
        while at < 3 {
            let digit = field.value[at] &- Byte.zero
            guard digit < 10 else { return .badStatus }
            status = status &* 10 &+ UInt16(digit)
            at &+= 1
        }
        guard status >= 100, status != 101 else { return .badStatus }
        response.status = status
        lines.append("HTTP/1.1 ")
        lines.append(field.value, count: 3)
        lines.append(" ")
        lines.append(HeadWriter.reason(of: status))
        lines.append("\r\n")
        return nil
    }

    private mutating func takeField(_ field: HPACKField) -> FieldBlockError? {
        guard response.status != 0 else { return .missingStatus }
        if let error = FieldBlockRules.error(field, in: .response) { return error }
        if field.id == .contentLength {
            guard response.contentLength < 0 else { return .repeatedContentLength }
            let length = FieldRules.contentLength(field.value, count: field.valueCount)
            guard length >= 0 else { return .badContentLength }
            response.contentLength = length
        }
        lines.line(field)
        return nil
    }
}

/// Checks the fields of a trailer section and writes its lines (RFC 9113 §8.1).
struct FieldBlockTrailerReader: HPACKSink {
    var lines: FieldLineWriter
    private(set) var error: FieldBlockError?

    init(to out: UnsafeMutablePointer<UInt8>) {
        lines = FieldLineWriter(
            to: out,
            end: ChunkLimits.trailerBytesMax,
            lineCountMax: ChunkLimits.trailerFieldsMax
        )
    }

    mutating func take(_ field: HPACKField) {
        guard error == nil else { return }
        if field.nameCount > 0, field.name[0] == Byte.colon {
            error = .pseudoFieldInTrailers
        } else {
            error = FieldBlockRules.error(field, in: .trailers)
        }
        if error == nil { lines.line(field) }
    }
}
