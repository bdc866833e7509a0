import SluiceSDK

/// What the manifest says, compiled.
struct HeadersConfiguration {
    let request: Rules
    let response: Rules
    let trust: TrustedProxies
    let forwarding: Forwarding
    let requestID: RequestIDSettings?
    let via: Via?

    init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        let forwarded = try configuration.member("forwarded")
        trust = try TrustedProxies(forwarded, host)
        forwarding = try Forwarding(forwarded)
        requestID = try RequestIDSettings.read(configuration, host)
        via = try Via(configuration, host)
        let hasID = requestID != nil
        request = try Rules(configuration.member("request"), .request, host, hasID: hasID)
        response = try Rules(configuration.member("response"), .response, host, hasID: hasID)
    }

    /// Whether the request hook has anything to do.
    var touchesRequests: Bool {
        forwarding.isOn || requestID != nil || via != nil || !request.isEmpty
    }

    /// Whether the response hook has anything to do.
    var touchesResponses: Bool {
        requestID?.echoes == true || via != nil || !response.isEmpty
    }
}
