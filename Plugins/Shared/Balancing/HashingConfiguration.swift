public import SluiceSDK

/// What all balancers that hash can be told.
public struct HashingConfiguration: BitwiseCopyable {
    /// Names of its keys.
    public static var keys: [StaticString] { ["key", "max_load"] + CommonConfiguration.keys }

    /// What all balancers can be told.
    public let common: CommonConfiguration

    /// Where a request's key comes from; nil when another plugin sets it.
    public let key: KeyRule?
    /// How many times the mean a peer's load may be; nil for no bound.
    public let maxLoad: Double?

    /// Reads `key`, `max_load`, and what all balancers have.
    ///
    /// - Throws: which of them is wrong.
    public init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        common = try CommonConfiguration(configuration, host)
        key = try KeyRule(configuration, host)
        guard let value = try configuration.member("max_load") else {
            maxLoad = nil
            return
        }
        let factor = try value.number()
        guard MeanLoad.factors.contains(factor) else {
            throw value.error("is not within 1 to 100")
        }
        maxLoad = factor
    }
}
