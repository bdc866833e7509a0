import SluiceSDK

/// What is kept of the service's answer: in the request's memory, and in the cache.
///
/// A byte that says which layout this is, then of each field its place in the configuration, the
/// length of its value in two bytes, and the value.
struct Answer {
    static let fieldsMax = 16
    private static let layout: UInt8 = 1

    private(set) var room: Room
    private var count = 0

    init(room: Room) { self.room = room }

    /// Whether the service decides something by this status.
    static func decides(_ status: Int) -> Bool {
        200..<300 ~= status || status == 401 || status == 403
    }

    /// Keeps what is passed on: of a yes the fields to be copied, of a no the challenges.
    ///
    /// - Returns: false when it is more than there is room for, or than `fieldsMax` fields.
    mutating func keep(_ fields: Fields, _ status: Int, _ copied: List<FieldName>) -> Bool {
        room.removeAll()
        count = 0
        guard room.append(Answer.layout) else { return false }
        for field in fields {
            if 200..<300 ~= status {
                for index in 0..<copied.count where copied[index].matches(field) {
                    guard add(index, field.value) else { return false }
                }
            } else if field.id == .wwwAuthenticate {
                guard add(0, field.value) else { return false }
            }
        }
        return true
    }

    private mutating func add(_ index: Int, _ value: Bytes) -> Bool {
        count += 1
        guard count <= Answer.fieldsMax, value.count <= Int(UInt16.max) else { return false }
        return room.append(UInt8(index)) && room.append(UInt8(value.count >> 8))
            && room.append(UInt8(value.count & 0xFF)) && room.append(value)
    }

    /// Calls a function with the place and the value of each field.
    func forEach(_ body: (_ index: Int, _ value: Bytes) -> Void) {
        let bytes = room.bytes
        guard !bytes.isEmpty, bytes[0] == Answer.layout else { return }
        var at = 1
        while at + 3 <= bytes.count {
            let length = Int(bytes[at + 1]) << 8 | Int(bytes[at + 2])
            let end = at + 3 + length
            guard end <= bytes.count else { return }
            body(Int(bytes[at]), bytes[at + 3..<end])
            at = end
        }
    }
}
