import SluiceSDK

/// What a line can say.
///
/// The names are nginx's where nginx has the same.
enum Variable: UInt8, BitwiseCopyable, CaseIterable, Sendable {
    case remoteAddr, remotePort, remoteUser, timeLocal, timeISO8601, msec
    case request, requestMethod, requestURI, uri, args, serverProtocol
    case status, bodyBytesSent, bytesSent, requestLength, requestTime
    case host, scheme, connection, connectionRequests, pid, hostname
    case sslProtocol, sslCipher, sslServerName, sslALPNProtocol, sslSessionReused
    case sslClientSubject, sslClientFingerprint
    case upstreamAddr, upstreamStatus, upstreamConnectTime, upstreamHeaderTime
    case upstreamResponseTime, upstreamCacheStatus
    case requestID, traceID, listener, route, upstream, attempts, outcome, answeredBy, reason
    // Families: a name follows.
    case requestField, responseField, cookie, attribute, number

    /// The name after the dollar sign; of a family what it begins with.
    var name: StaticString {
        switch self {
        case .remoteAddr: "remote_addr"
        case .remotePort: "remote_port"
        case .remoteUser: "remote_user"
        case .timeLocal: "time_local"
        case .timeISO8601: "time_iso8601"
        case .msec: "msec"
        case .request: "request"
        case .requestMethod: "request_method"
        case .requestURI: "request_uri"
        case .uri: "uri"
        case .args: "args"
        case .serverProtocol: "server_protocol"
        case .status: "status"
        case .bodyBytesSent: "body_bytes_sent"
        case .bytesSent: "bytes_sent"
        case .requestLength: "request_length"
        case .requestTime: "request_time"
        case .host: "host"
        case .scheme: "scheme"
        case .connection: "connection"
        case .connectionRequests: "connection_requests"
        case .pid: "pid"
        case .hostname: "hostname"
        default: furtherName
        }
    }

    private var furtherName: StaticString {
        switch self {
        case .sslProtocol: "ssl_protocol"
        case .sslCipher: "ssl_cipher"
        case .sslServerName: "ssl_server_name"
        case .sslALPNProtocol: "ssl_alpn_protocol"
        case .sslSessionReused: "ssl_session_reused"
        case .sslClientSubject: "ssl_client_s_dn"
        case .sslClientFingerprint: "ssl_client_fingerprint"
        case .upstreamAddr: "upstream_addr"
        case .upstreamStatus: "upstream_status"
        case .upstreamConnectTime: "upstream_connect_time"
        case .upstreamHeaderTime: "upstream_header_time"
        case .upstreamResponseTime: "upstream_response_time"
        case .upstreamCacheStatus: "upstream_cache_status"
        case .requestID: "request_id"
        case .traceID: "trace_id"
        case .listener: "listener"
        case .route: "route"
        case .upstream: "upstream"
        case .attempts: "attempts"
        case .outcome: "outcome"
        case .answeredBy: "answered_by"
        case .reason: "reason"
        case .requestField: "http_"
        case .responseField: "sent_http_"
        case .cookie: "cookie_"
        case .attribute: "attribute_"
        default: "number_"
        }
    }

    /// Names follow what it begins with.
    var isFamily: Bool { rawValue >= Variable.requestField.rawValue }

    /// Whether it is a number in JSON.
    var isNumber: Bool {
        switch self {
        case .remotePort, .msec, .status, .bodyBytesSent, .bytesSent, .requestLength,
            .requestTime, .connection, .connectionRequests, .pid, .attempts, .number:
            true
        default: false
        }
    }

    /// Whether it needs what `upstream_result` says of each attempt.
    var isOfAttempts: Bool {
        switch self {
        case .upstreamAddr, .upstreamStatus, .upstreamConnectTime, .upstreamHeaderTime,
            .upstreamResponseTime:
            true
        default: false
        }
    }

    /// Whether it needs the request's line as it came.
    var isOfTarget: Bool {
        switch self {
        case .request, .requestMethod, .requestURI, .uri, .args, .host: true
        default: false
        }
    }

    /// The names that a configuration may have, for its errors.
    static let names: [StaticString] = allCases.filter { !$0.isFamily }.map { $0.name }
}

/// A variable with what its family needs.
struct Item: BitwiseCopyable {
    /// What stands before it in the line.
    var literal: Bytes
    var variable: Variable
    /// Of a field.
    var field = FieldName(.unknown)
    /// Of a cookie.
    var name = Bytes.empty
    /// Place among the response's fields that are kept.
    var place: UInt8 = 0
    /// Shown although it holds credentials: the key `sensitive` names it.
    var showsSecrets = false
    var bytesAttribute: BytesAttribute?
    var numberAttribute: NumberAttribute?
}
