import HTTP
import PluginHost

/// All routes, compiled for look-up by host.
///
/// Semantics are "first match in the manifest's order". For every host name in the manifest the
/// routes that can match it are listed beforehand, so that a request looks at those only: one hash
/// look-up, then a walk over a short list.
struct RouteTable {
    private let routes: UnsafeMutablePointer<CompiledRoute>
    private let routeCount: Int
    /// Open-addressing table of exact hosts and suffixes; its size is a power of two.
    private let hosts: UnsafeMutablePointer<HostEntry>
    private let hostMask: Int
    private let hasHosts: Bool
    private let hasSuffixes: Bool
    /// Routes for a host that the table does not know.
    private let others: RouteList

    /// Indices of routes, ascending.
    struct RouteList {
        var indices: UnsafeMutablePointer<Int32>?
        var count = 0

        init(_ list: [Int]) {
            guard !list.isEmpty else { return }
            let indices = UnsafeMutablePointer<Int32>.allocate(capacity: list.count)
            for (at, index) in list.enumerated() { indices[at] = Int32(index) }
            self.indices = indices
            count = list.count
        }
    }

    struct HostEntry {
        /// Lower case; a suffix begins with a dot.
        ///
        /// Nil for a free place.
        var name: Slice?
        var hash: UInt64 = 0
        var list = RouteList([])
    }

    struct CompiledRoute {
        var plan: RoutePlan
        var path: Slice
        var pathKind: UInt8
        var methods: UnsafeMutablePointer<Slice>
        var methodCount: Int
        var headers: UnsafeMutablePointer<CompiledHeader>
        var headerCount: Int
        /// Bit per listener of the first 64.
        var listeners: UInt64
    }

    struct CompiledHeader {
        var name: Slice
        var id: FieldID
        var value: Slice?
    }

    /// Listeners that routes can be bound to.
    static let listenersMax = 64

    /// - Parameter listeners: addresses as in the manifest, in order.
    init(_ plans: [RoutePlan], _ matches: [RouteMatch], listeners: [String]) {
        routeCount = plans.count
        routes = .allocate(capacity: max(plans.count, 1))
        for (index, plan) in plans.enumerated() {
            routes.advanced(by: index).initialize(
                to: Self.compile(plan, matches[index], listeners)
            )
        }
        let byHost = RouteHosts(matches)
        let names = byHost.names
        var size = 8
        while size < names.count * 2 { size *= 2 }
        hostMask = size - 1
        hosts = .allocate(capacity: size)
        hosts.initialize(repeating: HostEntry(), count: size)
        for name in names {
            let bytes = Self.permanent(name)
            let hash = Self.hash(bytes.bytes, bytes.count)
            var place = Int(truncatingIfNeeded: hash) & hostMask
            while hosts[place].name != nil { place = (place + 1) & hostMask }
            let list = RouteList(byHost.routes(of: name))
            hosts[place] = HostEntry(name: bytes, hash: hash, list: list)
        }
        hasHosts = !names.isEmpty
        hasSuffixes = names.contains { $0.hasPrefix(".") }
        others = RouteList(byHost.anyHost)
    }

    private static func compile(
        _ plan: RoutePlan,
        _ match: RouteMatch,
        _ listeners: [String]
    ) -> CompiledRoute {
        var mask = UInt64.max
        if !match.listeners.isEmpty {
            mask = 0
            for (index, address) in listeners.prefix(listenersMax).enumerated()
            where match.listeners.contains(address) {
                mask |= 1 << UInt64(index)
            }
        }
        let methods = UnsafeMutablePointer<Slice>.allocate(capacity: max(match.methods.count, 1))
        for (index, method) in match.methods.enumerated() {
            methods.advanced(by: index).initialize(to: permanent(method))
        }
        let headers = UnsafeMutablePointer<CompiledHeader>.allocate(
            capacity: max(match.headers.count, 1)
        )
        for (index, header) in match.headers.enumerated() {
            let name = permanent(header.name)
            headers.advanced(by: index).initialize(
                to: CompiledHeader(
                    name: name,
                    id: FieldNames.id(name.bytes, count: name.count),
                    value: header.value.map(permanent)
                )
            )
        }
        let path: (String, UInt8) =
            switch match.path {
            case .any: ("", 0)
            case .exact(let path): (path, 1)
            case .prefix(let path): (path, 2)
            }
        return CompiledRoute(
            plan: plan,
            path: permanent(path.0),
            pathKind: path.1,
            methods: methods,
            methodCount: match.methods.count,
            headers: headers,
            headerCount: match.headers.count,
            listeners: mask
        )
    }

    private static func permanent(_ text: String) -> Slice {
        let bytes = Array(text.utf8)
        let copy = UnsafeMutablePointer<UInt8>.allocate(capacity: max(bytes.count, 1))
        copy.initialize(from: bytes, count: bytes.count)
        return Slice(UnsafePointer(copy), bytes.count)
    }

    /// FNV-1a of the lower-case bytes.
    private static func hash(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for index in 0..<count {
            var byte = bytes[index]
            if byte &- 0x41 < 26 { byte |= 0x20 }
            hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3
        }
        return hash
    }

    // MARK: Look-up

    /// The route of a request; nil when none matches.
    ///
    /// - Parameter listener: index of the listener that it came by.
    func match(_ request: Message, listener: Int) -> UnsafePointer<RoutePlan>? {
        let list = hasHosts ? list(of: request.authority) : others
        guard let indices = list.indices else { return nil }
        for at in 0..<list.count {
            let route = routes + Int(indices[at])
            let listens =
                listener >= Self.listenersMax
                ? route.pointee.listeners == .max
                : route.pointee.listeners & (1 << UInt64(listener)) != 0
            if listens, Self.matches(route, request) {
                return UnsafeRawPointer(route).assumingMemoryBound(to: RoutePlan.self)
            }
        }
        return nil
    }

    /// Takes the port off, and the dot that may end a full name.
    private static func removePort(_ host: inout Slice) {
        var count = host.count
        var digits = count
        while digits > 0, host.bytes[digits &- 1] &- 48 < 10 { digits &-= 1 }
        if digits > 0, host.bytes[digits &- 1] == UInt8(ascii: ":") { count = digits &- 1 }
        if count > 1, host.bytes[count &- 1] == UInt8(ascii: ".") { count &-= 1 }
        host.count = count
    }

    private func list(of authority: Slice) -> RouteList {
        var host = authority
        Self.removePort(&host)
        // A name of the table that begins with a dot is a suffix, and no host.
        if host.count > 0, host.bytes[0] != UInt8(ascii: "."), let entry = find(host) {
            return entry.pointee.list
        }
        guard hasSuffixes else { return others }
        // The longest suffix wins: names get shorter from the left.
        var start = 0
        while start < host.count {
            if start > 0, host.bytes[start] == UInt8(ascii: "."),
                let entry = find(Slice(host.bytes + start, host.count &- start))
            {
                return entry.pointee.list
            }
            start &+= 1
        }
        return others
    }

    private func find(_ name: Slice) -> UnsafeMutablePointer<HostEntry>? {
        let hash = Self.hash(name.bytes, name.count)
        var place = Int(truncatingIfNeeded: hash) & hostMask
        while let known = hosts[place].name {
            if hosts[place].hash == hash,
                FieldNames.equalsIgnoringCase(known.bytes, known.count, name.bytes, name.count)
            {
                return hosts + place
            }
            place = (place &+ 1) & hostMask
        }
        return nil
    }

    private static func matches(
        _ route: UnsafeMutablePointer<CompiledRoute>,
        _ request: Message
    ) -> Bool {
        guard route.pointee.pathKind == 0 || matchesPath(route, request) else { return false }
        if route.pointee.methodCount > 0 {
            var found = false
            for index in 0..<route.pointee.methodCount
            where equal(request.method, route.pointee.methods[index]) {
                found = true
            }
            guard found else { return false }
        }
        for index in 0..<route.pointee.headerCount
        where !hasField(route.pointee.headers[index], request) {
            return false
        }
        return true
    }

    private static func matchesPath(
        _ route: UnsafeMutablePointer<CompiledRoute>,
        _ request: Message
    ) -> Bool {
        let wanted = route.pointee.path
        var path = request.path
        var end = 0
        while end < path.count, path.bytes[end] != UInt8(ascii: "?") { end &+= 1 }
        path.count = end
        if route.pointee.pathKind == 1 { return equal(path, wanted) }
        if path.count >= wanted.count, equal(Slice(path.bytes, wanted.count), wanted) {
            return true
        }
        // "/api/*" matches "/api" too.
        return path.count &+ 1 == wanted.count && equal(path, Slice(wanted.bytes, path.count))
    }

    private static func equal(_ a: Slice, _ b: Slice) -> Bool {
        guard a.count == b.count else { return false }
        var index = 0
        while index < a.count {
            if a.bytes[index] != b.bytes[index] { return false }
            index &+= 1
        }
        return true
    }

    /// Whether some field of this name has the value, or any value.
    private static func hasField(_ wanted: CompiledHeader, _ request: Message) -> Bool {
        for index in 0..<request.fieldCount {
            let field = request.fields[index]
            guard field.flags & FieldSpan.dropped == 0, field.id == wanted.id,
                wanted.id != .unknown
                    || FieldNames.equalsIgnoringCase(
                        request.head + Int(field.nameStart),
                        Int(field.nameLength),
                        wanted.name.bytes,
                        wanted.name.count
                    )
            else { continue }
            guard let value = wanted.value else { return true }
            let found = Slice(request.head + Int(field.valueStart), Int(field.valueLength))
            if equal(found, value) { return true }
        }
        guard let added = request.added else { return false }
        for index in 0..<request.addedCount where !added[index].isDropped {
            guard
                FieldNames.equalsIgnoringCase(
                    added[index].name,
                    Int(added[index].nameLength),
                    wanted.name.bytes,
                    wanted.name.count
                )
            else { continue }
            guard let value = wanted.value else { return true }
            if equal(Slice(added[index].value, Int(added[index].valueLength)), value) {
                return true
            }
        }
        return false
    }
}
