internal import Admin
internal import Sys

/// The members of a message, each taken once; what is left over was not understood.
struct MessageFields {
    /// Bytes of one text, but for bodies and problems.
    static let textBytesMax = 4_096
    /// Lines of problems that one message may have.
    static let linesMax = 1_000

    private var members: [JSON.Member]
    private var descriptors: [SharedDescriptor]
    /// What kind of message it is.
    private(set) var type = ""

    init(_ packet: ControlChannel.Packet) throws(ChannelError) {
        try self.init(packet.json, packet.descriptors)
        type = try text("type")
    }

    /// The members of an object inside a message.
    init(_ json: JSON, _ descriptors: [SharedDescriptor] = []) throws(ChannelError) {
        guard let members = json.members else { throw ChannelError("a message that is no object") }
        self.members = members
        self.descriptors = descriptors
    }

    // MARK: Taking

    private mutating func take(_ name: String) -> JSON? {
        guard let place = members.firstIndex(where: { $0.name == name }) else { return nil }
        return members.remove(at: place).value
    }

    func has(_ name: String) -> Bool { members.contains { $0.name == name } }

    private func problem(_ name: String) -> ChannelError {
        ChannelError("a message \"\(type)\" whose \"\(name)\" is missing or wrong")
    }

    mutating func text(_ name: String) throws(ChannelError) -> String {
        guard let text = take(name)?.string, text.utf8.count <= Self.textBytesMax else {
            throw problem(name)
        }
        return text
    }

    mutating func optionalText(_ name: String) throws(ChannelError) -> String? {
        has(name) ? try text(name) : nil
    }

    mutating func number(
        _ name: String,
        _ range: ClosedRange<Int>
    ) throws(ChannelError) -> Int {
        guard let number = take(name)?.integer, let value = Int(exactly: number),
            range.contains(value)
        else { throw problem(name) }
        return value
    }

    mutating func optionalFlag(_ name: String) throws(ChannelError) -> Bool? {
        has(name) ? try flag(name) : nil
    }

    mutating func flag(_ name: String) throws(ChannelError) -> Bool {
        guard let flag = take(name)?.bool else { throw problem(name) }
        return flag
    }

    /// Any value.
    mutating func value(_ name: String) throws(ChannelError) -> JSON {
        guard let value = take(name) else { throw problem(name) }
        return value
    }

    mutating func objects(
        _ name: String,
        countMax: Int
    ) throws(ChannelError) -> [MessageFields] {
        guard let elements = take(name)?.array, elements.count <= countMax else {
            throw problem(name)
        }
        var objects: [MessageFields] = []
        for element in elements { objects.append(try MessageFields(element)) }
        return objects
    }

    /// An object; nil when there is none of this name.
    mutating func object(_ name: String) throws(ChannelError) -> MessageFields? {
        guard let value = take(name) else { return nil }
        return try MessageFields(value)
    }

    mutating func lines(_ name: String) throws(ChannelError) -> [String] {
        guard let elements = take(name)?.array, elements.count <= Self.linesMax else {
            throw problem(name)
        }
        let lines = elements.compactMap(\.string)
        guard lines.count == elements.count else { throw problem(name) }
        return lines
    }

    /// The next descriptor.
    mutating func descriptor() throws(ChannelError) -> SharedDescriptor {
        guard !descriptors.isEmpty else {
            throw ChannelError("a message \"\(type)\" without its descriptor")
        }
        return descriptors.removeFirst()
    }

    /// All descriptors that are left.
    mutating func allDescriptors() -> [SharedDescriptor] {
        defer { descriptors = [] }
        return descriptors
    }

    /// The end: there may be no more in it.
    func finish() throws(ChannelError) {
        if let member = members.first {
            throw ChannelError("a message \"\(type)\" with \"\(member.name)\", which is not known")
        }
        guard descriptors.isEmpty else {
            throw ChannelError("a message \"\(type)\" with descriptors that it has no use for")
        }
    }
}
