import SluiceSDK

/// The methods that are answered; others get 405 with this list in Allow (RFC 9110 §15.5.6).
struct Methods {
    /// Methods, which are compared one after the other.
    static let countMax = 16

    private let names: [Bytes]
    private let text: OwnedBytes

    /// What Allow says.
    var list: Bytes { text.bytes }

    init?(_ configuration: ConfigurationValue) throws(PluginError) {
        guard let value = try configuration.member("methods") else { return nil }
        var names: [Bytes] = []
        for entry in try value.array() {
            let name = try entry.string()
            guard name.isToken else { throw entry.error("no method: \"\(String(name))\"") }
            names.append(name)
        }
        // Whoever answers GET answers HEAD (RFC 9110 §9.1).
        if names.contains("GET") && !names.contains("HEAD") { names.append("HEAD") }
        guard !names.isEmpty, names.count <= Methods.countMax else {
            throw value.error("\(names.count) methods are not within 1 to \(Methods.countMax)")
        }
        self.names = names
        var list = ""
        for name in names { list += (list.isEmpty ? "" : ", ") + String(name) }
        text = OwnedBytes(list)
    }

    func allow(_ method: Bytes) -> Bool {
        let names = names.span
        for index in names.indices where names[index] == method { return true }
        return false
    }
}
