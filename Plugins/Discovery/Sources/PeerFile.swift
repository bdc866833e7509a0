import CDiscovery
import SluiceSDK

/// Why a source has no new set: one line for operators.
struct RefreshFailure: Error, Equatable {
    let message: String

    init(_ message: String) { self.message = message }

    /// Compared byte by byte: whether a line says anything new.
    static func == (left: RefreshFailure, right: RefreshFailure) -> Bool {
        Array(left.message.utf8) == Array(right.message.utf8)
    }
}

/// A file of peers: a JSON array of addresses, and of objects with an address.
enum PeerFile {
    /// Bytes that a file may have.
    static let bytesMax = 4 << 20

    /// By what one knows that a file is another one, or was written to.
    struct Stamp: Equatable {
        private let device: UInt64
        private let inode: UInt64
        private let size: UInt64
        private let modified: UInt64
        private let changed: UInt64

        init(_ stamp: discovery_stamp) {
            device = stamp.device
            inode = stamp.inode
            size = stamp.size
            modified = stamp.modified_ns
            changed = stamp.changed_ns
        }
    }

    /// The stamp of a file.
    ///
    /// - Throws: when there is no such file, or it is none.
    static func look(_ path: String) throws(RefreshFailure) -> Stamp {
        var stamp = discovery_stamp()
        let result = discovery_look(path, &stamp)
        guard result == 0 else { throw failure(path, Int64(result)) }
        return Stamp(stamp)
    }

    /// Reads a whole file.
    ///
    /// - Returns: its bytes, and the stamp that belongs to them.
    /// - Throws: when it can't be read, is too long, or was written to meanwhile.
    static func read(
        _ path: String,
        limit: Int = bytesMax
    ) throws(RefreshFailure) -> (bytes: [UInt8], stamp: discovery_stamp) {
        let descriptor = discovery_open(path)
        guard descriptor >= 0 else { throw failure(path, Int64(descriptor)) }
        defer { discovery_close(descriptor) }
        var before = discovery_stamp()
        var after = discovery_stamp()
        guard discovery_stamp_open(descriptor, &before) == 0, before.size <= UInt64(limit) else {
            throw RefreshFailure("\(path): longer than \(limit) bytes")
        }
        // A byte more than there is, so that a file that grows meanwhile is seen.
        var bytes = [UInt8](repeating: 0, count: Int(before.size) + 1)
        var count = 0
        while count < bytes.count {
            let length = bytes.withUnsafeMutableBufferPointer { buffer -> Int64 in
                guard let start = buffer.baseAddress else { return 0 }
                // Safe: `count` bytes of the buffer are written.
                return discovery_read(descriptor, start + count, UInt64(buffer.count - count))
            }
            guard length >= 0 else { throw failure(path, length) }
            if length == 0 { break }
            count += Int(length)
        }
        guard discovery_stamp_open(descriptor, &after) == 0, Stamp(before) == Stamp(after),
            count == Int(before.size)
        else { throw RefreshFailure("\(path): written to while it was read") }
        bytes.removeLast()
        return (bytes, before)
    }

    private static func failure(_ path: String, _ result: Int64) -> RefreshFailure {
        RefreshFailure("\(path): " + String(cString: discovery_error(result)))
    }

    // MARK: Contents

    /// The peers of a file's text.
    ///
    /// - Parameter path: for the message.
    /// - Throws: what is wrong with it, with its line; nothing of it is used then.
    static func peers(_ bytes: [UInt8], path: String) throws(RefreshFailure) -> PeerList {
        let root: JSONElement
        do {
            root = try JSONReader.read(bytes)
        } catch {
            throw RefreshFailure("\(path):\(error.line): \(error.message)")
        }
        guard case .array(let elements) = root.value else {
            throw RefreshFailure(
                "\(path):\(root.line): expected an array, found \(root.value.kind)"
            )
        }
        var peers: [DiscoveredPeer] = []
        for element in elements {
            do throws(JSONFault) {
                peers.append(try peer(element))
            } catch {
                throw RefreshFailure("\(path):\(error.line): \(error.message)")
            }
        }
        let list = PeerList(peers)
        guard list.peers.count == peers.count else {
            throw RefreshFailure("\(path): \(duplicate(peers)) is there twice")
        }
        return list
    }

    private static func duplicate(_ peers: [DiscoveredPeer]) -> String {
        let sorted = peers.map { $0.address }.sorted { $0.lexicographicallyPrecedes($1) }
        for index in 1..<sorted.count where sorted[index] == sorted[index - 1] {
            return String(decoding: sorted[index], as: UTF8.self)
        }
        return ""
    }

    private static func peer(_ element: JSONElement) throws(JSONFault) -> DiscoveredPeer {
        if case .string(let text) = element.value {
            return DiscoveredPeer(address: try address(text, element.line))
        }
        guard case .object(let members) = element.value else {
            throw JSONFault(
                element.line,
                "expected an address or an object, found \(element.value.kind)"
            )
        }
        var known: [UInt8]?
        var peer = DiscoveredPeer(address: [])
        for member in members {
            try member.key.lent { (key: Bytes) throws(JSONFault) in
                if key == "address" {
                    known = try address(try string(member.element, "address"), member.element.line)
                } else {
                    try set(&peer, key, member.element)
                }
            }
        }
        guard let known else { throw JSONFault(element.line, "a peer without \"address\"") }
        return DiscoveredPeer(
            address: known,
            weight: peer.weight,
            priority: peer.priority,
            isBackup: peer.isBackup,
            isDraining: peer.isDraining,
            zone: peer.zone
        )
    }

    private static func set(
        _ peer: inout DiscoveredPeer,
        _ key: Bytes,
        _ element: JSONElement
    ) throws(JSONFault) {
        if key == "weight" {
            peer.weight = try integer(element, "weight", 1...DiscoveredPeer.weightMax)
        } else if key == "priority" {
            peer.priority = try integer(element, "priority", 0...DiscoveredPeer.priorityMax)
        } else if key == "zone" {
            peer.zone = try string(element, "zone")
            guard peer.zone.count <= DiscoveredPeer.zoneBytesMax,
                peer.zone.withBytes({ $0.isFieldValue })
            else {
                throw JSONFault(
                    element.line,
                    "zone: up to \(DiscoveredPeer.zoneBytesMax) bytes without control characters"
                )
            }
        } else if key == "backup" {
            peer.isBackup = try flag(element, "backup")
        } else if key == "draining" {
            peer.isDraining = try flag(element, "draining")
        } else {
            throw JSONFault(
                element.line,
                "unknown key \"\(String(key))\"; there are address, weight, priority, zone, backup, "
                    + "draining"
            )
        }
    }

    private static func address(_ text: [UInt8], _ line: Int) throws(JSONFault) -> [UInt8] {
        if let address = text.withBytes({ DiscoveredPeer.address($0) }) { return address }
        throw JSONFault(
            line,
            "address: expected \"192.0.2.1:80\", \"[2001:db8::1]:80\" or \"unix:/path\", found \""
                + String(decoding: text, as: UTF8.self) + "\""
        )
    }

    private static func flag(
        _ element: JSONElement,
        _ key: StaticString
    ) throws(JSONFault) -> Bool {
        if case .bool(let flag) = element.value { return flag }
        throw JSONFault(element.line, "\(key): expected true or false")
    }

    private static func string(
        _ element: JSONElement,
        _ key: StaticString
    ) throws(JSONFault) -> [UInt8] {
        if case .string(let text) = element.value { return text }
        throw JSONFault(element.line, "\(key): expected a string, found \(element.value.kind)")
    }

    private static func integer(
        _ element: JSONElement,
        _ key: StaticString,
        _ range: ClosedRange<Int>
    ) throws(JSONFault) -> Int {
        if case .integer(let number) = element.value, range.contains(number) { return number }
        throw JSONFault(
            element.line,
            "\(key): expected a whole number of \(range.lowerBound) to \(range.upperBound)"
        )
    }
}

extension [UInt8] {
    /// Lends a key's bytes to what may find fault with its value.
    fileprivate func lent(_ body: (Bytes) throws(JSONFault) -> Void) throws(JSONFault) {
        var fault: JSONFault?
        withBytes { bytes in
            do throws(JSONFault) {
                try body(bytes)
            } catch {
                fault = error
            }
        }
        if let fault { throw fault }
    }
}
