internal import Admin
internal import PluginHost
internal import Proxy
internal import Reactor

/// What `POST /v1/cache/INSTANCE/purge` is told.
struct PurgeOrder: Sendable, Equatable {
    var plugin: String
    var purge: CachePurge
    var isSoft: Bool

    static let members = ["url", "prefix", "tag", "all", "soft"]
    /// Bytes of an address or a tag.
    static let valueBytesMax = 8_192

    /// Why a body is no order, in one line.
    struct Refusal: Error, Equatable {
        var line: String
    }

    /// - Parameter body: an object with these members at most, of which one says what goes.
    init(plugin: String, _ body: JSON) throws(Refusal) {
        self.plugin = plugin
        isSoft = try Self.flag("soft", of: body)
        var kinds: [CachePurge] = []
        if let value = try Self.text("url", of: body) { kinds.append(.url(value)) }
        if let value = try Self.text("prefix", of: body) { kinds.append(.prefix(value)) }
        if let value = try Self.text("tag", of: body) { kinds.append(.tag(value)) }
        if try Self.flag("all", of: body) { kinds.append(.all) }
        guard kinds.count == 1 else {
            throw Refusal(line: "expected one of url, prefix, tag and all, found \(kinds.count)")
        }
        purge = kinds[0]
    }

    private static func flag(_ name: String, of body: JSON) throws(Refusal) -> Bool {
        guard let member = body[name] else { return false }
        guard let flag = member.bool else {
            throw Refusal(line: "\(name): expected true or false, found \(member.text)")
        }
        return flag
    }

    private static func text(_ name: String, of body: JSON) throws(Refusal) -> String? {
        guard let member = body[name] else { return nil }
        guard let text = member.string, 1...valueBytesMax ~= text.utf8.count,
            text.utf8.allSatisfy({ 0x20...0x7e ~= $0 })
        else {
            throw Refusal(
                line: "\(name): expected 1 to \(valueBytesMax) printable ASCII characters, found "
                    + member.text
            )
        }
        return text
    }
}

extension Generations {
    /// Has a cache forget; also the one that is tried beside it. [control]
    func purge(_ order: PurgeOrder) -> AdminResponse {
        guard let plugin = running.plugin(order.plugin) else {
            return refuse("purge", 404, ["plugins.\(order.plugin): there is none"])
        }
        guard !plugin.isAbsent else {
            return refuse("purge", 409, ["plugins.\(order.plugin) is in quarantine"])
        }
        guard plugin.instance.isCache else {
            return refuse("purge", 409, ["plugins.\(order.plugin) is no cache"])
        }
        var instances = [plugin.instance]
        if let tried = canary?.running.plugin(order.plugin)?.instance, tried !== plugin.instance {
            instances.append(tried)
        }
        var count: UInt64 = 0
        for instance in instances {
            do throws(PluginError) {
                count += try instance.purge(order.purge, isSoft: order.isSoft)
            } catch {
                return refuse("purge", 422, [error.description])
            }
        }
        log.write(3) { line in
            line.text("purge: cache ")
            line.text(order.plugin)
            line.text(order.isSoft ? ", made stale: " : ", forgotten: ")
            line.number(Int(clamping: count))
        }
        return AdminResponse(200, ["purged": .integer(Int64(clamping: count))])
    }
}
