import SluiceSDK
import SluiceTestKit
import Testing

/// Writes what it reads into the field x.
private struct Reader: RequestHeadersHook {
    static let id: StaticString = "org.sluice.test.reader"
    static let version: StaticString = "1.0.0"
    static let summary: StaticString = "Reads."

    init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {}

    func requestHeaders(_ exchange: borrowing Exchange<Reader>) -> Verdict {
        let fields = exchange.fields
        var writer = exchange.writer(capacity: 1_024)
        writer.append(fields[.cookie] ?? "none")
        writer.append(",")
        writer.append(fields[.contentDigest] ?? "none")
        writer.append(",")
        writer.append(fields.first(named: "x-other") ?? "none")
        writer.append(",")
        writer.append(decimal: UInt64(fields.count))
        for field in fields where !field.isPseudo {
            writer.append(field.isRepeated ? ",+" : ",")
            writer.append(field.name)
        }
        writer.append(fields.contains(anyOf: [.accept, .secGpc]) ? ",any" : ",neither")
        writer.append(quoted: fields.target)
        exchange.edits.set(.xCache, writer.bytes)
        return .next
    }

    static func offer(_ offer: inout Offer) {
        offer.create = { Export<Reader>.create($0, $1, $2) }
        offer.requestHeaders = { Export<Reader>.requestHeaders($0, $1, $2, $3, $4) }
    }
}

struct FieldsTests {
    private func read(_ fields: [(String, String)]) throws -> String? {
        let plugin = try PluginFixture(Reader.self)
        let request = RequestFixture("GET", "/a\"\\", fields: fields)
        #expect(plugin.requestHeaders(request) == .next)
        return request.request["x-cache"]
    }

    @Test
    func `finds fields by id and by name`() throws {
        #expect(
            try read([
                ("Cookie", "a"), ("X-Other", "b"), ("Cookie", "c"), ("Content-Digest", "d"),
            ]) == "a,d,b,8,cookie,x-other,+cookie,content-digest,neither\"/a\\\"\\\\\""
        )
    }

    @Test
    func `says when there is none`() throws {
        #expect(try read([("Sec-GPC", "1")]) == "none,none,none,5,sec-gpc,any\"/a\\\"\\\\\"")
    }
}
