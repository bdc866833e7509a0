public import SluiceSDK

/// What all balancers can be told.
public struct CommonConfiguration: BitwiseCopyable {
    /// Names of its keys.
    public static var keys: [StaticString] { ["candidates", "slow_start", "sticky", "zone"] }
    /// Peers that a pick may choose: as many as the interface takes.
    public static var candidatesRange: ClosedRange<Int> { 1...8 }
    /// Peers that a pick chooses when nothing is said: so one that is full has a next one twice.
    public static var candidatesDefault: Int { 3 }

    /// The own zone, and when it is left.
    struct Zone: BitwiseCopyable {
        let own: Bytes
        /// Percent.
        let minHealthy: Int
    }

    let candidates: Int
    let slowStart: SlowStart?
    let zone: Zone?
    /// How clients are kept with their peer; nil when they are not.
    public let sticky: StickyConfiguration?

    /// Reads the keys.
    ///
    /// - Throws: which of them is wrong.
    public init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        candidates =
            try configuration.integer("candidates", in: Self.candidatesRange)
            ?? Self.candidatesDefault
        slowStart = try configuration.member("slow_start").map { value throws(PluginError) in
            try SlowStart(value, host)
        }
        zone = try configuration.member("zone").map { value throws(PluginError) in
            try Self.zone(value)
        }
        sticky = try configuration.member("sticky").map { value throws(PluginError) in
            try StickyConfiguration(value, host)
        }
    }

    private static func zone(_ value: ConfigurationValue) throws(PluginError) -> Zone {
        if value.isString { return Zone(own: try name(value), minHealthy: 70) }
        try value.allowKeys(["own", "min_healthy"])
        return Zone(
            own: try name(value.required("own")),
            minHealthy: try value.integer("min_healthy", in: 0...100) ?? 70
        )
    }

    private static func name(_ value: ConfigurationValue) throws(PluginError) -> Bytes {
        let name = try value.string()
        guard !name.isEmpty else { throw value.error("no name of a zone") }
        return name
    }
}
