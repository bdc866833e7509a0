public import CSluice
import CSluiceEngine
import Glibc

/// The real proxy in a test: one worker on the test's thread, with a clock that the test moves, and
/// clients and origins that it plays.
///
///     let engine = try Engine(library: Engine.libraryPath("Greeter"), ["greeting": "hi"])
///     let exchange = try engine.request("GET", "/")
///     try engine.origin.respond(200, body: "hello")
///     #expect(exchange.response?["x-greeting"] == "hi")
///     try engine.close()
///
/// Nothing happens by itself and nothing takes time: a call returns when the proxy has done all
/// that it can do at this time of the clock. Only for what a thread of the plugin does a test must
/// `wait`.
///
/// The engine is a library of the host, `libSluiceEngine.so`: looked for at `SLUICE_ENGINE`, beside
/// the test's program, and where an installed SDK has it. One is open at a time in a process; tests
/// that run beside this one wait for `close`. All calls are made on the thread that opened it.
public final class Engine {
    /// Why there is no engine, or what is wrong with what it did: a line each.
    public struct Failure: Error, Equatable, CustomStringConvertible {
        /// The lines.
        public let description: String
    }

    /// Name of the plugin's instance.
    public static let pluginName = "plugin"
    /// Rounds of moving bytes after which they are taken to go in circles.
    private static let roundsMax = 100_000
    /// Bytes of an error's text, of a piece of the log, and of one read.
    private static let textBytes = 16_384

    let table: UnsafePointer<sluice_engine_table>
    /// Nil when it is closed.
    private var handle: OpaquePointer?
    private let options: Options
    /// The upstream's peers.
    public private(set) var origins: [Origin] = []
    /// What clients asked, oldest first.
    public private(set) var exchanges: [Exchange] = []
    private var logBytes: [UInt8] = []
    /// Why the first end that refused to send or receive did so.
    private var problem: String?
    /// Closes all clients when this many waits have begun; nil lets them be.
    var cancelsAtWait: UInt64?

    /// Starts a proxy with a plugin that was built as a library.
    ///
    /// - Throws: `Failure` with what is wrong with the library or its configuration.
    public convenience init(
        library path: String,
        _ configuration: TestValue = .object([:]),
        _ options: Options = Options()
    ) throws(Failure) {
        try self.init(library: path, hello: nil, configuration, options)
    }

    /// Starts a proxy with a plugin that is linked into the test.
    ///
    ///     try Engine(hello: { Export<Greeter>.hello($0, $1) }, ["greeting": "hi"])
    ///
    /// - Throws: `Failure` with what is wrong with the configuration.
    public convenience init(
        hello: @escaping sluice_plugin_hello_fn,
        _ configuration: TestValue = .object([:]),
        _ options: Options = Options()
    ) throws(Failure) {
        try self.init(library: "/linked", hello: hello, configuration, options)
    }

    private init(
        library path: String,
        hello: sluice_plugin_hello_fn?,
        _ configuration: TestValue,
        _ options: Options
    ) throws(Failure) {
        do throws(EngineLibrary.Missing) {
            table = try EngineLibrary.table()
        } catch {
            throw Failure(description: error.description)
        }
        self.options = options
        let text = options.manifest(library: path, configuration)
        let greeting = hello.map { Handshakes.open($0) }
        let opened = Self.open(table, manifest: text, path, greeting, options)
        if greeting != nil { Handshakes.finishOpening() }
        guard let handle = opened.handle else { throw Failure(description: opened.error) }
        self.handle = handle
        origins = (0..<options.peers).map { Origin(self, peer: $0) }
    }

    deinit {
        guard let handle else { return }
        _ = table.pointee.close(handle, nil)
    }

    private static func open(
        _ table: UnsafePointer<sluice_engine_table>,
        manifest: String,
        _ path: String,
        _ hello: sluice_plugin_hello_fn?,
        _ choices: Options
    ) -> (handle: OpaquePointer?, error: String) {
        var handle: OpaquePointer?
        let error = withErrorText { error in
            var linked = sluice_engine_linked()
            var options = sluice_engine_options()
            options.size = UInt32(MemoryLayout<sluice_engine_options>.size)
            options.views = choices.views.rawValue
            options.client_version = choices.versions.client.rawValue
            options.origin_version = choices.versions.origin.rawValue
            withSlice(path) { path in
                linked.path = path
                linked.hello = hello
                withUnsafePointer(to: linked) { linked in
                    if hello != nil {
                        options.linked = linked
                        options.linked_count = 1
                    }
                    withSlice(manifest) { manifest in
                        options.manifest = manifest
                        handle = table.pointee.open(&options, error)
                    }
                }
            }
        }
        return (handle, error)
    }

    /// Closes all connections, lets requests end, stops and destroys the plugin.
    ///
    /// - Throws: `Failure` with everything that should be gone and is not.
    public func close() throws(Failure) {
        let open = take()
        handle = nil
        let report = Self.withErrorText { _ = table.pointee.close(open, $0) }
        guard report.isEmpty else { throw Failure(description: report) }
    }

    /// The engine's handle; a call after `close` is a mistake of the test.
    func take() -> OpaquePointer {
        guard let handle else { preconditionFailure("the engine is closed") }
        return handle
    }

    /// Notes why an end refused to send or receive: the next `move` throws it.
    func noteProblem(_ end: Int32) {
        guard problem == nil else { return }
        problem = Self.withErrorText { _ = table.pointee.problem(take(), end, $0) }
    }

    private static func withErrorText(
        _ body: (UnsafeMutablePointer<sluice_errbuf>) -> Void
    ) -> String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: textBytes) { buffer in
            var error = sluice_errbuf()
            error.size = UInt32(MemoryLayout<sluice_errbuf>.size)
            error.cap = UInt32(buffer.count)
            error.ptr = buffer.baseAddress
            body(&error)
            let bytes = buffer[..<Int(error.len)].map { UInt8(bitPattern: $0) }
            return String(decoding: bytes, as: UTF8.self)
        }
    }

    static func withSlice<Result>(
        _ text: String,
        _ body: (sluice_slice) -> Result
    ) -> Result {
        var text = text
        return text.withUTF8 { bytes in
            body(sluice_slice(ptr: bytes.baseAddress, len: UInt64(bytes.count)))
        }
    }

    // MARK: Clients

    /// Sends a request on a connection of its own, and moves it as far as it goes.
    ///
    /// - Parameters:
    ///   - fields: besides Host, which is `example.com` unless it is among them, and those that
    ///     frame the body.
    @discardableResult
    public func request(
        _ method: String = "GET",
        _ path: String = "/",
        _ fields: KeyValuePairs<String, String> = [:],
        body: EngineBody = .none
    ) throws(Failure) -> Exchange {
        var head = "\(method) \(path) HTTP/1.1\r\n"
        if !fields.contains(where: { $0.key.lowercased() == "host" }) {
            head += "Host: example.com\r\n"
        }
        for (name, value) in fields { head += "\(name): \(value)\r\n" }
        head += body.framing + "\r\n"
        let exchange = try connect(isHead: method == "HEAD")
        exchange.connection.send(Array(head.utf8))
        for piece in body.pieces {
            try move()
            exchange.connection.send(piece)
        }
        try move()
        return exchange
    }

    /// Opens a connection of a client that has sent nothing yet.
    public func connect(isHead: Bool = false) throws(Failure) -> Exchange {
        let end = Self.withSlice(options.client) { table.pointee.connect(take(), $0, 0) }
        guard end >= 0 else { throw Failure(description: "no connection: result \(end)") }
        let exchange = Exchange(EngineConnection(self, end), isHead: isHead)
        exchanges.append(exchange)
        return exchange
    }

    // MARK: Time

    /// Lets the proxy, its clients and its origins do all that they can do now.
    ///
    /// - Throws: `Failure` when that has no end, or with what HTTP/2 has no form for.
    public func move() throws(Failure) {
        for _ in 0..<Self.roundsMax {
            guard table.pointee.settle(take()) != 0 else {
                throw Failure(description: "the proxy does not come to rest")
            }
            cancelIfAsked()
            var hasMoved = false
            for exchange in exchanges where exchange.connection.move() { hasMoved = true }
            for origin in origins {
                if try origin.move() { hasMoved = true }
            }
            if let problem { throw Failure(description: problem) }
            guard hasMoved else { return }
        }
        throw Failure(description: "the connections do not come to rest")
    }

    /// Moves the clock on; timers on the way fire in their order.
    public func advance(_ time: Duration) throws(Failure) {
        let (seconds, attoseconds) = time.components
        try move()
        table.pointee.advance(
            take(),
            UInt64(seconds) * 1_000_000_000 + UInt64(attoseconds / 1_000_000_000)
        )
        try move()
    }

    /// Waits, in real time, until the condition holds: for what a thread of the plugin does.
    ///
    /// - Returns: false when it does not hold after `seconds`.
    @discardableResult
    public func wait(seconds: Int = 10, until isDone: () -> Bool) throws(Failure) -> Bool {
        for _ in 0..<seconds * 100 {
            try move()
            if isDone() { return true }
            _ = table.pointee.wait(take(), 10)
        }
        return isDone()
    }

    private func cancelIfAsked() {
        guard let count = cancelsAtWait, counts.waitsBegun >= count else { return }
        for exchange in exchanges { exchange.connection.close() }
        _ = table.pointee.settle(take())
    }

    // MARK: Looking

    /// All lines of the log so far.
    public var log: String {
        var piece = [UInt8](repeating: 0, count: Self.textBytes)
        while true {
            let count = Int(table.pointee.take_log(take(), &piece, UInt64(piece.count)))
            logBytes += piece[..<count]
            if count < piece.count { return String(decoding: logBytes, as: UTF8.self) }
        }
    }

    /// What was counted of the plugin so far.
    public var counts: EngineCounts {
        var counts = sluice_engine_counts()
        counts.size = UInt32(MemoryLayout<sluice_engine_counts>.size)
        let result = Self.withSlice(Self.pluginName) { table.pointee.counts(take(), $0, &counts) }
        precondition(result == SLUICE_OK, "no instance \(Self.pluginName)")
        return EngineCounts(counts)
    }

    /// Ends all waits as the plugin itself would, before it does: its own `resume` is then late.
    ///
    /// - Returns: how many waited.
    @discardableResult
    public func resumeAll(payload: UInt64 = 0) throws(Failure) -> Int {
        let count = Int(table.pointee.resume_all(take(), payload))
        try move()
        return count
    }

    /// Whether there is an engine, or `SLUICE_ENGINE` says that there must be one.
    public static var isAvailable: Bool {
        if getenv("SLUICE_ENGINE") != nil { return true }
        do throws(EngineLibrary.Missing) {
            _ = try EngineLibrary.table()
            return true
        } catch {
            return false
        }
    }

    /// The path of a library that SwiftPM built beside the test's program.
    ///
    /// - Parameter product: as in Package.swift: "Greeter" for libGreeter.so.
    public static func libraryPath(_ product: String) -> String {
        var path = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &path, path.count)
        let bytes = path.prefix(max(count, 0)).map { UInt8(bitPattern: $0) }
        // The program is the bundle itself, or a helper that was told its path.
        var folder = String(decoding: bytes, as: UTF8.self)
        for argument in CommandLine.arguments where argument.hasSuffix(".xctest") {
            folder = argument
        }
        let end = folder.utf8.lastIndex(of: UInt8(ascii: "/")) ?? folder.startIndex
        return "\(folder[..<end])/lib\(product).so"
    }
}
