/*
 * Header fields: the view that a hook reads, and the edits that it asks for.
 *
 * A hook gets all fields at once (`sluice_headers`): reading needs no call into the host. Writing
 * is a list of operations that the host checks and applies after the hook returned without an
 * error, so a failing hook leaves the message as it was.
 */
#ifndef SLUICE_HEADERS_H
#define SLUICE_HEADERS_H

#include "types.h"

/* Ids of well-known fields, 1 to 127. The table is frozen: names are only ever added. */
enum {
    SLUICE_FIELD_UNKNOWN = 0,
    SLUICE_FIELD_PSEUDO_METHOD = 1,
    SLUICE_FIELD_PSEUDO_SCHEME = 2,
    SLUICE_FIELD_PSEUDO_AUTHORITY = 3,
    SLUICE_FIELD_PSEUDO_PATH = 4,
    SLUICE_FIELD_PSEUDO_STATUS = 5,
    SLUICE_FIELD_PSEUDO_PROTOCOL = 6,
    SLUICE_FIELD_HOST = 8,
    SLUICE_FIELD_CONNECTION = 9,
    SLUICE_FIELD_CONTENT_LENGTH = 10,
    SLUICE_FIELD_TRANSFER_ENCODING = 11,
    SLUICE_FIELD_TE = 12,
    SLUICE_FIELD_TRAILER = 13,
    SLUICE_FIELD_UPGRADE = 14,
    SLUICE_FIELD_KEEP_ALIVE = 15,
    SLUICE_FIELD_PROXY_CONNECTION = 16,
    SLUICE_FIELD_EXPECT = 17,
    SLUICE_FIELD_DATE = 18,
    SLUICE_FIELD_VIA = 19,
    SLUICE_FIELD_SERVER = 20,
    SLUICE_FIELD_USER_AGENT = 21,
    SLUICE_FIELD_ACCEPT = 22,
    SLUICE_FIELD_ACCEPT_ENCODING = 23,
    SLUICE_FIELD_ACCEPT_LANGUAGE = 24,
    SLUICE_FIELD_ACCEPT_RANGES = 25,
    SLUICE_FIELD_CONTENT_TYPE = 26,
    SLUICE_FIELD_CONTENT_ENCODING = 27,
    SLUICE_FIELD_CONTENT_LANGUAGE = 28,
    SLUICE_FIELD_CONTENT_LOCATION = 29,
    SLUICE_FIELD_CONTENT_RANGE = 30,
    SLUICE_FIELD_CONTENT_DISPOSITION = 31,
    SLUICE_FIELD_CACHE_CONTROL = 32,
    SLUICE_FIELD_PRAGMA = 33,
    SLUICE_FIELD_AGE = 34,
    SLUICE_FIELD_EXPIRES = 35,
    SLUICE_FIELD_ETAG = 36,
    SLUICE_FIELD_LAST_MODIFIED = 37,
    SLUICE_FIELD_VARY = 38,
    SLUICE_FIELD_IF_MATCH = 39,
    SLUICE_FIELD_IF_NONE_MATCH = 40,
    SLUICE_FIELD_IF_MODIFIED_SINCE = 41,
    SLUICE_FIELD_IF_UNMODIFIED_SINCE = 42,
    SLUICE_FIELD_IF_RANGE = 43,
    SLUICE_FIELD_RANGE = 44,
    SLUICE_FIELD_AUTHORIZATION = 45,
    SLUICE_FIELD_WWW_AUTHENTICATE = 46,
    SLUICE_FIELD_PROXY_AUTHENTICATE = 47,
    SLUICE_FIELD_PROXY_AUTHORIZATION = 48,
    SLUICE_FIELD_COOKIE = 49,
    SLUICE_FIELD_SET_COOKIE = 50,
    SLUICE_FIELD_FORWARDED = 51,
    SLUICE_FIELD_X_FORWARDED_FOR = 52,
    SLUICE_FIELD_X_FORWARDED_PROTO = 53,
    SLUICE_FIELD_X_FORWARDED_HOST = 54,
    SLUICE_FIELD_X_FORWARDED_PORT = 55,
    SLUICE_FIELD_X_REAL_IP = 56,
    SLUICE_FIELD_X_REQUEST_ID = 57,
    SLUICE_FIELD_TRACEPARENT = 58,
    SLUICE_FIELD_TRACESTATE = 59,
    SLUICE_FIELD_BAGGAGE = 60,
    SLUICE_FIELD_B3 = 61,
    SLUICE_FIELD_LOCATION = 62,
    SLUICE_FIELD_REFERER = 63,
    SLUICE_FIELD_ORIGIN = 64,
    SLUICE_FIELD_ALLOW = 65,
    SLUICE_FIELD_RETRY_AFTER = 66,
    SLUICE_FIELD_RATELIMIT = 67,
    SLUICE_FIELD_RATELIMIT_POLICY = 68,
    SLUICE_FIELD_RATELIMIT_LIMIT = 69,
    SLUICE_FIELD_RATELIMIT_REMAINING = 70,
    SLUICE_FIELD_RATELIMIT_RESET = 71,
    SLUICE_FIELD_CDN_CACHE_CONTROL = 72,
    SLUICE_FIELD_CACHE_STATUS = 73,
    SLUICE_FIELD_SURROGATE_CONTROL = 74,
    SLUICE_FIELD_SURROGATE_KEY = 75,
    SLUICE_FIELD_CACHE_TAG = 76,
    SLUICE_FIELD_WARNING = 77,
    SLUICE_FIELD_LINK = 78,
    SLUICE_FIELD_ALT_SVC = 79,
    SLUICE_FIELD_STRICT_TRANSPORT_SECURITY = 80,
    SLUICE_FIELD_CONTENT_SECURITY_POLICY = 81,
    SLUICE_FIELD_X_FRAME_OPTIONS = 82,
    SLUICE_FIELD_X_CONTENT_TYPE_OPTIONS = 83,
    SLUICE_FIELD_X_XSS_PROTECTION = 84,
    SLUICE_FIELD_REFERRER_POLICY = 85,
    SLUICE_FIELD_PERMISSIONS_POLICY = 86,
    SLUICE_FIELD_ACCESS_CONTROL_ALLOW_ORIGIN = 87,
    SLUICE_FIELD_ACCESS_CONTROL_ALLOW_METHODS = 88,
    SLUICE_FIELD_ACCESS_CONTROL_ALLOW_HEADERS = 89,
    SLUICE_FIELD_ACCESS_CONTROL_ALLOW_CREDENTIALS = 90,
    SLUICE_FIELD_ACCESS_CONTROL_EXPOSE_HEADERS = 91,
    SLUICE_FIELD_ACCESS_CONTROL_MAX_AGE = 92,
    SLUICE_FIELD_ACCESS_CONTROL_REQUEST_METHOD = 93,
    SLUICE_FIELD_ACCESS_CONTROL_REQUEST_HEADERS = 94,
    SLUICE_FIELD_SEC_WEBSOCKET_KEY = 95,
    SLUICE_FIELD_SEC_WEBSOCKET_ACCEPT = 96,
    SLUICE_FIELD_SEC_WEBSOCKET_VERSION = 97,
    SLUICE_FIELD_SEC_WEBSOCKET_PROTOCOL = 98,
    SLUICE_FIELD_SEC_WEBSOCKET_EXTENSIONS = 99,
    SLUICE_FIELD_SEC_FETCH_SITE = 100,
    SLUICE_FIELD_SEC_FETCH_MODE = 101,
    SLUICE_FIELD_SEC_FETCH_USER = 102,
    SLUICE_FIELD_SEC_FETCH_DEST = 103,
    SLUICE_FIELD_SEC_CH_UA = 104,
    SLUICE_FIELD_SEC_CH_UA_MOBILE = 105,
    SLUICE_FIELD_SEC_CH_UA_PLATFORM = 106,
    SLUICE_FIELD_UPGRADE_INSECURE_REQUESTS = 107,
    SLUICE_FIELD_PRIORITY = 108,
    SLUICE_FIELD_DNT = 109,
    SLUICE_FIELD_MAX_FORWARDS = 110,
    SLUICE_FIELD_FROM = 111,
    SLUICE_FIELD_GRPC_STATUS = 112,
    SLUICE_FIELD_GRPC_MESSAGE = 113,
    SLUICE_FIELD_GRPC_TIMEOUT = 114,
    SLUICE_FIELD_GRPC_ENCODING = 115,
    SLUICE_FIELD_GRPC_ACCEPT_ENCODING = 116,
    SLUICE_FIELD_SERVER_TIMING = 117,
    SLUICE_FIELD_ACCEPT_CHARSET = 118,
    SLUICE_FIELD_CONTENT_DIGEST = 119,
    SLUICE_FIELD_EARLY_DATA = 120,
    SLUICE_FIELD_X_POWERED_BY = 121,
    SLUICE_FIELD_X_CACHE = 122,
    SLUICE_FIELD_SEC_GPC = 123,
    SLUICE_FIELD_COUNT = 128,
};

/* Flags of a field. */
enum {
    SLUICE_FIELD_FLAG_PSEUDO = 1u << 0,    /* :method, :path ...; always first in the list */
    SLUICE_FIELD_FLAG_REPEATED = 1u << 1,  /* a field of the same known id comes before */
    SLUICE_FIELD_FLAG_SENSITIVE = 1u << 2, /* credentials: never log the value */
};

/* One field. Names are lower case. Lifetime: until the hook returns. */
typedef struct sluice_field {
    const uint8_t *name;
    const uint8_t *value;
    uint32_t name_len;
    uint32_t value_len;
    uint16_t id;
    uint16_t flags;
    uint32_t reserved;
} sluice_field;

/*
 * All fields of one message.
 *
 * A request has the pseudo-fields :method, :scheme ("https" when the client's connection is TLS,
 * else "http"), :authority and :path (path and query), a response :status (three digits). Fields
 * that govern the connection (Connection, Keep-Alive, Transfer-Encoding, and those that Connection
 * names) are not in the list.
 */
typedef struct sluice_headers {
    uint32_t size;
    uint32_t epoch; /* changes whenever edits were applied */
    uint32_t count;
    uint32_t status; /* of a response; 0 in a request */
    const sluice_field *fields;
    uint64_t known_bits[2];     /* bit `id`: a field of this id is present */
    uint16_t known_index[128]; /* index of the first field of an id; valid where its bit is set */
    uint64_t reserved[4];
} sluice_headers;

/* Operations of an edit. */
enum {
    SLUICE_EDIT_SET = 1,           /* remove all fields of this name, then append one */
    SLUICE_EDIT_APPEND = 2,        /* append a field, leave those of the same name */
    SLUICE_EDIT_ADD_IF_ABSENT = 3, /* append only when there is none of this name */
    SLUICE_EDIT_REMOVE = 4,        /* remove all fields of this name */
    SLUICE_EDIT_REMOVE_PREFIX = 5, /* remove all fields whose name begins so */
    SLUICE_EDIT_SET_METHOD = 6,    /* `value`: a token */
    SLUICE_EDIT_SET_PATH = 7,      /* `value`: path and query, begins with '/' */
    SLUICE_EDIT_SET_AUTHORITY = 8, /* `value`: replaces Host */
    SLUICE_EDIT_SET_STATUS = 9,    /* `id`: 200 to 599 */
};

/*
 * One edit. The field is named by `id` (1 to 127) or, when `id` is 0, by `name` in any case.
 * `name` and `value` must stay valid until the hook returned; the host copies them then.
 *
 * Refused (the hook counts as failed and none of its edits is applied): a name that is no token; a
 * value with CR, LF, NUL or another control character; any edit of Connection, Content-Length,
 * Transfer-Encoding, Upgrade, Keep-Alive, TE, Trailer or Proxy-Connection: framing is the host's.
 */
typedef struct sluice_edit {
    uint32_t op;
    uint32_t id;
    sluice_slice name;
    sluice_slice value;
} sluice_edit;

/* Where a hook puts its edits: `ops[count++]`, up to `capacity`. The host owns the memory. */
typedef struct sluice_edits {
    uint32_t size;
    uint32_t count;
    uint32_t capacity;
    uint32_t reserved;
    sluice_edit *ops;
} sluice_edits;

#endif
