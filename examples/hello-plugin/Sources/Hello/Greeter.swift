import SluiceSDK

/// Says hello in a field of every response.
struct Greeter: ResponseHeadersHook {
    static let id: StaticString = "org.example.hello"
    static let version: StaticString = "1.0.0"
    static let summary: StaticString = "Says hello in a field of every response."

    private let name: FieldName
    private let greeting: Bytes

    /// Makes an instance of `config: { greeting: "hello" }`.
    init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        name = try FieldName(named: "x-hello")
        greeting = try configuration.string("greeting") ?? "hello from Swift"
    }

    func responseHeaders(_ exchange: borrowing Exchange<Greeter>) -> Verdict {
        exchange.edits.set(name, greeting)
        return .next
    }

    static func offer(_ offer: inout Offer) {
        offer.create = { Export<Greeter>.create($0, $1, $2) }
        offer.check = { Export<Greeter>.check($0, $1) }
        offer.responseHeaders = { Export<Greeter>.responseHeaders($0, $1, $2, $3, $4) }
    }
}
