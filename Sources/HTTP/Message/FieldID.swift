/// The id of a well-known field, 1 to 127; 0 is any other field.
///
/// The numbers are those of the plugin ABI (`sluice/headers.h`) and are frozen; a test compares the
/// two tables.
package struct FieldID: RawRepresentable, Equatable, Sendable, BitwiseCopyable {
    package var rawValue: UInt8

    package init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    package static let unknown = FieldID(rawValue: 0)
    package static let pseudoMethod = FieldID(rawValue: 1)
    package static let pseudoScheme = FieldID(rawValue: 2)
    package static let pseudoAuthority = FieldID(rawValue: 3)
    package static let pseudoPath = FieldID(rawValue: 4)
    package static let pseudoStatus = FieldID(rawValue: 5)
    package static let pseudoProtocol = FieldID(rawValue: 6)
    package static let host = FieldID(rawValue: 8)
    package static let connection = FieldID(rawValue: 9)
    package static let contentLength = FieldID(rawValue: 10)
    package static let transferEncoding = FieldID(rawValue: 11)
    package static let te = FieldID(rawValue: 12)
    package static let trailer = FieldID(rawValue: 13)
    package static let upgrade = FieldID(rawValue: 14)
    package static let keepAlive = FieldID(rawValue: 15)
    package static let proxyConnection = FieldID(rawValue: 16)
    package static let expect = FieldID(rawValue: 17)
    package static let date = FieldID(rawValue: 18)
    package static let via = FieldID(rawValue: 19)
    package static let server = FieldID(rawValue: 20)
    package static let userAgent = FieldID(rawValue: 21)
    package static let accept = FieldID(rawValue: 22)
    package static let acceptEncoding = FieldID(rawValue: 23)
    package static let acceptLanguage = FieldID(rawValue: 24)
    package static let acceptRanges = FieldID(rawValue: 25)
    package static let contentType = FieldID(rawValue: 26)
    package static let contentEncoding = FieldID(rawValue: 27)
    package static let contentLanguage = FieldID(rawValue: 28)
    package static let contentLocation = FieldID(rawValue: 29)
    package static let contentRange = FieldID(rawValue: 30)
    package static let contentDisposition = FieldID(rawValue: 31)
    package static let cacheControl = FieldID(rawValue: 32)
    package static let pragma = FieldID(rawValue: 33)
    package static let age = FieldID(rawValue: 34)
    package static let expires = FieldID(rawValue: 35)
    package static let etag = FieldID(rawValue: 36)
    package static let lastModified = FieldID(rawValue: 37)
    package static let vary = FieldID(rawValue: 38)
    package static let ifMatch = FieldID(rawValue: 39)
    package static let ifNoneMatch = FieldID(rawValue: 40)
    package static let ifModifiedSince = FieldID(rawValue: 41)
    package static let ifUnmodifiedSince = FieldID(rawValue: 42)
    package static let ifRange = FieldID(rawValue: 43)
    package static let range = FieldID(rawValue: 44)
    package static let authorization = FieldID(rawValue: 45)
    package static let wwwAuthenticate = FieldID(rawValue: 46)
    package static let proxyAuthenticate = FieldID(rawValue: 47)
    package static let proxyAuthorization = FieldID(rawValue: 48)
    package static let cookie = FieldID(rawValue: 49)
    package static let setCookie = FieldID(rawValue: 50)
    package static let forwarded = FieldID(rawValue: 51)
    package static let xForwardedFor = FieldID(rawValue: 52)
    package static let xForwardedProto = FieldID(rawValue: 53)
    package static let xForwardedHost = FieldID(rawValue: 54)
    package static let xForwardedPort = FieldID(rawValue: 55)
    package static let xRealIp = FieldID(rawValue: 56)
    package static let xRequestId = FieldID(rawValue: 57)
    package static let traceparent = FieldID(rawValue: 58)
    package static let tracestate = FieldID(rawValue: 59)
    package static let baggage = FieldID(rawValue: 60)
    package static let b3 = FieldID(rawValue: 61)
    package static let location = FieldID(rawValue: 62)
    package static let referer = FieldID(rawValue: 63)
    package static let origin = FieldID(rawValue: 64)
    package static let allow = FieldID(rawValue: 65)
    package static let retryAfter = FieldID(rawValue: 66)
    package static let ratelimit = FieldID(rawValue: 67)
    package static let ratelimitPolicy = FieldID(rawValue: 68)
    package static let ratelimitLimit = FieldID(rawValue: 69)
    package static let ratelimitRemaining = FieldID(rawValue: 70)
    package static let ratelimitReset = FieldID(rawValue: 71)
    package static let cdnCacheControl = FieldID(rawValue: 72)
    package static let cacheStatus = FieldID(rawValue: 73)
    package static let surrogateControl = FieldID(rawValue: 74)
    package static let surrogateKey = FieldID(rawValue: 75)
    package static let cacheTag = FieldID(rawValue: 76)
    package static let warning = FieldID(rawValue: 77)
    package static let link = FieldID(rawValue: 78)
    package static let altSvc = FieldID(rawValue: 79)
    package static let strictTransportSecurity = FieldID(rawValue: 80)
    package static let contentSecurityPolicy = FieldID(rawValue: 81)
    package static let xFrameOptions = FieldID(rawValue: 82)
    package static let xContentTypeOptions = FieldID(rawValue: 83)
    package static let xXssProtection = FieldID(rawValue: 84)
    package static let referrerPolicy = FieldID(rawValue: 85)
    package static let permissionsPolicy = FieldID(rawValue: 86)
    package static let accessControlAllowOrigin = FieldID(rawValue: 87)
    package static let accessControlAllowMethods = FieldID(rawValue: 88)
    package static let accessControlAllowHeaders = FieldID(rawValue: 89)
    package static let accessControlAllowCredentials = FieldID(rawValue: 90)
    package static let accessControlExposeHeaders = FieldID(rawValue: 91)
    package static let accessControlMaxAge = FieldID(rawValue: 92)
    package static let accessControlRequestMethod = FieldID(rawValue: 93)
    package static let accessControlRequestHeaders = FieldID(rawValue: 94)
    package static let secWebsocketKey = FieldID(rawValue: 95)
    package static let secWebsocketAccept = FieldID(rawValue: 96)
    package static let secWebsocketVersion = FieldID(rawValue: 97)
    package static let secWebsocketProtocol = FieldID(rawValue: 98)
    package static let secWebsocketExtensions = FieldID(rawValue: 99)
    package static let secFetchSite = FieldID(rawValue: 100)
    package static let secFetchMode = FieldID(rawValue: 101)
    package static let secFetchUser = FieldID(rawValue: 102)
    package static let secFetchDest = FieldID(rawValue: 103)
    package static let secChUa = FieldID(rawValue: 104)
    package static let secChUaMobile = FieldID(rawValue: 105)
    package static let secChUaPlatform = FieldID(rawValue: 106)
    package static let upgradeInsecureRequests = FieldID(rawValue: 107)
    package static let priority = FieldID(rawValue: 108)
    package static let dnt = FieldID(rawValue: 109)
    package static let maxForwards = FieldID(rawValue: 110)
    package static let fromField = FieldID(rawValue: 111)
    package static let grpcStatus = FieldID(rawValue: 112)
    package static let grpcMessage = FieldID(rawValue: 113)
    package static let grpcTimeout = FieldID(rawValue: 114)
    package static let grpcEncoding = FieldID(rawValue: 115)
    package static let grpcAcceptEncoding = FieldID(rawValue: 116)
    package static let serverTiming = FieldID(rawValue: 117)
    package static let acceptCharset = FieldID(rawValue: 118)
    package static let contentDigest = FieldID(rawValue: 119)
    package static let earlyData = FieldID(rawValue: 120)
    package static let xPoweredBy = FieldID(rawValue: 121)
    package static let xCache = FieldID(rawValue: 122)
    package static let secGpc = FieldID(rawValue: 123)

    /// One more than the greatest id.
    package static let count = 128

    /// Every id with its lower-case name.
    package static let names: [(id: UInt8, name: StaticString)] = [
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
