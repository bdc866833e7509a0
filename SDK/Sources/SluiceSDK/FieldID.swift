/// The id of a well-known field, 1 to 127; 0 is any other field.
///
/// The numbers are those of `sluice/headers.h` and are frozen. Looking a field up by its id costs
/// no comparison of names.
public struct FieldID: RawRepresentable, Equatable, BitwiseCopyable, Sendable {
    /// The number, as in the C header.
    public let rawValue: UInt16

    /// Takes the number as it is.
    @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// The id of `name`, compared without regard to case; `unknown` when it has none.
    ///
    /// Walks a table of 122 names: meant for configuration, not for requests.
    public init(named name: Bytes) {
        var found: UInt16 = 0
        for known in FieldID.names where name.equalsIgnoringCase(Bytes(known.name)) {
            found = known.id
        }
        rawValue = found
    }

    /// The lower-case name of an id; empty when it has none.
    public static func name(_ id: FieldID) -> Bytes {
        for known in names where known.id == id.rawValue { return Bytes(known.name) }
        return .empty
    }

    /// A field without an id of its own.
    @inlinable public static var unknown: FieldID { FieldID(rawValue: 0) }
    /// `:method`.
    @inlinable public static var pseudoMethod: FieldID { FieldID(rawValue: 1) }
    /// `:scheme`.
    @inlinable public static var pseudoScheme: FieldID { FieldID(rawValue: 2) }
    /// `:authority`.
    @inlinable public static var pseudoAuthority: FieldID { FieldID(rawValue: 3) }
    /// `:path`.
    @inlinable public static var pseudoPath: FieldID { FieldID(rawValue: 4) }
    /// `:status`.
    @inlinable public static var pseudoStatus: FieldID { FieldID(rawValue: 5) }
    /// `:protocol`.
    @inlinable public static var pseudoProtocol: FieldID { FieldID(rawValue: 6) }
    /// `host`.
    @inlinable public static var host: FieldID { FieldID(rawValue: 8) }
    /// `connection`.
    @inlinable public static var connection: FieldID { FieldID(rawValue: 9) }
    /// `content-length`.
    @inlinable public static var contentLength: FieldID { FieldID(rawValue: 10) }
    /// `transfer-encoding`.
    @inlinable public static var transferEncoding: FieldID { FieldID(rawValue: 11) }
    /// `te`.
    @inlinable public static var te: FieldID { FieldID(rawValue: 12) }
    /// `trailer`.
    @inlinable public static var trailer: FieldID { FieldID(rawValue: 13) }
    /// `upgrade`.
    @inlinable public static var upgrade: FieldID { FieldID(rawValue: 14) }
    /// `keep-alive`.
    @inlinable public static var keepAlive: FieldID { FieldID(rawValue: 15) }
    /// `proxy-connection`.
    @inlinable public static var proxyConnection: FieldID { FieldID(rawValue: 16) }
    /// `expect`.
    @inlinable public static var expect: FieldID { FieldID(rawValue: 17) }
    /// `date`.
    @inlinable public static var date: FieldID { FieldID(rawValue: 18) }
    /// `via`.
    @inlinable public static var via: FieldID { FieldID(rawValue: 19) }
    /// `server`.
    @inlinable public static var server: FieldID { FieldID(rawValue: 20) }
    /// `user-agent`.
    @inlinable public static var userAgent: FieldID { FieldID(rawValue: 21) }
    /// `accept`.
    @inlinable public static var accept: FieldID { FieldID(rawValue: 22) }
    /// `accept-encoding`.
    @inlinable public static var acceptEncoding: FieldID { FieldID(rawValue: 23) }
    /// `accept-language`.
    @inlinable public static var acceptLanguage: FieldID { FieldID(rawValue: 24) }
    /// `accept-ranges`.
    @inlinable public static var acceptRanges: FieldID { FieldID(rawValue: 25) }
    /// `content-type`.
    @inlinable public static var contentType: FieldID { FieldID(rawValue: 26) }
    /// `content-encoding`.
    @inlinable public static var contentEncoding: FieldID { FieldID(rawValue: 27) }
    /// `content-language`.
    @inlinable public static var contentLanguage: FieldID { FieldID(rawValue: 28) }
    /// `content-location`.
    @inlinable public static var contentLocation: FieldID { FieldID(rawValue: 29) }
    /// `content-range`.
    @inlinable public static var contentRange: FieldID { FieldID(rawValue: 30) }
    /// `content-disposition`.
    @inlinable public static var contentDisposition: FieldID { FieldID(rawValue: 31) }
    /// `cache-control`.
    @inlinable public static var cacheControl: FieldID { FieldID(rawValue: 32) }
    /// `pragma`.
    @inlinable public static var pragma: FieldID { FieldID(rawValue: 33) }
    /// `age`.
    @inlinable public static var age: FieldID { FieldID(rawValue: 34) }
    /// `expires`.
    @inlinable public static var expires: FieldID { FieldID(rawValue: 35) }
    /// `etag`.
    @inlinable public static var etag: FieldID { FieldID(rawValue: 36) }
    /// `last-modified`.
    @inlinable public static var lastModified: FieldID { FieldID(rawValue: 37) }
    /// `vary`.
    @inlinable public static var vary: FieldID { FieldID(rawValue: 38) }
    /// `if-match`.
    @inlinable public static var ifMatch: FieldID { FieldID(rawValue: 39) }
    /// `if-none-match`.
    @inlinable public static var ifNoneMatch: FieldID { FieldID(rawValue: 40) }
    /// `if-modified-since`.
    @inlinable public static var ifModifiedSince: FieldID { FieldID(rawValue: 41) }
    /// `if-unmodified-since`.
    @inlinable public static var ifUnmodifiedSince: FieldID { FieldID(rawValue: 42) }
    /// `if-range`.
    @inlinable public static var ifRange: FieldID { FieldID(rawValue: 43) }
    /// `range`.
    @inlinable public static var range: FieldID { FieldID(rawValue: 44) }
    /// `authorization`.
    @inlinable public static var authorization: FieldID { FieldID(rawValue: 45) }
    /// `www-authenticate`.
    @inlinable public static var wwwAuthenticate: FieldID { FieldID(rawValue: 46) }
    /// `proxy-authenticate`.
    @inlinable public static var proxyAuthenticate: FieldID { FieldID(rawValue: 47) }
    /// `proxy-authorization`.
    @inlinable public static var proxyAuthorization: FieldID { FieldID(rawValue: 48) }
    /// `cookie`.
    @inlinable public static var cookie: FieldID { FieldID(rawValue: 49) }
    /// `set-cookie`.
    @inlinable public static var setCookie: FieldID { FieldID(rawValue: 50) }
    /// `forwarded`.
    @inlinable public static var forwarded: FieldID { FieldID(rawValue: 51) }
    /// `x-forwarded-for`.
    @inlinable public static var xForwardedFor: FieldID { FieldID(rawValue: 52) }
    /// `x-forwarded-proto`.
    @inlinable public static var xForwardedProto: FieldID { FieldID(rawValue: 53) }
    /// `x-forwarded-host`.
    @inlinable public static var xForwardedHost: FieldID { FieldID(rawValue: 54) }
    /// `x-forwarded-port`.
    @inlinable public static var xForwardedPort: FieldID { FieldID(rawValue: 55) }
    /// `x-real-ip`.
    @inlinable public static var xRealIp: FieldID { FieldID(rawValue: 56) }
    /// `x-request-id`.
    @inlinable public static var xRequestId: FieldID { FieldID(rawValue: 57) }
    /// `traceparent`.
    @inlinable public static var traceparent: FieldID { FieldID(rawValue: 58) }
    /// `tracestate`.
    @inlinable public static var tracestate: FieldID { FieldID(rawValue: 59) }
    /// `baggage`.
    @inlinable public static var baggage: FieldID { FieldID(rawValue: 60) }
    /// `b3`.
    @inlinable public static var b3: FieldID { FieldID(rawValue: 61) }
    /// `location`.
    @inlinable public static var location: FieldID { FieldID(rawValue: 62) }
    /// `referer`.
    @inlinable public static var referer: FieldID { FieldID(rawValue: 63) }
    /// `origin`.
    @inlinable public static var origin: FieldID { FieldID(rawValue: 64) }
    /// `allow`.
    @inlinable public static var allow: FieldID { FieldID(rawValue: 65) }
    /// `retry-after`.
    @inlinable public static var retryAfter: FieldID { FieldID(rawValue: 66) }
    /// `ratelimit`.
    @inlinable public static var ratelimit: FieldID { FieldID(rawValue: 67) }
    /// `ratelimit-policy`.
    @inlinable public static var ratelimitPolicy: FieldID { FieldID(rawValue: 68) }
    /// `ratelimit-limit`.
    @inlinable public static var ratelimitLimit: FieldID { FieldID(rawValue: 69) }
    /// `ratelimit-remaining`.
    @inlinable public static var ratelimitRemaining: FieldID { FieldID(rawValue: 70) }
    /// `ratelimit-reset`.
    @inlinable public static var ratelimitReset: FieldID { FieldID(rawValue: 71) }
    /// `cdn-cache-control`.
    @inlinable public static var cdnCacheControl: FieldID { FieldID(rawValue: 72) }
    /// `cache-status`.
    @inlinable public static var cacheStatus: FieldID { FieldID(rawValue: 73) }
    /// `surrogate-control`.
    @inlinable public static var surrogateControl: FieldID { FieldID(rawValue: 74) }
    /// `surrogate-key`.
    @inlinable public static var surrogateKey: FieldID { FieldID(rawValue: 75) }
    /// `cache-tag`.
    @inlinable public static var cacheTag: FieldID { FieldID(rawValue: 76) }
    /// `warning`.
    @inlinable public static var warning: FieldID { FieldID(rawValue: 77) }
    /// `link`.
    @inlinable public static var link: FieldID { FieldID(rawValue: 78) }
    /// `alt-svc`.
    @inlinable public static var altSvc: FieldID { FieldID(rawValue: 79) }
    /// `strict-transport-security`.
    @inlinable public static var strictTransportSecurity: FieldID { FieldID(rawValue: 80) }
    /// `content-security-policy`.
    @inlinable public static var contentSecurityPolicy: FieldID { FieldID(rawValue: 81) }
    /// `x-frame-options`.
    @inlinable public static var xFrameOptions: FieldID { FieldID(rawValue: 82) }
    /// `x-content-type-options`.
    @inlinable public static var xContentTypeOptions: FieldID { FieldID(rawValue: 83) }
    /// `x-xss-protection`.
    @inlinable public static var xXssProtection: FieldID { FieldID(rawValue: 84) }
    /// `referrer-policy`.
    @inlinable public static var referrerPolicy: FieldID { FieldID(rawValue: 85) }
    /// `permissions-policy`.
    @inlinable public static var permissionsPolicy: FieldID { FieldID(rawValue: 86) }
    /// `access-control-allow-origin`.
    @inlinable public static var accessControlAllowOrigin: FieldID { FieldID(rawValue: 87) }
    /// `access-control-allow-methods`.
    @inlinable public static var accessControlAllowMethods: FieldID { FieldID(rawValue: 88) }
    /// `access-control-allow-headers`.
    @inlinable public static var accessControlAllowHeaders: FieldID { FieldID(rawValue: 89) }
    /// `access-control-allow-credentials`.
    @inlinable public static var accessControlAllowCredentials: FieldID { FieldID(rawValue: 90) }
    /// `access-control-expose-headers`.
    @inlinable public static var accessControlExposeHeaders: FieldID { FieldID(rawValue: 91) }
    /// `access-control-max-age`.
    @inlinable public static var accessControlMaxAge: FieldID { FieldID(rawValue: 92) }
    /// `access-control-request-method`.
    @inlinable public static var accessControlRequestMethod: FieldID { FieldID(rawValue: 93) }
    /// `access-control-request-headers`.
    @inlinable public static var accessControlRequestHeaders: FieldID { FieldID(rawValue: 94) }
    /// `sec-websocket-key`.
    @inlinable public static var secWebsocketKey: FieldID { FieldID(rawValue: 95) }
    /// `sec-websocket-accept`.
    @inlinable public static var secWebsocketAccept: FieldID { FieldID(rawValue: 96) }
    /// `sec-websocket-version`.
    @inlinable public static var secWebsocketVersion: FieldID { FieldID(rawValue: 97) }
    /// `sec-websocket-protocol`.
    @inlinable public static var secWebsocketProtocol: FieldID { FieldID(rawValue: 98) }
    /// `sec-websocket-extensions`.
    @inlinable public static var secWebsocketExtensions: FieldID { FieldID(rawValue: 99) }
    /// `sec-fetch-site`.
    @inlinable public static var secFetchSite: FieldID { FieldID(rawValue: 100) }
    /// `sec-fetch-mode`.
    @inlinable public static var secFetchMode: FieldID { FieldID(rawValue: 101) }
    /// `sec-fetch-user`.
    @inlinable public static var secFetchUser: FieldID { FieldID(rawValue: 102) }
    /// `sec-fetch-dest`.
    @inlinable public static var secFetchDest: FieldID { FieldID(rawValue: 103) }
    /// `sec-ch-ua`.
    @inlinable public static var secChUa: FieldID { FieldID(rawValue: 104) }
    /// `sec-ch-ua-mobile`.
    @inlinable public static var secChUaMobile: FieldID { FieldID(rawValue: 105) }
    /// `sec-ch-ua-platform`.
    @inlinable public static var secChUaPlatform: FieldID { FieldID(rawValue: 106) }
    /// `upgrade-insecure-requests`.
    @inlinable public static var upgradeInsecureRequests: FieldID { FieldID(rawValue: 107) }
    /// `priority`.
    @inlinable public static var priority: FieldID { FieldID(rawValue: 108) }
    /// `dnt`.
    @inlinable public static var dnt: FieldID { FieldID(rawValue: 109) }
    /// `max-forwards`.
    @inlinable public static var maxForwards: FieldID { FieldID(rawValue: 110) }
    /// `from`.
    @inlinable public static var from: FieldID { FieldID(rawValue: 111) }
    /// `grpc-status`.
    @inlinable public static var grpcStatus: FieldID { FieldID(rawValue: 112) }
    /// `grpc-message`.
    @inlinable public static var grpcMessage: FieldID { FieldID(rawValue: 113) }
    /// `grpc-timeout`.
    @inlinable public static var grpcTimeout: FieldID { FieldID(rawValue: 114) }
    /// `grpc-encoding`.
    @inlinable public static var grpcEncoding: FieldID { FieldID(rawValue: 115) }
    /// `grpc-accept-encoding`.
    @inlinable public static var grpcAcceptEncoding: FieldID { FieldID(rawValue: 116) }
    /// `server-timing`.
    @inlinable public static var serverTiming: FieldID { FieldID(rawValue: 117) }
    /// `accept-charset`.
    @inlinable public static var acceptCharset: FieldID { FieldID(rawValue: 118) }
    /// `content-digest`.
    @inlinable public static var contentDigest: FieldID { FieldID(rawValue: 119) }
    /// `early-data`.
    @inlinable public static var earlyData: FieldID { FieldID(rawValue: 120) }
    /// `x-powered-by`.
    @inlinable public static var xPoweredBy: FieldID { FieldID(rawValue: 121) }
    /// `x-cache`.
    @inlinable public static var xCache: FieldID { FieldID(rawValue: 122) }
    /// `sec-gpc`.
    @inlinable public static var secGpc: FieldID { FieldID(rawValue: 123) }
}

extension FieldID {
    /// Every id with its lower-case name.
    static let names: [(id: UInt16, name: StaticString)] = [
        (1, ":method"),
        (2, ":scheme"),
        (3, ":authority"),
        (4, ":path"),
        (5, ":status"),
        (6, ":protocol"),
        (8, "host"),
        (9, "connection"),
        (10, "content-length"),
        (11, "transfer-encoding"),
        (12, "te"),
        (13, "trailer"),
        (14, "upgrade"),
        (15, "keep-alive"),
        (16, "proxy-connection"),
        (17, "expect"),
        (18, "date"),
        (19, "via"),
        (20, "server"),
        (21, "user-agent"),
        (22, "accept"),
        (23, "accept-encoding"),
        (24, "accept-language"),
        (25, "accept-ranges"),
        (26, "content-type"),
        (27, "content-encoding"),
        (28, "content-language"),
        (29, "content-location"),
        (30, "content-range"),
        (31, "content-disposition"),
        (32, "cache-control"),
        (33, "pragma"),
        (34, "age"),
        (35, "expires"),
        (36, "etag"),
        (37, "last-modified"),
        (38, "vary"),
        (39, "if-match"),
        (40, "if-none-match"),
        (41, "if-modified-since"),
        (42, "if-unmodified-since"),
        (43, "if-range"),
        (44, "range"),
        (45, "authorization"),
        (46, "www-authenticate"),
        (47, "proxy-authenticate"),
        (48, "proxy-authorization"),
        (49, "cookie"),
        (50, "set-cookie"),
        (51, "forwarded"),
        (52, "x-forwarded-for"),
        (53, "x-forwarded-proto"),
        (54, "x-forwarded-host"),
        (55, "x-forwarded-port"),
        (56, "x-real-ip"),
        (57, "x-request-id"),
        (58, "traceparent"),
        (59, "tracestate"),
        (60, "baggage"),
        (61, "b3"),
        (62, "location"),
        (63, "referer"),
        (64, "origin"),
        (65, "allow"),
        (66, "retry-after"),
        (67, "ratelimit"),
        (68, "ratelimit-policy"),
        (69, "ratelimit-limit"),
        (70, "ratelimit-remaining"),
        (71, "ratelimit-reset"),
        (72, "cdn-cache-control"),
        (73, "cache-status"),
        (74, "surrogate-control"),
        (75, "surrogate-key"),
        (76, "cache-tag"),
        (77, "warning"),
        (78, "link"),
        (79, "alt-svc"),
        (80, "strict-transport-security"),
        (81, "content-security-policy"),
        (82, "x-frame-options"),
        (83, "x-content-type-options"),
        (84, "x-xss-protection"),
        (85, "referrer-policy"),
        (86, "permissions-policy"),
        (87, "access-control-allow-origin"),
        (88, "access-control-allow-methods"),
        (89, "access-control-allow-headers"),
        (90, "access-control-allow-credentials"),
        (91, "access-control-expose-headers"),
        (92, "access-control-max-age"),
        (93, "access-control-request-method"),
        (94, "access-control-request-headers"),
        (95, "sec-websocket-key"),
        (96, "sec-websocket-accept"),
        (97, "sec-websocket-version"),
        (98, "sec-websocket-protocol"),
        (99, "sec-websocket-extensions"),
        (100, "sec-fetch-site"),
        (101, "sec-fetch-mode"),
        (102, "sec-fetch-user"),
        (103, "sec-fetch-dest"),
        (104, "sec-ch-ua"),
        (105, "sec-ch-ua-mobile"),
        (106, "sec-ch-ua-platform"),
        (107, "upgrade-insecure-requests"),
        (108, "priority"),
        (109, "dnt"),
        (110, "max-forwards"),
        (111, "from"),
        (112, "grpc-status"),
        (113, "grpc-message"),
        (114, "grpc-timeout"),
        (115, "grpc-encoding"),
        (116, "grpc-accept-encoding"),
        (117, "server-timing"),
        (118, "accept-charset"),
        (119, "content-digest"),
        (120, "early-data"),
        (121, "x-powered-by"),
        (122, "x-cache"),
        (123, "sec-gpc"),
    ]
}
