public import CSluice

/// The role `sluice.cache/1`: keeps responses and answers from them.
///
/// `sluice/ext/cache.h` says in what order the host calls. A request's end comes by
/// `RequestEndHook`: what the plugin still holds for the request is given up there.
public protocol ResponseCache: Plugin, ~Copyable {
    /// What becomes of a request.
    func lookup(_ lookup: borrowing CacheLookup<Self>) -> CacheVerdict

    /// Whether the origin's response to a miss is stored.
    func admit(_ response: borrowing CacheResponse<Self>) -> CacheAdmission

    /// No attempt of a miss had a response.
    func failed(_ response: borrowing CacheResponse<Self>) -> CacheAdmission

    /// Takes bytes of a body; false when it can't be stored: the host then calls `abort`.
    ///
    /// It may call `CacheRequest.suspend` of the request, and then takes them.
    func write(
        _ writer: UnsafeMutableRawPointer,
        _ bytes: Bytes,
        on worker: UnsafeMutablePointer<Worker>
    ) -> Bool

    /// The whole body was written.
    ///
    /// Ends the writer.
    func commit(_ writer: UnsafeMutableRawPointer, on worker: UnsafeMutablePointer<Worker>)

    /// The body will never be whole.
    ///
    /// Ends the writer.
    func abort(_ writer: UnsafeMutableRawPointer, on worker: UnsafeMutablePointer<Worker>)

    /// Gives bytes of an answer's body.
    func read(
        _ reader: UnsafeMutableRawPointer,
        _ chunk: borrowing CacheChunk,
        on worker: UnsafeMutablePointer<Worker>
    ) -> CacheProgress

    /// Ends a reader, exactly once.
    func close(_ reader: UnsafeMutableRawPointer, on worker: UnsafeMutablePointer<Worker>)

    /// Forgets objects, on the control thread.
    ///
    /// - Returns: how many it hit.
    /// - Throws: why the order can't be followed.
    func purge(_ order: CachePurge) throws(PluginError) -> Int
}

/// What becomes of a request, in `lookup`.
public enum CacheVerdict: UInt32, Sendable {
    /// To the origin; no further call.
    case bypass = 0
    /// To the origin; then `admit` or `failed`.
    case miss = 1
    /// `answer` is served.
    case hit = 2
    /// The same, and the host fetches in the background.
    case stale = 3
    /// `suspend` was called: `lookup` again after the wait.
    case wait = 4
    /// Likewise, and the host fetches in the background.
    case fetch = 5
    /// `reply` is sent.
    case respond = 6
}

/// What becomes of a response, in `admit` and `failed`.
public enum CacheAdmission: UInt32, Sendable {
    /// The client gets it.
    case pass = 0
    /// The same, and it is written to `writer`.
    case store = 1
    /// It is dropped, and `answer` is served.
    case answer = 2
}

/// What `read` has.
public enum CacheProgress: UInt32, Sendable {
    /// `CacheChunk.give` was called.
    case bytes = 0
    /// `CacheChunk.give(file:offset:length:)` was called.
    case file = 1
    /// Not there yet: `suspend` was called.
    case again = 2
    /// The offset is the body's end.
    case end = 3
    /// There will be no more.
    case broken = 4
}

/// Why `lookup` is called again.
public enum CacheAgain: UInt32, Sendable {
    /// It is the first call.
    case first = 0
    /// Somebody ended the wait.
    case woken = 1
    /// The time is over.
    case deadline = 2
    /// There was no room for the request in the background.
    case refused = 3
}

/// A request that the cache may answer; valid until `lookup` returns.
public struct CacheLookup<Owner: Plugin & ~Copyable>: ~Copyable {
    @usableFromInline let lookup: UnsafeMutablePointer<sluice_cache_lookup>
    @usableFromInline let call: CacheCall

    @inlinable
    init(lookup: UnsafeMutablePointer<sluice_cache_lookup>, call: CacheCall) {
        self.lookup = lookup
        self.call = call
    }

    /// The request's fields, after the hooks.
    @inlinable
    public var fields: Fields { Fields(lookup.pointee.headers) }

    /// What else is known of it.
    @inlinable
    public var facts: Facts { Facts(lookup.pointee.facts) }

    /// Whether the host made the request itself.
    @inlinable
    public var isInternal: Bool { lookup.pointee.flags & UInt32(SLUICE_ARGS_INTERNAL) != 0 }

    /// Whether the request has no body.
    @inlinable
    public var isEndOfStream: Bool { lookup.pointee.flags & UInt32(SLUICE_ARGS_EOS) != 0 }

    /// Why this is called.
    @inlinable
    public var again: CacheAgain { CacheAgain(rawValue: lookup.pointee.again) ?? .woken }

    /// Changes to the request that goes to the origin, with `miss`.
    @inlinable
    public var edits: Edits { Edits(lookup.pointee.edits, failure: call.failure) }

    /// Fields of the reply, with `respond`.
    @inlinable
    public var replyEdits: Edits {
        Edits(lookup.pointee.reply?.pointee.edits, failure: call.failure)
    }

    /// What is served, with `hit` and `stale`.
    @inlinable
    public var answer: UnsafeMutablePointer<sluice_cache_answer>? { lookup.pointee.answer }

    /// The plugin's memory of this request.
    @inlinable
    public var contextPointer: UnsafeMutablePointer<Owner.Context> { call.context(Owner.self) }

    /// The state of the worker.
    @inlinable
    public var workerPointer: UnsafeMutablePointer<Owner.Worker> { call.worker(Owner.self) }

    /// Says how the request is served, for the facts: SLUICE_CACHE_STATUS_*.
    @inlinable
    public func setStatus(_ status: UInt32) { lookup.pointee.cache_status = status }

    /// Answers: `return lookup.respond(status: 504)`.
    ///
    /// - Parameters:
    ///   - status: 200 to 599.
    ///   - body: valid for the instance.
    @inlinable
    public func respond(status: Int, body: Bytes = .empty) -> CacheVerdict {
        lookup.pointee.reply?.pointee.status = UInt32(status)
        lookup.pointee.reply?.pointee.body = body.slice
        return .respond
    }

    /// Begins a wait; the verdict must then be `wait` or `fetch`.
    ///
    /// - Parameter nanoseconds: as of `Exchange.suspend`.
    /// - Throws: as `Exchange.suspend`.
    @inlinable
    public func suspend(nanoseconds: UInt64) throws(ServiceError) -> Token {
        try call.suspend(nanoseconds)
    }
}

/// A response to a miss, or that there is none; valid until `admit` or `failed` returns.
public struct CacheResponse<Owner: Plugin & ~Copyable>: ~Copyable {
    @usableFromInline let response: UnsafeMutablePointer<sluice_cache_response>
    @usableFromInline let call: CacheCall

    @inlinable
    init(response: UnsafeMutablePointer<sluice_cache_response>, call: CacheCall) {
        self.response = response
        self.call = call
    }

    /// The request's fields.
    @inlinable
    public var requestFields: Fields { Fields(response.pointee.request_headers) }

    /// The response's fields; nil in `failed`.
    @inlinable
    public var fields: Fields? { response.pointee.headers.map { Fields($0) } }

    /// What else is known of the request.
    @inlinable
    public var facts: Facts { Facts(response.pointee.facts) }

    /// Whether the host made the request itself.
    @inlinable
    public var isInternal: Bool {
        response.pointee.flags & UInt32(SLUICE_ARGS_INTERNAL) != 0
    }

    /// Bytes of the body; nil when that is not known.
    @inlinable
    public var contentLength: UInt64? {
        response.pointee.content_length == .max ? nil : response.pointee.content_length
    }

    /// Whether no body follows.
    @inlinable
    public var isEndOfStream: Bool {
        response.pointee.flags & UInt32(SLUICE_ARGS_EOS) != 0
    }

    /// Changes to what the client gets, with `pass` and `store`.
    @inlinable
    public var edits: Edits { Edits(response.pointee.edits, failure: call.failure) }

    /// What is served, with `answer`.
    @inlinable
    public var answer: UnsafeMutablePointer<sluice_cache_answer>? { response.pointee.answer }

    /// The plugin's memory of this request.
    @inlinable
    public var contextPointer: UnsafeMutablePointer<Owner.Context> { call.context(Owner.self) }

    /// The state of the worker.
    @inlinable
    public var workerPointer: UnsafeMutablePointer<Owner.Worker> { call.worker(Owner.self) }

    /// Says how the request is served, for the facts: SLUICE_CACHE_STATUS_*.
    @inlinable
    public func setStatus(_ status: UInt32) { response.pointee.cache_status = status }

    /// The request, for a wait in `write`.
    @inlinable
    public var request: CacheRequest { CacheRequest(call) }

    /// What the body is written to, with `store`.
    @inlinable
    public func setWriter(_ writer: UnsafeMutableRawPointer) { response.pointee.writer = writer }
}

/// The request whose response is stored; valid until its writer is ended.
public struct CacheRequest: BitwiseCopyable {
    private let request: UInt
    private let services: UnsafePointer<Services>

    @usableFromInline
    init(_ call: CacheCall) {
        request = UInt(bitPattern: call.request)
        services = call.services
    }

    /// Begins a wait in `write`, which must then take the bytes: the host brings no more before the
    /// wait is over.
    ///
    /// - Parameter nanoseconds: as of `Exchange.suspend`.
    /// - Throws: as `Exchange.suspend`; `unsupported` outside of `write`.
    public func suspend(nanoseconds: UInt64) throws(ServiceError) -> Token {
        guard let http = services.pointee.http else { throw .unsupported }
        var token = sluice_token()
        try ServiceError.check(
            http.pointee.suspend(OpaquePointer(bitPattern: request), nanoseconds, &token)
        )
        return Token(token, of: http)
    }
}

/// A read of an answer's body; valid until `read` returns.
public struct CacheChunk: ~Copyable {
    @usableFromInline let chunk: UnsafeMutablePointer<sluice_cache_chunk>
    @usableFromInline let call: CacheCall

    @inlinable
    init(chunk: UnsafeMutablePointer<sluice_cache_chunk>, call: CacheCall) {
        self.chunk = chunk
        self.call = call
    }

    /// Where the bytes begin in the body.
    @inlinable
    public var offset: UInt64 { chunk.pointee.offset }

    /// How many bytes the host has use for.
    @inlinable
    public var length: UInt64 { chunk.pointee.length }

    /// Whether a file can't be sent from here.
    @inlinable
    public var wantsBytes: Bool { chunk.pointee.wants_bytes != 0 }

    /// Gives bytes, 1 or more, that stay until `close` or a read behind them.
    @inlinable
    public func give(_ bytes: Bytes) { chunk.pointee.bytes = bytes.slice }

    /// Gives a part of a file, whose descriptor stays until `close`.
    @inlinable
    public func give(file: Int32, offset: UInt64, length: UInt64) {
        chunk.pointee.file = file
        chunk.pointee.file_offset = offset
        chunk.pointee.file_length = length
    }

    /// Begins a wait; `read` must then return `again`.
    ///
    /// - Parameter nanoseconds: as of `Exchange.suspend`.
    /// - Throws: as `Exchange.suspend`.
    @inlinable
    public func suspend(nanoseconds: UInt64) throws(ServiceError) -> Token {
        try call.suspend(nanoseconds)
    }
}

/// An order to forget; valid until `purge` returns.
public struct CachePurge {
    /// What is to go.
    public enum Kind: UInt32, Sendable {
        /// An address, with all variants.
        case url = 1
        /// All addresses that begin so.
        case prefix = 2
        /// What has the tag.
        case tag = 3
        /// Everything.
        case all = 4
    }

    /// What is to go.
    public let kind: Kind
    /// The address, the beginning of one, or the tag.
    public let value: Bytes
    /// Whether it becomes stale, and stays.
    public let isSoft: Bool

    /// An order, as a test makes one.
    public init(_ kind: Kind, _ value: Bytes, isSoft: Bool = false) {
        self.kind = kind
        self.value = value
        self.isSoft = isSoft
    }
}

/// What the calls for one request have in common.
@usableFromInline
struct CacheCall {
    @usableFromInline let request: OpaquePointer?
    @usableFromInline let contextMemory: UnsafeMutableRawPointer?
    @usableFromInline let slot: UnsafeMutableRawPointer?
    @usableFromInline let services: UnsafePointer<Services>
    @usableFromInline let failure: UnsafeMutablePointer<UInt32>

    @inlinable
    init(
        request: OpaquePointer?,
        contextMemory: UnsafeMutableRawPointer?,
        slot: UnsafeMutableRawPointer?,
        services: UnsafePointer<Services>,
        failure: UnsafeMutablePointer<UInt32>
    ) {
        self.request = request
        self.contextMemory = contextMemory
        self.slot = slot
        self.services = services
        self.failure = failure
    }

    @inlinable
    func context<Owner: Plugin & ~Copyable>(
        _ owner: Owner.Type
    ) -> UnsafeMutablePointer<Owner.Context> {
        // Safe: the host gives the bytes that `create` asked for, zeroed at the request's start.
        contextMemory.unsafelyUnwrapped.assumingMemoryBound(to: Owner.Context.self)
    }

    @inlinable
    func worker<Owner: Plugin & ~Copyable>(
        _ owner: Owner.Type
    ) -> UnsafeMutablePointer<Owner.Worker> {
        // Safe: the slot is what `worker_start` made for this worker.
        slot.unsafelyUnwrapped.assumingMemoryBound(to: Owner.Worker.self)
    }

    @usableFromInline
    func suspend(_ nanoseconds: UInt64) throws(ServiceError) -> Token {
        guard let http = services.pointee.http else { throw .unsupported }
        var token = sluice_token()
        try ServiceError.check(http.pointee.suspend(request, nanoseconds, &token))
        return Token(token, of: http)
    }
}
