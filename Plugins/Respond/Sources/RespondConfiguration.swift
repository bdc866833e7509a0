import SluiceSDK

/// What the manifest says, compiled.
struct RespondConfiguration {
    let answer: Answer
    let location: Location?
    let methods: Methods?

    init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        answer = try Answer(configuration, host)
        location = try Location(configuration, host, status: answer.status)
        methods = try Methods(configuration, host)
    }
}

/// What may stand in the values of fields and in the body.
let placeholders: [Placeholder] = [
    .clientIP, .host, .authority, .scheme, .path, .query, .route, .tlsVersion, .tlsCipher,
    .tlsServerName, .clientSubject, .clientFingerprint,
]
