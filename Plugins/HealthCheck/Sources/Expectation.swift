package import SluiceSDK

/// What the answer to a check must be.
package struct Expectation: BitwiseCopyable {
    /// Of one status, or from one to another.
    package struct StatusRange: BitwiseCopyable {
        package let first: Int
        package let last: Int

        package init(_ first: Int, _ last: Int) {
            self.first = first
            self.last = last
        }
    }

    package enum Kind: BitwiseCopyable {
        /// A connection is enough.
        case connection
        case http
        case grpc
    }

    package let kind: Kind
    package let statuses: List<StatusRange>
    /// A part of the body; empty for any.
    package let body: Bytes

    package init(_ kind: Kind, _ statuses: List<StatusRange>, body: Bytes) {
        self.kind = kind
        self.statuses = statuses
        self.body = body
    }

    /// Why a result is no good, in a few words; nil when it is good.
    package func complaint(_ result: ProbeResult) -> String? {
        guard result.step == .done else { return Self.failure(result) }
        switch kind {
        case .connection: return nil
        case .http: return complaint(status: result.status, body: result.body)
        case .grpc:
            guard result.status == 200 else { return "status \(result.status)" }
            return GRPCHealth.complaint(
                // A message without content has its status in the head.
                status: result.trailers?.first(named: "grpc-status")
                    ?? result.fields?.first(named: "grpc-status"),
                body: result.body
            )
        }
    }

    package func complaint(status: Int, body answer: Bytes) -> String? {
        var isExpected = false
        for range in statuses where status >= range.first && status <= range.last {
            isExpected = true
        }
        guard isExpected else { return "status \(status)" }
        return body.isEmpty || Self.contains(answer, body) ? nil : "the body is another one"
    }

    private static func failure(_ result: ProbeResult) -> String {
        let step: StaticString =
            switch result.step {
            case .connect: "connect"
            case .handshake: "TLS"
            case .request: "response"
            case .body, .done: "body"
            }
        return String(Bytes(step)) + ": " + String(result.reason)
    }

    static func contains(_ text: Bytes, _ part: Bytes) -> Bool {
        guard part.count <= text.count else { return false }
        for at in 0...(text.count - part.count) where text.dropFirst(at).hasPrefix(part) {
            return true
        }
        return false
    }
}

/// The messages of `grpc.health.v1.Health/Check`, by hand: each has one field at most.
package enum GRPCHealth {
    package static let path: StaticString = "/grpc.health.v1.Health/Check"

    /// A request (`HealthCheckRequest`): the five bytes of its frame (flags, length), and the name
    /// of the service as field 1 when there is one.
    ///
    /// - Parameter service: up to 256 bytes.
    package static func request(_ service: Bytes) -> [UInt8] {
        var message: [UInt8] = []
        if !service.isEmpty {
            message.append(0x0A)
            var length = service.count
            while length >= 0x80 {
                message.append(UInt8(length & 0x7F) | 0x80)
                length >>= 7
            }
            message.append(UInt8(length))
            for index in service.indices { message.append(service[index]) }
        }
        let count = message.count
        return [0, 0, 0, UInt8(count >> 8), UInt8(count & 0xFF)] + message
    }

    /// Why an answer is no good; nil when the service says that it serves.
    ///
    /// - Parameters:
    ///   - status: `grpc-status`.
    ///   - body: a frame with a `HealthCheckResponse`.
    package static func complaint(status: Bytes?, body: Bytes) -> String? {
        guard let status else { return "no grpc-status came" }
        guard status == "0" else { return "grpc-status " + String(status) }
        guard let serving = servingStatus(body) else { return "no health answer" }
        return serving == 1 ? nil : "the service says " + name(serving)
    }

    /// Field 1 of a `HealthCheckResponse`; 0 when it is not there, nil for no such message.
    package static func servingStatus(_ body: Bytes) -> UInt64? {
        guard body.count >= 5, body[0] == 0 else { return nil }
        let length =
            Int(body[1]) << 24 | Int(body[2]) << 16 | Int(body[3]) << 8 | Int(body[4])
        guard body.count == 5 + length else { return nil }
        var at = 5
        var status: UInt64 = 0
        while at < body.count {
            guard let tag = varint(body, &at) else { return nil }
            switch tag & 7 {
            case 0:
                guard let value = varint(body, &at) else { return nil }
                if tag >> 3 == 1 { status = value }
            case 1: at += 8
            case 2:
                guard let count = varint(body, &at), count <= UInt64(body.count) else { return nil }
                at += Int(count)
            case 5: at += 4
            default: return nil
            }
        }
        return at == body.count ? status : nil
    }

    private static func varint(_ body: Bytes, _ at: inout Int) -> UInt64? {
        var (value, shift) = (UInt64(0), UInt64(0))
        while at < body.count, shift < 64 {
            let byte = body[at]
            at += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte & 0x80 == 0 { return value }
            shift += 7
        }
        return nil
    }

    private static func name(_ status: UInt64) -> String {
        switch status {
        case 0: "UNKNOWN"
        case 2: "NOT_SERVING"
        case 3: "SERVICE_UNKNOWN"
        default: "status \(status)"
        }
    }
}
