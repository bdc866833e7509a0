package import Admin
package import Sys

/// One end of the control channel between the supervisor and a serving process.
///
/// A message is one JSON object in one packet, with descriptors beside it. A text that does not fit
/// a packet travels in a file in memory.
package final class ControlChannel: Sendable {
    /// Bytes of a packet.
    package static let packetBytesMax = 65_536
    /// Bytes of a message's text: the metrics of many routes take megabytes.
    package static let textBytesMax = 16_777_216
    /// What a packet says whose text is in the last descriptor.
    private static let long: JSON = ["type": "long"]

    private let descriptor: SharedDescriptor

    package init(_ descriptor: SharedDescriptor) {
        self.descriptor = descriptor
    }

    /// Readable when there is a message, or the other end is closed.
    package var number: Int32 { descriptor.number }

    /// A message as it travels.
    package struct Packet: Sendable {
        package var json: JSON
        package var descriptors: [SharedDescriptor]

        package init(_ json: JSON, _ descriptors: [SharedDescriptor] = []) {
            self.json = json
            self.descriptors = descriptors
        }
    }

    package enum Received: Sendable {
        case packet(Packet)
        /// Nothing, for now.
        case nothing
        /// The other end is closed.
        case end
    }

    /// Sends a message. [any thread]
    ///
    /// - Parameter waits: false fails when the other end does not read.
    /// - Throws: a line about what the system said, or about a bound.
    package func send(_ packet: Packet, waits: Bool) throws(ChannelError) {
        var bytes = Array(packet.json.text.utf8)
        var descriptors = packet.descriptors
        guard bytes.count <= Self.textBytesMax else {
            throw ChannelError(
                "a message of \(bytes.count) bytes: the most is \(Self.textBytesMax)"
            )
        }
        do throws(Errno) {
            if bytes.count > Self.packetBytesMax {
                descriptors.append(try MemoryFile.holding(bytes, name: "message"))
                bytes = Array(Self.long.text.utf8)
            }
            let numbers = descriptors.map(\.number)
            try DescriptorPassing.send(number, bytes, numbers, waits: waits)
        } catch {
            throw ChannelError("a message could not be sent: \(error.description)")
        }
    }

    /// Takes a message.
    ///
    /// - Throws: a line about what is wrong with it; it is gone then.
    package func receive(waits: Bool) throws(ChannelError) -> Received {
        do throws(Errno) {
            let received = try DescriptorPassing.receive(
                number,
                bytesMax: Self.packetBytesMax,
                waits: waits
            )
            switch received {
            case .nothing: return .nothing
            case .end: return .end
            case .message(let bytes, let descriptors):
                return .packet(try Self.packet(bytes, descriptors))
            }
        } catch {
            // A peer that ends without having read all leaves a reset behind.
            if error == .connectionReset { return .end }
            throw ChannelError("a message could not be read: \(error.description)")
        }
    }

    private static func packet(
        _ bytes: [UInt8],
        _ descriptors: [SharedDescriptor]
    ) throws(Errno) -> Packet {
        // What is no JSON is a message that nobody understands.
        let json = (try? JSON.parse(bytes)) ?? .null
        guard json == long, let file = descriptors.last else { return Packet(json, descriptors) }
        let text = try MemoryFile.bytes(of: file, bytesMax: textBytesMax)
        let whole = (try? JSON.parse(text, bytesMax: textBytesMax)) ?? .null
        return Packet(whole, descriptors.dropLast())
    }
}

/// Why a message can't be taken or sent, in one line.
package struct ChannelError: Error, Equatable, Sendable {
    package var message: String

    init(_ message: String) { self.message = message }
}
