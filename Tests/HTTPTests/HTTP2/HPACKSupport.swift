@testable import HTTP

/// A field with its texts.
struct HeaderField: Equatable, CustomStringConvertible {
    var name: String
    var value: String
    var isNeverIndexed = false

    init(_ name: String, _ value: String, isNeverIndexed: Bool = false) {
        self.name = name
        self.value = value
        self.isNeverIndexed = isNeverIndexed
    }

    var description: String { "\(name): \(value)\(isNeverIndexed ? " (never)" : "")" }
}

/// Keeps copies of the fields.
struct FieldCollector: HPACKSink {
    var fields: [HeaderField] = []

    mutating func take(_ field: HPACKField) {
        fields.append(
            HeaderField(
                text(UnsafeBufferPointer(start: field.name, count: field.nameCount)),
                text(UnsafeBufferPointer(start: field.value, count: field.valueCount)),
                isNeverIndexed: field.isNeverIndexed
            )
        )
        let found = FieldNames.id(field.name, count: field.nameCount)
        precondition(field.id == found, "the id of a field must be that of its name")
    }
}

/// What decoding a block gave.
struct DecodedBlock: Equatable {
    var outcome: HPACKOutcome
    var fields: [HeaderField]
}

/// Memory of exactly the size of some bytes, so that a checker of memory sees a read past it.
func withExactCopy<Result>(
    _ bytes: [UInt8],
    _ body: (UnsafeMutablePointer<UInt8>) -> Result
) -> Result {
    let block = UnsafeMutablePointer<UInt8>.allocate(capacity: max(bytes.count, 1))
    defer { block.deallocate() }
    for (index, byte) in bytes.enumerated() { block[index] = byte }
    return body(block)
}

/// Decodes with the least scratch memory that is allowed.
func decode(
    _ bytes: [UInt8],
    with decoder: inout HPACKDecoder,
    tableBytesMax: Int = HPACKDecoder.tableBytesDefault,
    limits: HPACKLimits = HPACKLimits()
) -> DecodedBlock {
    let room = HPACKDecoder.scratchBytes(blockBytes: bytes.count, tableBytesMax: tableBytesMax)
    let scratch = UnsafeMutablePointer<UInt8>.allocate(capacity: room)
    let block = UnsafeMutablePointer<UInt8>.allocate(capacity: max(bytes.count, 1))
    defer {
        scratch.deallocate()
        block.deallocate()
    }
    for (index, byte) in bytes.enumerated() { block[index] = byte }
    var sink = FieldCollector()
    let outcome = decoder.decode(
        block,
        count: bytes.count,
        scratch: scratch,
        scratchCount: room,
        limits: limits,
        into: &sink
    )
    return DecodedBlock(outcome: outcome, fields: sink.fields)
}

/// Calls `body` with the field's bytes.
func withField<Result>(_ field: HeaderField, _ body: (HPACKField) -> Result) -> Result {
    let name = latin1(field.name)
    let value = latin1(field.value)
    return withExactCopy(name) { namePointer in
        withExactCopy(value) { valuePointer in
            body(
                HPACKField(
                    id: FieldNames.id(namePointer, count: name.count),
                    name: namePointer,
                    nameCount: name.count,
                    value: valuePointer,
                    valueCount: value.count,
                    isNeverIndexed: field.isNeverIndexed
                )
            )
        }
    }
}

/// Encodes a block, each part into memory that is just as large as promised.
///
/// All fields are represented in one way where `indexing` is given.
func encode(
    _ fields: [HeaderField],
    with encoder: inout HPACKEncoder,
    indexing: HPACKIndexing? = nil
) -> [UInt8] {
    var block = written(room: HPACKEncoder.updateBytesMax) { encoder.begin(to: $0) }
    for field in fields {
        block += withField(field) { raw in
            let room = raw.nameCount + raw.valueCount + HPACKEncoder.fieldOverheadBytes
            return written(room: room) { out in
                guard let indexing else { return encoder.encode(raw, to: out) }
                return encoder.encode(raw, indexing: indexing, to: out)
            }
        }
    }
    return block
}

/// What `body` writes into memory of a size.
func written(room: Int, _ body: (UnsafeMutablePointer<UInt8>) -> Int) -> [UInt8] {
    let out = UnsafeMutablePointer<UInt8>.allocate(capacity: max(room, 1))
    defer { out.deallocate() }
    let count = body(out)
    precondition(count <= room, "\(count) bytes written where \(room) fit")
    return (0..<count).map { out[$0] }
}

/// The bytes of hexadecimal digits; blanks are skipped.
func hex(_ digits: String) -> [UInt8] {
    let values = digits.compactMap { $0.hexDigitValue }
    precondition(values.count % 2 == 0, "an odd number of digits")
    return stride(from: 0, to: values.count, by: 2).map { UInt8(values[$0] * 16 + values[$0 + 1]) }
}

/// A small generator that gives the same numbers for the same seed (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
