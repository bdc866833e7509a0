/// A plugin: a struct whose value is one instance, made from one entry of the manifest.
///
/// Conform to this and to one protocol per hook or role, list them in `offer`, and call `hello`
/// from the library's entry:
///
///     public struct Greeter: RequestHeadersHook {
///         public static let id: StaticString = "org.example.greeter"
///         public static let version: StaticString = "1.0.0"
///         public static let summary: StaticString = "Says hello."
///
///         public init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
///             try configuration.allowKeys([])
///         }
///
///         public func requestHeaders(_ exchange: borrowing Exchange<Greeter>) -> Verdict {
///             exchange.edits.append(FieldID.server, "hello")
///             return .next
///         }
///
///         public static func offer(_ offer: inout Offer) {
///             offer.create = { Export<Greeter>.create($0, $1, $2) }
///             offer.requestHeaders = { Export<Greeter>.requestHeaders($0, $1, $2, $3, $4) }
///         }
///     }
///
/// One instance serves all workers at the same time, so its stored properties must not change after
/// `init`. What changes belongs into `Worker`, which one worker owns, or into `Context`, which one
/// request owns. A struct that owns raw memory can be `~Copyable` and free it in `deinit`.
public protocol Plugin: ~Copyable {
    /// Memory of one request, zeroed at its start and passed to each of its hooks: up to 4,096
    /// bytes.
    associatedtype Context: BitwiseCopyable = Nothing
    /// State of one worker, made before its first request.
    associatedtype Worker = Nothing

    /// Reverse domain name, such as "org.example.headers".
    static var id: StaticString { get }
    /// "1.2.0".
    static var version: StaticString { get }
    /// One line that says what the plugin does.
    static var summary: StaticString { get }

    /// Makes an instance. `configuration` is an object and lives as long as the instance.
    ///
    /// - Throws: what is wrong with the configuration, with the path of the key.
    init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError)

    /// Makes the state of a worker, on the worker's thread.
    ///
    /// - Parameter index: 0 up to the number of workers.
    func makeWorker(_ index: Int) -> Worker

    /// Lists what the plugin offers; called when the library is loaded and once an instance.
    ///
    /// Each line is a literal closure that names the plugin's type: only so is it a C function
    /// without a context, and a hook without a line costs the host nothing.
    static func offer(_ offer: inout Offer)

    /// Takes out of an instance's offer what its configuration does not need, so that it costs the
    /// host nothing: sets hooks to nil. Adding some is an error.
    func narrow(_ offer: inout Offer)
}

extension Plugin where Self: ~Copyable {
    /// All that the type offers.
    public func narrow(_ offer: inout Offer) {}
}

extension Plugin where Self: ~Copyable, Worker == Nothing {
    /// A plugin without state of its own per worker.
    public func makeWorker(_ index: Int) -> Nothing { Nothing() }
}

/// No state.
public struct Nothing: BitwiseCopyable, Sendable {
    /// The only value.
    public init() {}
}

/// Sees a request when its head is parsed and checked, before it is routed.
public protocol RequestHeadersHook: Plugin, ~Copyable {
    /// Reads the head, asks for edits, or answers.
    func requestHeaders(_ exchange: borrowing Exchange<Self>) -> Verdict
}

/// Sees each attempt's request before its head is written to the peer.
public protocol UpstreamRequestHook: Plugin, ~Copyable {
    /// Reads the head that is about to be sent, and asks for edits.
    func upstreamRequest(_ exchange: borrowing Exchange<Self>) -> Verdict
}

/// Sees a response before its head goes to the client, also one that the proxy made itself.
public protocol ResponseHeadersHook: Plugin, ~Copyable {
    /// Reads the response's head, and asks for edits.
    func responseHeaders(_ exchange: borrowing Exchange<Self>) -> Verdict
}

/// Sees an error that the host or a plugin made, before it is sent.
public protocol LocalReplyHook: Plugin, ~Copyable {
    /// Reads the reply's fields; edits apply to it.
    func localReply(_ exchange: borrowing Exchange<Self>) -> Verdict
}

/// Sees the end of each request exactly once, whatever its outcome.
public protocol RequestEndHook: Plugin, ~Copyable {
    /// Reads what is known of the request. There are no edits, and nothing to answer.
    func requestEnd(_ exchange: borrowing Exchange<Self>)
}
