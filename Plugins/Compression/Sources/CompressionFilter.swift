package import SluiceSDK

/// Encodes responses by what their clients take, decodes those that a client can't take, and
/// decodes the bodies of requests.
package struct CompressionFilter: RequestHeadersHook, RequestBodyHook, UpstreamRequestHook,
    UpstreamResponseHook, UpstreamBodyHook, ResponseHeadersHook, ResponseBodyHook, RequestEndHook,
    ~Copyable
{
    package static let id: StaticString = "org.sluice.compression"
    package static let version: StaticString = "0.1.0"
    package static let summary: StaticString =
        "Compresses responses by gzip, deflate, Brotli and Zstandard; decodes requests."

    /// What is kept of a request.
    package typealias Context = RequestState

    let configuration: CompressionConfiguration
    let libraries: Libraries
    let validators: Validators
    private let counters: StreamCounters

    package init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        let libraries = Libraries.open()
        let compiled = try CompressionConfiguration(configuration, host, libraries)
        let validators = try Validators(host)
        let counters = try StreamCounters(host)
        self.libraries = libraries
        self.configuration = compiled
        self.validators = validators
        self.counters = counters
        let found = libraries.description
        host.log(.info) { "found \(found)" }
    }

    /// The libraries of this machine, in words that live for ever; for the handshake alone.
    package static func found() -> Bytes {
        var text = "Compresses and decodes by what is here: " + Libraries.open().description + "."
        return text.withUTF8 { utf8 in
            let copy = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: utf8.count)
            _ = copy.initialize(from: utf8)
            // Safe: the text is not empty, and nobody frees the copy.
            return Bytes(UnsafePointer(copy.baseAddress.unsafelyUnwrapped), count: utf8.count)
        }
    }

    package func makeWorker(_ index: Int) -> StreamPool {
        StreamPool(libraries, configuration.pool, counters)
    }

    package func requestHeaders(_ exchange: borrowing Exchange<CompressionFilter>) -> Verdict {
        negotiate(exchange)
        guard let limits = configuration.requestLimits, !exchange.isEndOfStream else {
            return .next
        }
        return beginRequest(exchange, limits)
    }

    package func requestBody(_ exchange: borrowing Exchange<CompressionFilter>) -> Verdict {
        guard let limits = configuration.requestLimits else { return .next }
        return decodeRequest(exchange, limits)
    }

    /// For the peer alone: a cache that stores variants must see what the client takes.
    package func upstreamRequest(_ exchange: borrowing Exchange<CompressionFilter>) -> Verdict {
        exchange.edits.remove(.acceptEncoding)
        return .next
    }

    package func upstreamResponse(_ exchange: borrowing Exchange<CompressionFilter>) -> Verdict {
        beginResponse(exchange)
    }

    package func upstreamBody(_ exchange: borrowing Exchange<CompressionFilter>) -> Verdict {
        responseChunk(exchange)
    }

    package func responseHeaders(_ exchange: borrowing Exchange<CompressionFilter>) -> Verdict {
        beginResponse(exchange)
    }

    package func responseBody(_ exchange: borrowing Exchange<CompressionFilter>) -> Verdict {
        responseChunk(exchange)
    }

    /// Whatever a request's end was, its streams are for others now.
    package func requestEnd(_ exchange: borrowing Exchange<CompressionFilter>) {
        endResponse(exchange)
        if exchange.context.request.first != nil {
            exchange.worker.give(&exchange.context.request)
        }
    }

    package static func offer(_ offer: inout Offer) {
        offer.create = { Export<CompressionFilter>.create($0, $1, $2) }
        offer.check = { Export<CompressionFilter>.check($0, $1) }
        offer.requestHeaders = { Export<CompressionFilter>.requestHeaders($0, $1, $2, $3, $4) }
        offer.requestBody = { Export<CompressionFilter>.requestBody($0, $1, $2, $3, $4) }
        offer.upstreamRequest = { Export<CompressionFilter>.upstreamRequest($0, $1, $2, $3, $4) }
        offer.upstreamResponse = { Export<CompressionFilter>.upstreamResponse($0, $1, $2, $3, $4) }
        offer.upstreamBody = { Export<CompressionFilter>.upstreamBody($0, $1, $2, $3, $4) }
        offer.responseHeaders = { Export<CompressionFilter>.responseHeaders($0, $1, $2, $3, $4) }
        offer.responseBody = { Export<CompressionFilter>.responseBody($0, $1, $2, $3, $4) }
        offer.requestEnd = { Export<CompressionFilter>.requestEnd($0, $1, $2, $3, $4) }
    }

    package func narrow(_ offer: inout Offer) {
        let touchesResponses = !configuration.encodings.isEmpty || configuration.decodesResponses
        if configuration.isBeforeCache || !touchesResponses {
            offer.responseHeaders = nil
            offer.responseBody = nil
        }
        if !configuration.isBeforeCache || !touchesResponses {
            offer.upstreamResponse = nil
            offer.upstreamBody = nil
        }
        if !configuration.isBeforeCache || !configuration.asksPlain { offer.upstreamRequest = nil }
        if configuration.requestLimits == nil { offer.requestBody = nil }
    }
}

/// What is kept of a request; zeroes at its begin.
package struct RequestState: BitwiseCopyable {
    /// What the client takes, as it said here: others may take the field away.
    var accepted = AcceptedCodings()
    /// Of the response.
    var encoder: StreamPointer?
    /// Of the response.
    var decoder = Decoding()
    /// Whether the encoder may hold back bytes.
    var isDirty = false
    /// Of the request.
    var request = Decoding()
}

/// Fields that name the very bytes of a body, and so are wrong for others: the digests of RFC 9530,
/// and those that it made obsolete.
struct Validators {
    let names: List<FieldName>

    init(_ host: Host) throws(PluginError) {
        names = host.memory.list([
            FieldName(.contentDigest), try FieldName(named: "repr-digest"),
            try FieldName(named: "digest"), try FieldName(named: "content-md5"),
        ])
    }

    /// Takes those that are there out of a message.
    func remove(_ fields: Fields, _ edits: Edits) {
        for name in names where fields[name] != nil { edits.remove(name) }
    }
}
