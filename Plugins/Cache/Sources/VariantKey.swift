import CSluice
import CachePolicy
import SluiceSDK

// What makes the variants of an address.

extension KeyRules {
    /// Writes the key of a variant behind its primary key, which is there already.
    ///
    /// Control characters part what can't have any, so no two requests that differ have one key.
    ///
    /// - Parameters:
    ///   - names: of fields, each behind its length in one byte.
    ///   - epoch: of the marker.
    func write(
        variantOf fields: Fields,
        names: Text,
        epoch: UInt64,
        to key: inout KeyWriter
    ) {
        key.append(byte: 0x0A)
        key.append(word: epoch)
        for cookie in cookies {
            key.append(byte: 0x0A)
            Self.write(cookie: Text(cookie), fields, to: &key)
        }
        if hasDevice {
            key.append(byte: 0x0A)
            let agent = fields[.userAgent].map { Text($0) } ?? .empty
            key.append(byte: Device(agent).rawValue)
        }
        var rest = names
        while !rest.isEmpty {
            let count = Int(rest[0])
            let name = rest[1..<1 + count]
            rest = rest.dropFirst(1 + count)
            key.append(byte: 0x0A)
            key.append(name)
            write(name, fields, to: &key)
        }
    }

    /// The values of a field, with its elements apart and nothing else between them.
    private func write(_ name: Text, _ fields: Fields, to key: inout KeyWriter) {
        if name == "accept-encoding" {
            guard fields.contains(.acceptEncoding) else { return }
            var mask: UInt8? = 0
            for field in fields where field.id == .acceptEncoding {
                mask = mask.flatMap { Variance.codings(Text(field.value), $0) }
            }
            if let mask {
                key.append(byte: 0x01)
                return key.append(byte: mask)
            }
        }
        var isFirst = true
        for field in fields where Text(field.name) == name {
            if isFirst { key.append(byte: 0x3D) }
            isFirst = false
            for element in ListElements(Text(field.value)) {
                key.append(element)
                key.append(byte: 0x2C)
            }
        }
    }

    /// The value of the first cookie of a name (RFC 6265 §5.4).
    private static func write(cookie name: Text, _ fields: Fields, to key: inout KeyWriter) {
        guard let value = cookie(name, fields) else { return }
        key.append(byte: 0x3D)
        key.append(value)
    }

    static func cookie(_ name: Text, _ fields: Fields) -> Text? {
        guard fields.contains(.cookie) else { return nil }
        for field in fields where field.id == .cookie {
            var rest = Text(field.value)
            while !rest.isEmpty {
                let end = rest.firstIndex(of: 0x3B) ?? rest.count
                let pair = rest[0..<end].trimmed
                rest = rest.dropFirst(min(end + 1, rest.count))
                guard let equals = pair.firstIndex(of: 0x3D), pair[0..<equals] == name else {
                    continue
                }
                return pair.dropFirst(equals + 1)
            }
        }
        return nil
    }

    /// Adds a name to a list of names if it is not there; false when there is no room.
    ///
    /// - Parameter list: room for `Variance.nameBytesMax` bytes.
    static func add(
        _ name: Text,
        to list: UnsafeMutablePointer<UInt8>,
        _ bytes: inout Int,
        _ count: inout Int
    ) -> Bool {
        var at = 0
        while at < bytes {
            let known = Text(UnsafePointer(list + at + 1), count: Int(list[at]))
            if known.equalsIgnoringCase(name) { return true }
            at += 1 + known.count
        }
        guard count < Variance.namesMax, name.count <= 255,
            bytes + 1 + name.count <= Variance.nameBytesMax
        else { return false }
        // Safe: there is room.
        list[bytes] = UInt8(name.count)
        for offset in 0..<name.count { list[bytes + 1 + offset] = lowered(name[offset]) }
        bytes += 1 + name.count
        count += 1
        return true
    }
}

/// Classes of devices, as far as `User-Agent` tells.
enum Device: UInt8 {
    case desktop = 0x64
    case mobile = 0x6D
    case tablet = 0x74

    init(_ agent: Text) {
        if Device.has(agent, "iPad") || Device.has(agent, "Tablet") {
            self = .tablet
        } else if Device.has(agent, "Android") {
            self = Device.has(agent, "Mobile") ? .mobile : .tablet
        } else if Device.has(agent, "Mobi") || Device.has(agent, "iPhone") {
            self = .mobile
        } else {
            self = .desktop
        }
    }

    private static func has(_ text: Text, _ word: Text) -> Bool {
        guard text.count >= word.count else { return false }
        for offset in 0...(text.count - word.count)
        where text.dropFirst(offset).hasPrefix(word) {
            return true
        }
        return false
    }
}
