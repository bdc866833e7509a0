/// Which routes can match which host name of the manifest.
///
/// A table from name to routes is made in one pass over the manifest, so that listing the routes of
/// all names takes time in the length of the lists, and not in names times routes.
struct RouteHosts {
    /// Exact hosts, and suffixes, which begin with a dot, in the manifest's order.
    private(set) var names: [String] = []
    /// Routes for any host, ascending.
    private(set) var anyHost: [Int] = []
    /// Routes that name a host or suffix.
    private var named: [String: [Int]] = [:]

    init(_ matches: [RouteMatch]) {
        for (index, match) in matches.enumerated() {
            if match.hosts.isEmpty { anyHost.append(index) }
            for host in match.hosts {
                let name = Self.text(host)
                if named[name] == nil { names.append(name) }
                named[name, default: []].append(index)
            }
        }
    }

    private static func text(_ host: HostPattern) -> String {
        switch host {
        case .exact(let name): name
        case .suffix(let suffix): suffix
        }
    }

    /// Routes that can match a host, or any host of a suffix: those that name it, those of every
    /// suffix that it ends with, and those for any host; ascending.
    func routes(of name: String) -> [Int] {
        var found = anyHost + named[name, default: []]
        for index in name.utf8.indices.dropFirst() where name.utf8[index] == UInt8(ascii: ".") {
            found += named[String(name[index...]), default: []]
        }
        found.sort()
        var distinct: [Int] = []
        distinct.reserveCapacity(found.count)
        for index in found where distinct.last != index { distinct.append(index) }
        return distinct
    }
}
