import SluiceSDK

/// Where a redirect leads.
struct Location {
    private let template: Template
    private let usesPath: Bool
    private let beginsWithPath: Bool

    init?(_ configuration: ConfigurationValue, _ host: Host, status: Int) throws(PluginError) {
        guard let value = try configuration.member("location") else { return nil }
        guard status == 201 || (300...399).contains(status) else {
            throw value.error("needs a status of 201 or 300 to 399, not \(status)")
        }
        let text = try value.string()
        guard text.isFieldValue, !text.isEmpty else { throw value.error("no value of a field") }
        let template = try value.naming { () throws(PluginError) in
            try Template(
                text,
                allowing: [.host, .authority, .scheme, .path, .query],
                in: host.memory
            )
        }
        self.template = template
        usesPath = template.uses(.path)
        beginsWithPath = text.hasPrefix("{path}")
    }

    /// The value for a request; nil when its path would lead somewhere else than the template says.
    ///
    /// A path that does not begin with a slash could go on with the host's name in front of it. One
    /// with two slashes, at the very beginning, would be another host's name: browsers read
    /// "//example.org" so, and "/\example.org" too.
    func value(_ exchange: borrowing Exchange<RespondFilter>) -> Bytes? {
        if usesPath && !exchange.fields.target.hasPrefix("/") { return nil }
        let value = template.value(exchange)
        guard beginsWithPath, value.count > 1 else { return value }
        var start = 0
        while start + 1 < value.count, value[start + 1] == 0x2F { start += 1 }
        if start + 1 < value.count, value[start + 1] == 0x5C { return nil }
        return value.dropFirst(start)
    }
}
