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
///         public func requestHeaders(_ exchange: borrowing Exchange<Self>) -> Verdict {
///             exchange.edits.append(FieldID.server, "hello")
///             return .next
///         }
///
///         public static func offer(_ offer: inout Offer) {
///             offer.create = { Export<Self>.create($0, $1, $2) }
///             offer.requestHeaders = { Export<Self>.requestHeaders($0, $1, $2, $3, $4) }
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

    /// Tables of the host that the plugin cannot do without, beside `sluice.core/1`.
    ///
    /// A host that lacks one of them refuses the library. A table that is not listed can still be
    /// used: its functions then say `ServiceError.unsupported` where the host has none.
    static var needs: HostTables { get }

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
    /// Each line is a literal closure, written in the plugin's own type: only so is it a C function
    /// without a context, and a hook without a line costs the host nothing. The lines are the same
    /// in every plugin.
    static func offer(_ offer: inout Offer)

    /// Takes out of an instance's offer what its configuration does not need, so that it costs the
    /// host nothing: sets hooks to nil. Adding some is an error.
    func narrow(_ offer: inout Offer)
}

extension Plugin where Self: ~Copyable {
    /// None but `sluice.core/1`.
    public static var needs: HostTables { [] }

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
