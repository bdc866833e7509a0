import SluiceSDK

/// Says hello in a field of every response.
public struct Greeter: ResponseHeadersHook {
    public static let id: StaticString = "org.example.hello"
    public static let version: StaticString = "1.0.0"
    public static let summary: StaticString = "Says hello in a field of every response."

    private let name: FieldName
    private let greeting: Bytes

    /// Makes an instance of `config: { greeting: "hello" }`.
    public init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        name = try FieldName(named: "x-hello")
        greeting = try configuration.string("greeting") ?? "hello from Swift"
    }

    public func responseHeaders(_ exchange: borrowing Exchange<Self>) -> Verdict {
        exchange.edits.set(name, greeting)
        return .next
    }

    public static func offer(_ offer: inout Offer) {
        offer.create = { Export<Self>.create($0, $1, $2) }
        offer.check = { Export<Self>.check($0, $1) }
        offer.responseHeaders = { Export<Self>.responseHeaders($0, $1, $2, $3, $4) }
    }
}
