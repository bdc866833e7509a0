import SluiceSDK

/// The methods that are answered; others get 405 with this list in Allow (RFC 9110 §15.5.6).
struct Methods {
    /// Methods, which are compared one after the other.
    static let countMax = 16

    private let names: List<Bytes>
    /// What Allow says.
    let list: Bytes

    init?(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
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
        self.names = host.memory.list(names)
        list = host.memory.join(names.flatMap { [", ", $0] }.dropFirst().map { $0 })
    }

    func allow(_ method: Bytes) -> Bool {
        for name in names where name == method { return true }
        return false
    }
}
