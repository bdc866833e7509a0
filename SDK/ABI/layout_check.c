/*
 * Checks of the binary interface, for the compiler to do: it compiles, or the interface is broken.
 * Written by `scripts/abi-layout --write` from the headers; compile as C11 or C++11, or later.
 */
#include <stddef.h>
#include <sluice/sluice.h>

#ifdef __cplusplus
#define CHECK(what) static_assert(what, #what)
#define ALIGN(type) alignof(type)
#define SAME(a, ...) __is_same(a, __VA_ARGS__)
#define TYPE_OF(value) decltype(value)
#else
#define CHECK(what) _Static_assert(what, #what)
#define ALIGN(type) _Alignof(type)
#define SAME(a, ...) __builtin_types_compatible_p(a, __VA_ARGS__)
#define TYPE_OF(value) __typeof__(value)
#endif

#define VALUE(name, value) CHECK((long long)(name) == (value))
#define TEXT(name, text) CHECK(sizeof(name) == sizeof(text))
#define STRUCT(type, size, align) CHECK(sizeof(type) == (size) && ALIGN(type) == (align))
#define MEMBER(type, member, offset, ...) \
    CHECK(offsetof(type, member) == (offset) \
        && SAME(TYPE_OF(((type *)0)->member), __VA_ARGS__))
#define TYPE(type, ...) CHECK(SAME(type, __VA_ARGS__))
#define FUNCTION(name, ...) CHECK(SAME(TYPE_OF(&name), __VA_ARGS__))

/* sluice/version.h */
VALUE(SLUICE_ABI_MAJOR, 0);
VALUE(SLUICE_ABI_MINOR, 2);

/* sluice/types.h */
STRUCT(sluice_slice, 16, 8);
MEMBER(sluice_slice, ptr, 0, const uint8_t *);
MEMBER(sluice_slice, len, 8, uint64_t);
VALUE(SLUICE_OK, 0);
VALUE(SLUICE_EINVAL, -1);
VALUE(SLUICE_ENOMEM, -2);
VALUE(SLUICE_ESTALE, -3);
VALUE(SLUICE_ENOTSUP, -4);
VALUE(SLUICE_EAGAIN, -5);
VALUE(SLUICE_ECONFIG, -6);
STRUCT(sluice_errbuf, 24, 8);
MEMBER(sluice_errbuf, size, 0, uint32_t);
MEMBER(sluice_errbuf, len, 4, uint32_t);
MEMBER(sluice_errbuf, cap, 8, uint32_t);
MEMBER(sluice_errbuf, reserved, 12, uint32_t);
MEMBER(sluice_errbuf, ptr, 16, char *);
STRUCT(sluice_pair, 32, 8);
MEMBER(sluice_pair, name, 0, sluice_slice);
MEMBER(sluice_pair, value, 16, sluice_slice);
STRUCT(sluice_buf, 64, 8);
MEMBER(sluice_buf, data, 0, uint8_t *);
MEMBER(sluice_buf, len, 8, uint64_t);
MEMBER(sluice_buf, capacity, 16, uint64_t);
MEMBER(sluice_buf, reserved, 24, uint64_t[5]);
STRUCT(sluice_token, 16, 8);
MEMBER(sluice_token, slot, 0, uint32_t);
MEMBER(sluice_token, generation, 4, uint32_t);
MEMBER(sluice_token, sequence, 8, uint64_t);
STRUCT(sluice_sink, 40, 8);
MEMBER(sluice_sink, size, 0, uint32_t);
MEMBER(sluice_sink, reserved0, 4, uint32_t);
MEMBER(sluice_sink, context, 8, void *);
MEMBER(sluice_sink, write, 16, int32_t (*)(void *, sluice_slice));
MEMBER(sluice_sink, reserved, 24, uint64_t[2]);
VALUE(SLUICE_VALUE_NULL, 0);
VALUE(SLUICE_VALUE_BOOL, 1);
VALUE(SLUICE_VALUE_INT, 2);
VALUE(SLUICE_VALUE_NUMBER, 3);
VALUE(SLUICE_VALUE_STRING, 4);
VALUE(SLUICE_VALUE_ARRAY, 5);
VALUE(SLUICE_VALUE_OBJECT, 6);
STRUCT(sluice_value, 80, 8);
MEMBER(sluice_value, type, 0, uint32_t);
MEMBER(sluice_value, count, 4, uint32_t);
MEMBER(sluice_value, integer, 8, int64_t);
MEMBER(sluice_value, number, 16, double);
MEMBER(sluice_value, string, 24, sluice_slice);
MEMBER(sluice_value, key, 40, sluice_slice);
MEMBER(sluice_value, children, 56, const sluice_value *);
MEMBER(sluice_value, reserved, 64, uint64_t[2]);

/* sluice/headers.h */
VALUE(SLUICE_FIELD_UNKNOWN, 0);
VALUE(SLUICE_FIELD_PSEUDO_METHOD, 1);
VALUE(SLUICE_FIELD_PSEUDO_SCHEME, 2);
VALUE(SLUICE_FIELD_PSEUDO_AUTHORITY, 3);
VALUE(SLUICE_FIELD_PSEUDO_PATH, 4);
VALUE(SLUICE_FIELD_PSEUDO_STATUS, 5);
VALUE(SLUICE_FIELD_PSEUDO_PROTOCOL, 6);
VALUE(SLUICE_FIELD_HOST, 8);
VALUE(SLUICE_FIELD_CONNECTION, 9);
VALUE(SLUICE_FIELD_CONTENT_LENGTH, 10);
VALUE(SLUICE_FIELD_TRANSFER_ENCODING, 11);
VALUE(SLUICE_FIELD_TE, 12);
VALUE(SLUICE_FIELD_TRAILER, 13);
VALUE(SLUICE_FIELD_UPGRADE, 14);
VALUE(SLUICE_FIELD_KEEP_ALIVE, 15);
VALUE(SLUICE_FIELD_PROXY_CONNECTION, 16);
VALUE(SLUICE_FIELD_EXPECT, 17);
VALUE(SLUICE_FIELD_DATE, 18);
VALUE(SLUICE_FIELD_VIA, 19);
VALUE(SLUICE_FIELD_SERVER, 20);
VALUE(SLUICE_FIELD_USER_AGENT, 21);
VALUE(SLUICE_FIELD_ACCEPT, 22);
VALUE(SLUICE_FIELD_ACCEPT_ENCODING, 23);
VALUE(SLUICE_FIELD_ACCEPT_LANGUAGE, 24);
VALUE(SLUICE_FIELD_ACCEPT_RANGES, 25);
VALUE(SLUICE_FIELD_CONTENT_TYPE, 26);
VALUE(SLUICE_FIELD_CONTENT_ENCODING, 27);
VALUE(SLUICE_FIELD_CONTENT_LANGUAGE, 28);
VALUE(SLUICE_FIELD_CONTENT_LOCATION, 29);
VALUE(SLUICE_FIELD_CONTENT_RANGE, 30);
VALUE(SLUICE_FIELD_CONTENT_DISPOSITION, 31);
VALUE(SLUICE_FIELD_CACHE_CONTROL, 32);
VALUE(SLUICE_FIELD_PRAGMA, 33);
VALUE(SLUICE_FIELD_AGE, 34);
VALUE(SLUICE_FIELD_EXPIRES, 35);
VALUE(SLUICE_FIELD_ETAG, 36);
VALUE(SLUICE_FIELD_LAST_MODIFIED, 37);
VALUE(SLUICE_FIELD_VARY, 38);
VALUE(SLUICE_FIELD_IF_MATCH, 39);
VALUE(SLUICE_FIELD_IF_NONE_MATCH, 40);
VALUE(SLUICE_FIELD_IF_MODIFIED_SINCE, 41);
VALUE(SLUICE_FIELD_IF_UNMODIFIED_SINCE, 42);
VALUE(SLUICE_FIELD_IF_RANGE, 43);
VALUE(SLUICE_FIELD_RANGE, 44);
VALUE(SLUICE_FIELD_AUTHORIZATION, 45);
VALUE(SLUICE_FIELD_WWW_AUTHENTICATE, 46);
VALUE(SLUICE_FIELD_PROXY_AUTHENTICATE, 47);
VALUE(SLUICE_FIELD_PROXY_AUTHORIZATION, 48);
VALUE(SLUICE_FIELD_COOKIE, 49);
VALUE(SLUICE_FIELD_SET_COOKIE, 50);
VALUE(SLUICE_FIELD_FORWARDED, 51);
VALUE(SLUICE_FIELD_X_FORWARDED_FOR, 52);
VALUE(SLUICE_FIELD_X_FORWARDED_PROTO, 53);
VALUE(SLUICE_FIELD_X_FORWARDED_HOST, 54);
VALUE(SLUICE_FIELD_X_FORWARDED_PORT, 55);
VALUE(SLUICE_FIELD_X_REAL_IP, 56);
VALUE(SLUICE_FIELD_X_REQUEST_ID, 57);
VALUE(SLUICE_FIELD_TRACEPARENT, 58);
VALUE(SLUICE_FIELD_TRACESTATE, 59);
VALUE(SLUICE_FIELD_BAGGAGE, 60);
VALUE(SLUICE_FIELD_B3, 61);
VALUE(SLUICE_FIELD_LOCATION, 62);
VALUE(SLUICE_FIELD_REFERER, 63);
VALUE(SLUICE_FIELD_ORIGIN, 64);
VALUE(SLUICE_FIELD_ALLOW, 65);
VALUE(SLUICE_FIELD_RETRY_AFTER, 66);
VALUE(SLUICE_FIELD_RATELIMIT, 67);
VALUE(SLUICE_FIELD_RATELIMIT_POLICY, 68);
VALUE(SLUICE_FIELD_RATELIMIT_LIMIT, 69);
VALUE(SLUICE_FIELD_RATELIMIT_REMAINING, 70);
VALUE(SLUICE_FIELD_RATELIMIT_RESET, 71);
VALUE(SLUICE_FIELD_CDN_CACHE_CONTROL, 72);
VALUE(SLUICE_FIELD_CACHE_STATUS, 73);
VALUE(SLUICE_FIELD_SURROGATE_CONTROL, 74);
VALUE(SLUICE_FIELD_SURROGATE_KEY, 75);
VALUE(SLUICE_FIELD_CACHE_TAG, 76);
VALUE(SLUICE_FIELD_WARNING, 77);
VALUE(SLUICE_FIELD_LINK, 78);
VALUE(SLUICE_FIELD_ALT_SVC, 79);
VALUE(SLUICE_FIELD_STRICT_TRANSPORT_SECURITY, 80);
VALUE(SLUICE_FIELD_CONTENT_SECURITY_POLICY, 81);
VALUE(SLUICE_FIELD_X_FRAME_OPTIONS, 82);
VALUE(SLUICE_FIELD_X_CONTENT_TYPE_OPTIONS, 83);
VALUE(SLUICE_FIELD_X_XSS_PROTECTION, 84);
VALUE(SLUICE_FIELD_REFERRER_POLICY, 85);
VALUE(SLUICE_FIELD_PERMISSIONS_POLICY, 86);
VALUE(SLUICE_FIELD_ACCESS_CONTROL_ALLOW_ORIGIN, 87);
VALUE(SLUICE_FIELD_ACCESS_CONTROL_ALLOW_METHODS, 88);
VALUE(SLUICE_FIELD_ACCESS_CONTROL_ALLOW_HEADERS, 89);
VALUE(SLUICE_FIELD_ACCESS_CONTROL_ALLOW_CREDENTIALS, 90);
VALUE(SLUICE_FIELD_ACCESS_CONTROL_EXPOSE_HEADERS, 91);
VALUE(SLUICE_FIELD_ACCESS_CONTROL_MAX_AGE, 92);
VALUE(SLUICE_FIELD_ACCESS_CONTROL_REQUEST_METHOD, 93);
VALUE(SLUICE_FIELD_ACCESS_CONTROL_REQUEST_HEADERS, 94);
VALUE(SLUICE_FIELD_SEC_WEBSOCKET_KEY, 95);
VALUE(SLUICE_FIELD_SEC_WEBSOCKET_ACCEPT, 96);
VALUE(SLUICE_FIELD_SEC_WEBSOCKET_VERSION, 97);
VALUE(SLUICE_FIELD_SEC_WEBSOCKET_PROTOCOL, 98);
VALUE(SLUICE_FIELD_SEC_WEBSOCKET_EXTENSIONS, 99);
VALUE(SLUICE_FIELD_SEC_FETCH_SITE, 100);
VALUE(SLUICE_FIELD_SEC_FETCH_MODE, 101);
VALUE(SLUICE_FIELD_SEC_FETCH_USER, 102);
VALUE(SLUICE_FIELD_SEC_FETCH_DEST, 103);
VALUE(SLUICE_FIELD_SEC_CH_UA, 104);
VALUE(SLUICE_FIELD_SEC_CH_UA_MOBILE, 105);
VALUE(SLUICE_FIELD_SEC_CH_UA_PLATFORM, 106);
VALUE(SLUICE_FIELD_UPGRADE_INSECURE_REQUESTS, 107);
VALUE(SLUICE_FIELD_PRIORITY, 108);
VALUE(SLUICE_FIELD_DNT, 109);
VALUE(SLUICE_FIELD_MAX_FORWARDS, 110);
VALUE(SLUICE_FIELD_FROM, 111);
VALUE(SLUICE_FIELD_GRPC_STATUS, 112);
VALUE(SLUICE_FIELD_GRPC_MESSAGE, 113);
VALUE(SLUICE_FIELD_GRPC_TIMEOUT, 114);
VALUE(SLUICE_FIELD_GRPC_ENCODING, 115);
VALUE(SLUICE_FIELD_GRPC_ACCEPT_ENCODING, 116);
VALUE(SLUICE_FIELD_SERVER_TIMING, 117);
VALUE(SLUICE_FIELD_ACCEPT_CHARSET, 118);
VALUE(SLUICE_FIELD_CONTENT_DIGEST, 119);
VALUE(SLUICE_FIELD_EARLY_DATA, 120);
VALUE(SLUICE_FIELD_X_POWERED_BY, 121);
VALUE(SLUICE_FIELD_X_CACHE, 122);
VALUE(SLUICE_FIELD_SEC_GPC, 123);
VALUE(SLUICE_FIELD_COUNT, 128);
VALUE(SLUICE_FIELD_FLAG_PSEUDO, 1);
VALUE(SLUICE_FIELD_FLAG_REPEATED, 2);
VALUE(SLUICE_FIELD_FLAG_SENSITIVE, 4);
STRUCT(sluice_field, 32, 8);
MEMBER(sluice_field, name, 0, const uint8_t *);
MEMBER(sluice_field, value, 8, const uint8_t *);
MEMBER(sluice_field, name_len, 16, uint32_t);
MEMBER(sluice_field, value_len, 20, uint32_t);
MEMBER(sluice_field, id, 24, uint16_t);
MEMBER(sluice_field, flags, 26, uint16_t);
MEMBER(sluice_field, reserved, 28, uint32_t);
STRUCT(sluice_headers, 328, 8);
MEMBER(sluice_headers, size, 0, uint32_t);
MEMBER(sluice_headers, epoch, 4, uint32_t);
MEMBER(sluice_headers, count, 8, uint32_t);
MEMBER(sluice_headers, status, 12, uint32_t);
MEMBER(sluice_headers, fields, 16, const sluice_field *);
MEMBER(sluice_headers, known_bits, 24, uint64_t[2]);
MEMBER(sluice_headers, known_index, 40, uint16_t[128]);
MEMBER(sluice_headers, reserved, 296, uint64_t[4]);
VALUE(SLUICE_EDIT_SET, 1);
VALUE(SLUICE_EDIT_APPEND, 2);
VALUE(SLUICE_EDIT_ADD_IF_ABSENT, 3);
VALUE(SLUICE_EDIT_REMOVE, 4);
VALUE(SLUICE_EDIT_REMOVE_PREFIX, 5);
VALUE(SLUICE_EDIT_SET_METHOD, 6);
VALUE(SLUICE_EDIT_SET_PATH, 7);
VALUE(SLUICE_EDIT_SET_AUTHORITY, 8);
VALUE(SLUICE_EDIT_SET_STATUS, 9);
STRUCT(sluice_edit, 40, 8);
MEMBER(sluice_edit, op, 0, uint32_t);
MEMBER(sluice_edit, id, 4, uint32_t);
MEMBER(sluice_edit, name, 8, sluice_slice);
MEMBER(sluice_edit, value, 24, sluice_slice);
STRUCT(sluice_edits, 24, 8);
MEMBER(sluice_edits, size, 0, uint32_t);
MEMBER(sluice_edits, count, 4, uint32_t);
MEMBER(sluice_edits, capacity, 8, uint32_t);
MEMBER(sluice_edits, reserved, 12, uint32_t);
MEMBER(sluice_edits, ops, 16, sluice_edit *);

/* sluice/body.h */
VALUE(SLUICE_BODY_EOS, 1);
VALUE(SLUICE_BODY_FLUSH, 2);
VALUE(SLUICE_BODY_WHOLE, 4);
STRUCT(sluice_body_in, 72, 8);
MEMBER(sluice_body_in, size, 0, uint32_t);
MEMBER(sluice_body_in, flags, 4, uint32_t);
MEMBER(sluice_body_in, data, 8, sluice_slice);
MEMBER(sluice_body_in, offset, 24, uint64_t);
MEMBER(sluice_body_in, trailers, 32, const sluice_headers *);
MEMBER(sluice_body_in, reserved, 40, uint64_t[4]);
STRUCT(sluice_body_out, 104, 8);
MEMBER(sluice_body_out, size, 0, uint32_t);
MEMBER(sluice_body_out, replaces, 4, uint32_t);
MEMBER(sluice_body_out, consumed, 8, uint64_t);
MEMBER(sluice_body_out, credit, 16, uint64_t);
MEMBER(sluice_body_out, context, 24, void *);
MEMBER(sluice_body_out, push, 32, int32_t (*)(sluice_body_out *, sluice_slice));
MEMBER(sluice_body_out, pass, 40, int32_t (*)(sluice_body_out *, uint64_t, uint64_t));
MEMBER(sluice_body_out, push_buf, 48, int32_t (*)(sluice_body_out *, sluice_buf *));
MEMBER(sluice_body_out, reserve, 56, int32_t (*)(sluice_body_out *, uint8_t **, uint64_t *));
MEMBER(sluice_body_out, commit, 64, int32_t (*)(sluice_body_out *, uint64_t));
MEMBER(sluice_body_out, reserved, 72, uint64_t[4]);

/* sluice/http.h */
VALUE(SLUICE_PHASE_REQUEST_HEADERS, 0);
VALUE(SLUICE_PHASE_CACHE_LOOKUP, 1);
VALUE(SLUICE_PHASE_REQUEST_BODY, 2);
VALUE(SLUICE_PHASE_UPSTREAM_SELECT, 3);
VALUE(SLUICE_PHASE_UPSTREAM_REQUEST, 4);
VALUE(SLUICE_PHASE_UPSTREAM_RESULT, 5);
VALUE(SLUICE_PHASE_UPSTREAM_RESPONSE, 6);
VALUE(SLUICE_PHASE_UPSTREAM_BODY, 7);
VALUE(SLUICE_PHASE_RESPONSE_HEADERS, 8);
VALUE(SLUICE_PHASE_RESPONSE_BODY, 9);
VALUE(SLUICE_PHASE_LOCAL_REPLY, 10);
VALUE(SLUICE_PHASE_REQUEST_END, 11);
VALUE(SLUICE_PHASE_COUNT, 12);
VALUE(SLUICE_CONTINUE, 0);
VALUE(SLUICE_RESPOND, 1);
VALUE(SLUICE_SUSPEND, 2);
VALUE(SLUICE_HOLD, 3);
VALUE(SLUICE_DETACH, 4);
VALUE(SLUICE_RESET, 5);
VALUE(SLUICE_MORE, 6);
VALUE(SLUICE_ERROR, 7);
VALUE(SLUICE_ARGS_EOS, 1);
VALUE(SLUICE_ARGS_INTERNAL, 2);
VALUE(SLUICE_ARGS_LOCAL, 4);
VALUE(SLUICE_ARGS_HELD, 8);
VALUE(SLUICE_RESUMED, 1);
VALUE(SLUICE_RESUME_DEADLINE, 2);
VALUE(SLUICE_RESUME_WOKEN, 3);
VALUE(SLUICE_ASK_BODY_POLICY, 1);
VALUE(SLUICE_ASK_BUFFER, 2);
VALUE(SLUICE_ASK_INTEREST, 4);
VALUE(SLUICE_ASK_RELEASE, 8);
VALUE(SLUICE_BODY_SAME, 0);
VALUE(SLUICE_BODY_UNKNOWN, 1);
VALUE(SLUICE_BODY_EXACT, 2);
VALUE(SLUICE_BODY_DROP, 3);
VALUE(SLUICE_OVERFLOW_REFUSE, 0);
VALUE(SLUICE_OVERFLOW_STREAM, 1);
VALUE(SLUICE_ATTEMPT_RESPONSE, 0);
VALUE(SLUICE_ATTEMPT_CONNECT, 1);
VALUE(SLUICE_ATTEMPT_TIMEOUT, 2);
VALUE(SLUICE_ATTEMPT_CLOSED, 3);
VALUE(SLUICE_ATTEMPT_MALFORMED, 4);
VALUE(SLUICE_HTTP_1_0, 10);
VALUE(SLUICE_HTTP_1_1, 11);
VALUE(SLUICE_HTTP_2, 20);
VALUE(SLUICE_OUTCOME_COMPLETE, 0);
VALUE(SLUICE_OUTCOME_CLIENT_GONE, 1);
VALUE(SLUICE_OUTCOME_UPSTREAM_CUT, 2);
VALUE(SLUICE_OUTCOME_RESET, 3);
VALUE(SLUICE_OUTCOME_MALFORMED, 4);
STRUCT(sluice_tls_facts, 160, 8);
MEMBER(sluice_tls_facts, size, 0, uint32_t);
MEMBER(sluice_tls_facts, version, 4, uint32_t);
MEMBER(sluice_tls_facts, cipher, 8, sluice_slice);
MEMBER(sluice_tls_facts, server_name, 24, sluice_slice);
MEMBER(sluice_tls_facts, alpn, 40, sluice_slice);
MEMBER(sluice_tls_facts, client_subject, 56, sluice_slice);
MEMBER(sluice_tls_facts, client_fingerprint, 72, sluice_slice);
MEMBER(sluice_tls_facts, is_resumed, 88, uint32_t);
MEMBER(sluice_tls_facts, is_early_data, 92, uint32_t);
MEMBER(sluice_tls_facts, reserved, 96, uint64_t[8]);
STRUCT(sluice_facts, 264, 8);
MEMBER(sluice_facts, size, 0, uint32_t);
MEMBER(sluice_facts, http_version, 4, uint32_t);
MEMBER(sluice_facts, request_number, 8, uint64_t);
MEMBER(sluice_facts, client_address, 16, sluice_slice);
MEMBER(sluice_facts, local_address, 32, sluice_slice);
MEMBER(sluice_facts, route, 48, sluice_slice);
MEMBER(sluice_facts, upstream, 64, sluice_slice);
MEMBER(sluice_facts, peer, 80, sluice_slice);
MEMBER(sluice_facts, client_ip, 96, uint8_t[16]);
MEMBER(sluice_facts, client_family, 112, uint32_t);
MEMBER(sluice_facts, client_port, 116, uint32_t);
MEMBER(sluice_facts, attempt, 120, uint32_t);
MEMBER(sluice_facts, secure, 124, uint32_t);
MEMBER(sluice_facts, status, 128, uint32_t);
MEMBER(sluice_facts, outcome, 132, uint32_t);
MEMBER(sluice_facts, time_start, 136, uint64_t);
MEMBER(sluice_facts, time_now, 144, uint64_t);
MEMBER(sluice_facts, bytes_in, 152, uint64_t);
MEMBER(sluice_facts, bytes_out, 160, uint64_t);
MEMBER(sluice_facts, time_connected, 168, uint64_t);
MEMBER(sluice_facts, time_first_byte, 176, uint64_t);
MEMBER(sluice_facts, attempt_result, 184, uint32_t);
MEMBER(sluice_facts, is_reused, 188, uint32_t);
MEMBER(sluice_facts, tls, 192, const sluice_tls_facts *);
MEMBER(sluice_facts, reserved, 200, uint64_t[8]);
STRUCT(sluice_reply, 64, 8);
MEMBER(sluice_reply, size, 0, uint32_t);
MEMBER(sluice_reply, status, 4, uint32_t);
MEMBER(sluice_reply, body, 8, sluice_slice);
MEMBER(sluice_reply, edits, 24, sluice_edits *);
MEMBER(sluice_reply, reserved, 32, uint64_t[4]);
STRUCT(sluice_args, 160, 8);
MEMBER(sluice_args, size, 0, uint32_t);
MEMBER(sluice_args, phase, 4, uint32_t);
MEMBER(sluice_args, flags, 8, uint32_t);
MEMBER(sluice_args, error_code, 12, uint32_t);
MEMBER(sluice_args, headers, 16, const sluice_headers *);
MEMBER(sluice_args, request_headers, 24, const sluice_headers *);
MEMBER(sluice_args, facts, 32, const sluice_facts *);
MEMBER(sluice_args, edits, 40, sluice_edits *);
MEMBER(sluice_args, reply, 48, sluice_reply *);
MEMBER(sluice_args, body_in, 56, sluice_body_in *);
MEMBER(sluice_args, body_out, 64, sluice_body_out *);
MEMBER(sluice_args, asks, 72, uint64_t);
MEMBER(sluice_args, interest, 80, uint64_t);
MEMBER(sluice_args, body_policy, 88, uint32_t);
MEMBER(sluice_args, buffer_overflow, 92, uint32_t);
MEMBER(sluice_args, body_length, 96, uint64_t);
MEMBER(sluice_args, buffer_max, 104, uint64_t);
MEMBER(sluice_args, resume_reason, 112, uint32_t);
MEMBER(sluice_args, reserved0, 116, uint32_t);
MEMBER(sluice_args, resume_payload, 120, uint64_t);
MEMBER(sluice_args, reserved, 128, uint64_t[4]);
TYPE(sluice_hook, uint32_t (*)(void *, void *, sluice_req *, void *, sluice_args *));
STRUCT(sluice_http_hooks, 168, 8);
MEMBER(sluice_http_hooks, size, 0, uint32_t);
MEMBER(sluice_http_hooks, flags, 4, uint32_t);
MEMBER(sluice_http_hooks, request_headers, 8, sluice_hook);
MEMBER(sluice_http_hooks, cache_lookup, 16, sluice_hook);
MEMBER(sluice_http_hooks, request_body, 24, sluice_hook);
MEMBER(sluice_http_hooks, upstream_select, 32, sluice_hook);
MEMBER(sluice_http_hooks, upstream_request, 40, sluice_hook);
MEMBER(sluice_http_hooks, upstream_result, 48, sluice_hook);
MEMBER(sluice_http_hooks, upstream_response, 56, sluice_hook);
MEMBER(sluice_http_hooks, upstream_body, 64, sluice_hook);
MEMBER(sluice_http_hooks, response_headers, 72, sluice_hook);
MEMBER(sluice_http_hooks, response_body, 80, sluice_hook);
MEMBER(sluice_http_hooks, local_reply, 88, sluice_hook);
MEMBER(sluice_http_hooks, request_end, 96, sluice_hook);
MEMBER(sluice_http_hooks, resumed, 104, sluice_hook);
MEMBER(sluice_http_hooks, reserved, 112, sluice_hook[7]);

/* sluice/host.h */
VALUE(SLUICE_LOG_ERROR, 1);
VALUE(SLUICE_LOG_WARN, 2);
VALUE(SLUICE_LOG_INFO, 3);
VALUE(SLUICE_LOG_DEBUG, 4);
VALUE(SLUICE_METRIC_COUNTER, 1);
VALUE(SLUICE_METRIC_GAUGE, 2);
VALUE(SLUICE_METRIC_HISTOGRAM, 3);
VALUE(SLUICE_METRIC_LABELS_MAX, 8);
VALUE(SLUICE_METRIC_BUCKETS_MAX, 64);
VALUE(SLUICE_METRIC_SERIES_MAX, 10000);
VALUE(SLUICE_WORKER_ALL, 4294967295);
STRUCT(sluice_metric, 104, 8);
MEMBER(sluice_metric, size, 0, uint32_t);
MEMBER(sluice_metric, kind, 4, uint32_t);
MEMBER(sluice_metric, name, 8, sluice_slice);
MEMBER(sluice_metric, help, 24, sluice_slice);
MEMBER(sluice_metric, labels, 40, const sluice_slice *);
MEMBER(sluice_metric, label_count, 48, uint32_t);
MEMBER(sluice_metric, series_max, 52, uint32_t);
MEMBER(sluice_metric, buckets, 56, const double *);
MEMBER(sluice_metric, bucket_count, 64, uint32_t);
MEMBER(sluice_metric, reserved0, 68, uint32_t);
MEMBER(sluice_metric, reserved, 72, uint64_t[4]);
TYPE(sluice_task, void (*)(void *, void *, void *));
TEXT(SLUICE_CORE_ID, "sluice.core/1");
STRUCT(sluice_core, 488, 8);
MEMBER(sluice_core, size, 0, uint32_t);
MEMBER(sluice_core, reserved0, 4, uint32_t);
MEMBER(sluice_core, log, 8, void (*)(const sluice_host *, uint32_t, sluice_slice));
MEMBER(sluice_core, log_pairs, 16, void (*)(const sluice_host *, uint32_t, sluice_slice, const
    sluice_pair *, uint32_t));
MEMBER(sluice_core, log_level, 24, uint32_t (*)(const sluice_host *));
MEMBER(sluice_core, now, 32, uint64_t (*)(const sluice_host *));
MEMBER(sluice_core, wall_clock, 40, uint64_t (*)(const sluice_host *));
MEMBER(sluice_core, random, 48, uint64_t (*)(const sluice_host *));
MEMBER(sluice_core, request_alloc, 56, void *(*)(sluice_req *, uint64_t));
MEMBER(sluice_core, buf_new, 64, sluice_buf *(*)(const sluice_host *, uint64_t));
MEMBER(sluice_core, buf_wrap, 72, sluice_buf *(*)(const sluice_host *, sluice_slice, void (*)(void
    *), void *));
MEMBER(sluice_core, buf_slice, 80, sluice_buf *(*)(sluice_buf *, uint64_t, uint64_t));
MEMBER(sluice_core, buf_retain, 88, void (*)(sluice_buf *));
MEMBER(sluice_core, buf_release, 96, void (*)(sluice_buf *));
MEMBER(sluice_core, metric_define, 104, int32_t (*)(const sluice_host *, const sluice_metric *,
    uint32_t *, sluice_errbuf *));
MEMBER(sluice_core, metric_series, 112, int32_t (*)(uint32_t, const sluice_slice *, uint32_t,
    uint32_t *));
MEMBER(sluice_core, metric_add, 120, void (*)(uint32_t, int64_t));
MEMBER(sluice_core, metric_set, 128, void (*)(uint32_t, int64_t));
MEMBER(sluice_core, metric_observe, 136, void (*)(uint32_t, double));
MEMBER(sluice_core, attr_key, 144, int32_t (*)(const sluice_host *, sluice_slice, uint32_t, uint32_t
    *));
MEMBER(sluice_core, timer_set, 152, int32_t (*)(const sluice_host *, uint64_t, uint64_t,
    sluice_task, void *, sluice_token *));
MEMBER(sluice_core, timer_cancel, 160, int32_t (*)(const sluice_host *, const sluice_token *));
MEMBER(sluice_core, post, 168, int32_t (*)(const sluice_host *, uint32_t, sluice_task, void *));
MEMBER(sluice_core, offload, 176, int32_t (*)(const sluice_host *, void (*)(void *, void *),
    sluice_task, void *));
MEMBER(sluice_core, reserved, 184, void *[38]);

/* sluice/request.h */
VALUE(SLUICE_ATTR_U64, 1);
VALUE(SLUICE_ATTR_BYTES, 2);
TEXT(SLUICE_HTTP_ID, "sluice.http/1");
STRUCT(sluice_http, 248, 8);
MEMBER(sluice_http, size, 0, uint32_t);
MEMBER(sluice_http, reserved0, 4, uint32_t);
MEMBER(sluice_http, suspend, 8, int32_t (*)(sluice_req *, uint64_t, sluice_token *));
MEMBER(sluice_http, resume, 16, int32_t (*)(const sluice_token *, uint64_t));
MEMBER(sluice_http, attr_set_u64, 24, int32_t (*)(sluice_req *, uint32_t, uint64_t));
MEMBER(sluice_http, attr_set_bytes, 32, int32_t (*)(sluice_req *, uint32_t, sluice_slice));
MEMBER(sluice_http, attr_get_u64, 40, int32_t (*)(sluice_req *, uint32_t, uint64_t *));
MEMBER(sluice_http, attr_get_bytes, 48, int32_t (*)(sluice_req *, uint32_t, sluice_slice *));
MEMBER(sluice_http, set_hash_key, 56, int32_t (*)(sluice_req *, sluice_slice));
MEMBER(sluice_http, reserved, 64, void *[23]);

/* sluice/plugin.h */
STRUCT(sluice_instance, 152, 8);
MEMBER(sluice_instance, size, 0, uint32_t);
MEMBER(sluice_instance, context_size, 4, uint32_t);
MEMBER(sluice_instance, state, 8, void *);
MEMBER(sluice_instance, hooks, 16, const sluice_http_hooks *);
MEMBER(sluice_instance, get_extension, 24, const void *(*)(void *, const char *));
MEMBER(sluice_instance, worker_start, 32, void *(*)(void *, uint32_t));
MEMBER(sluice_instance, worker_stop, 40, void (*)(void *, void *));
MEMBER(sluice_instance, destroy, 48, void (*)(void *));
MEMBER(sluice_instance, export_state, 56, int32_t (*)(void *, const sluice_sink *, sluice_errbuf
    *));
MEMBER(sluice_instance, import_state, 64, int32_t (*)(void *, sluice_slice, sluice_errbuf *));
MEMBER(sluice_instance, reserved, 72, void *[10]);
STRUCT(sluice_create_args, 88, 8);
MEMBER(sluice_create_args, size, 0, uint32_t);
MEMBER(sluice_create_args, worker_count, 4, uint32_t);
MEMBER(sluice_create_args, host, 8, const sluice_host *);
MEMBER(sluice_create_args, name, 16, sluice_slice);
MEMBER(sluice_create_args, config, 32, const sluice_value *);
MEMBER(sluice_create_args, folder, 40, sluice_slice);
MEMBER(sluice_create_args, reserved, 56, uint64_t[4]);
STRUCT(sluice_factory, 72, 8);
MEMBER(sluice_factory, size, 0, uint32_t);
MEMBER(sluice_factory, reserved0, 4, uint32_t);
MEMBER(sluice_factory, check_config, 8, int32_t (*)(const sluice_value *, sluice_errbuf *));
MEMBER(sluice_factory, create, 16, int32_t (*)(const sluice_create_args *, sluice_instance *,
    sluice_errbuf *));
MEMBER(sluice_factory, reserved, 24, void *[6]);

/* sluice/hello.h */
TEXT(SLUICE_HELLO_SYMBOL, "sluice_plugin_hello_v0");
STRUCT(sluice_host_hello, 88, 8);
MEMBER(sluice_host_hello, size, 0, uint32_t);
MEMBER(sluice_host_hello, abi_minor, 4, uint32_t);
MEMBER(sluice_host_hello, features, 8, uint64_t);
MEMBER(sluice_host_hello, host_name, 16, sluice_slice);
MEMBER(sluice_host_hello, host_version, 32, sluice_slice);
MEMBER(sluice_host_hello, get_extension, 48, const void *(*)(const char *));
MEMBER(sluice_host_hello, reserved, 56, uint64_t[4]);
STRUCT(sluice_plugin_hello, 136, 8);
MEMBER(sluice_plugin_hello, size, 0, uint32_t);
MEMBER(sluice_plugin_hello, abi_minor, 4, uint32_t);
MEMBER(sluice_plugin_hello, flags, 8, uint64_t);
MEMBER(sluice_plugin_hello, id, 16, sluice_slice);
MEMBER(sluice_plugin_hello, version, 32, sluice_slice);
MEMBER(sluice_plugin_hello, description, 48, sluice_slice);
MEMBER(sluice_plugin_hello, factory, 64, const sluice_factory *);
MEMBER(sluice_plugin_hello, required, 72, const char *const *);
MEMBER(sluice_plugin_hello, roles, 80, const char *const *);
MEMBER(sluice_plugin_hello, hooks_mask, 88, uint64_t);
MEMBER(sluice_plugin_hello, reserved, 96, uint64_t[5]);
TYPE(sluice_plugin_hello_fn, int32_t (*)(const sluice_host_hello *, sluice_plugin_hello *));
FUNCTION(sluice_plugin_hello_v0, int32_t (*)(const sluice_host_hello *, sluice_plugin_hello *));

/* sluice/descriptor.h */
TEXT(SLUICE_DESCRIPTOR_SECTION, "sluice_descriptor");
VALUE(SLUICE_DESCRIPTOR_BYTES_MAX, 65536);

/* sluice/ext/balancer.h */
TEXT(SLUICE_LB_ID, "sluice.lb/1");
STRUCT(sluice_peer_load, 64, 8);
MEMBER(sluice_peer_load, in_flight, 0, uint64_t);
MEMBER(sluice_peer_load, latency_ewma_ns, 8, uint64_t);
MEMBER(sluice_peer_load, failures, 16, uint64_t);
MEMBER(sluice_peer_load, health, 24, uint64_t);
MEMBER(sluice_peer_load, reserved, 32, uint64_t[4]);
STRUCT(sluice_peer, 80, 8);
MEMBER(sluice_peer, id, 0, uint64_t);
MEMBER(sluice_peer, address, 8, sluice_slice);
MEMBER(sluice_peer, weight, 24, uint32_t);
MEMBER(sluice_peer, priority, 28, uint32_t);
MEMBER(sluice_peer, load, 32, const sluice_peer_load *);
MEMBER(sluice_peer, meta, 40, const sluice_value *);
MEMBER(sluice_peer, reserved, 48, uint64_t[4]);
STRUCT(sluice_peer_set, 80, 8);
MEMBER(sluice_peer_set, size, 0, uint32_t);
MEMBER(sluice_peer_set, count, 4, uint32_t);
MEMBER(sluice_peer_set, version, 8, uint64_t);
MEMBER(sluice_peer_set, upstream, 16, sluice_slice);
MEMBER(sluice_peer_set, peers, 32, const sluice_peer *);
MEMBER(sluice_peer_set, worker_count, 40, uint32_t);
MEMBER(sluice_peer_set, reserved0, 44, uint32_t);
MEMBER(sluice_peer_set, reserved, 48, uint64_t[4]);
VALUE(SLUICE_PICK_MAX, 8);
VALUE(SLUICE_PICK_OK, 0);
VALUE(SLUICE_PICK_NONE, 1);
STRUCT(sluice_pick, 120, 8);
MEMBER(sluice_pick, size, 0, uint32_t);
MEMBER(sluice_pick, attempt, 4, uint32_t);
MEMBER(sluice_pick, worker_index, 8, uint32_t);
MEMBER(sluice_pick, has_hash, 12, uint32_t);
MEMBER(sluice_pick, hash_key, 16, sluice_slice);
MEMBER(sluice_pick, tried, 32, const uint64_t *);
MEMBER(sluice_pick, headers, 40, const sluice_headers *);
MEMBER(sluice_pick, count, 48, uint32_t);
MEMBER(sluice_pick, wanted, 52, uint32_t);
MEMBER(sluice_pick, candidates, 56, uint32_t[SLUICE_PICK_MAX]);
MEMBER(sluice_pick, reserved, 88, uint64_t[4]);
STRUCT(sluice_lb, 96, 8);
MEMBER(sluice_lb, size, 0, uint32_t);
MEMBER(sluice_lb, flags, 4, uint32_t);
MEMBER(sluice_lb, build, 8, void *(*)(void *, const sluice_peer_set *, sluice_errbuf *));
MEMBER(sluice_lb, drop, 16, void (*)(void *, void *));
MEMBER(sluice_lb, pick, 24, uint32_t (*)(void *, void *, void *, sluice_pick *));
MEMBER(sluice_lb, reserved, 32, void *[8]);

/* sluice/ext/handover.h */
TEXT(SLUICE_HANDOVER_ID, "sluice.handover/1");
STRUCT(sluice_handover, 72, 8);
MEMBER(sluice_handover, size, 0, uint32_t);
MEMBER(sluice_handover, reserved0, 4, uint32_t);
MEMBER(sluice_handover, warm, 8, int32_t (*)(void *, sluice_errbuf *));
MEMBER(sluice_handover, export_rest, 16, int32_t (*)(void *, const sluice_sink *, sluice_errbuf *));
MEMBER(sluice_handover, import_rest, 24, int32_t (*)(void *, sluice_slice, sluice_errbuf *));
MEMBER(sluice_handover, reserved, 32, void *[5]);

/* sluice/ext/http_client.h */
TEXT(SLUICE_HTTP_CLIENT_ID, "sluice.http_client/1");
VALUE(SLUICE_CALL_OK, 0);
VALUE(SLUICE_CALL_FAILED, 1);
VALUE(SLUICE_CALL_TIMEOUT, 2);
VALUE(SLUICE_CALL_TOO_LARGE, 3);
STRUCT(sluice_call_result, 72, 8);
MEMBER(sluice_call_result, size, 0, uint32_t);
MEMBER(sluice_call_result, outcome, 4, uint32_t);
MEMBER(sluice_call_result, status, 8, uint32_t);
MEMBER(sluice_call_result, reserved0, 12, uint32_t);
MEMBER(sluice_call_result, headers, 16, const sluice_headers *);
MEMBER(sluice_call_result, body, 24, sluice_slice);
MEMBER(sluice_call_result, reserved, 40, uint64_t[4]);
STRUCT(sluice_call, 160, 8);
MEMBER(sluice_call, size, 0, uint32_t);
MEMBER(sluice_call, field_count, 4, uint32_t);
MEMBER(sluice_call, upstream, 8, sluice_slice);
MEMBER(sluice_call, method, 24, sluice_slice);
MEMBER(sluice_call, path, 40, sluice_slice);
MEMBER(sluice_call, authority, 56, sluice_slice);
MEMBER(sluice_call, fields, 72, const sluice_pair *);
MEMBER(sluice_call, body, 80, sluice_slice);
MEMBER(sluice_call, body_max, 96, uint64_t);
MEMBER(sluice_call, timeout_ns, 104, uint64_t);
MEMBER(sluice_call, done, 112, void (*)(void *, void *, void *, const sluice_call_result *));
MEMBER(sluice_call, context, 120, void *);
MEMBER(sluice_call, reserved, 128, uint64_t[4]);
STRUCT(sluice_http_client, 136, 8);
MEMBER(sluice_http_client, size, 0, uint32_t);
MEMBER(sluice_http_client, reserved0, 4, uint32_t);
MEMBER(sluice_http_client, start, 8, int32_t (*)(const sluice_host *, sluice_req *, const
    sluice_call *, sluice_token *));
MEMBER(sluice_http_client, cancel, 16, int32_t (*)(const sluice_host *, const sluice_token *));
MEMBER(sluice_http_client, has_upstream, 24, uint32_t (*)(const sluice_host *, sluice_slice));
MEMBER(sluice_http_client, reserved, 32, void *[13]);

/* sluice/ext/metrics.h */
TEXT(SLUICE_METRICS_ID, "sluice.metrics/1");
STRUCT(sluice_metrics, 72, 8);
MEMBER(sluice_metrics, size, 0, uint32_t);
MEMBER(sluice_metrics, reserved0, 4, uint32_t);
MEMBER(sluice_metrics, write, 8, int32_t (*)(const sluice_sink *));
MEMBER(sluice_metrics, reserved, 16, void *[7]);

/* sluice/ext/peers.h */
TEXT(SLUICE_PEERS_ID, "sluice.peers/1");
VALUE(SLUICE_HEALTH_HEALTHY, 0);
VALUE(SLUICE_HEALTH_UNHEALTHY, 1);
VALUE(SLUICE_HEALTH_EJECTED, 2);
VALUE(SLUICE_HEALTH_USED, 1);
VALUE(SLUICE_PEER_BACKUP, 1);
VALUE(SLUICE_PEER_DRAINING, 2);
VALUE(SLUICE_PEERS_MAX, 65535);
VALUE(SLUICE_PEER_ADDRESS_MAX, 256);
VALUE(SLUICE_PEER_ZONE_MAX, 64);
STRUCT(sluice_new_peer, 72, 8);
MEMBER(sluice_new_peer, address, 0, sluice_slice);
MEMBER(sluice_new_peer, weight, 16, uint32_t);
MEMBER(sluice_new_peer, priority, 20, uint32_t);
MEMBER(sluice_new_peer, flags, 24, uint32_t);
MEMBER(sluice_new_peer, reserved0, 28, uint32_t);
MEMBER(sluice_new_peer, zone, 32, sluice_slice);
MEMBER(sluice_new_peer, reserved, 48, uint64_t[3]);
STRUCT(sluice_peer_info, 88, 8);
MEMBER(sluice_peer_info, id, 0, uint64_t);
MEMBER(sluice_peer_info, address, 8, sluice_slice);
MEMBER(sluice_peer_info, weight, 24, uint32_t);
MEMBER(sluice_peer_info, priority, 28, uint32_t);
MEMBER(sluice_peer_info, flags, 32, uint32_t);
MEMBER(sluice_peer_info, health, 36, uint32_t);
MEMBER(sluice_peer_info, zone, 40, sluice_slice);
MEMBER(sluice_peer_info, in_flight, 56, uint64_t);
MEMBER(sluice_peer_info, reserved, 64, uint64_t[3]);
STRUCT(sluice_upstream_info, 64, 8);
MEMBER(sluice_upstream_info, name, 0, sluice_slice);
MEMBER(sluice_upstream_info, version, 16, uint64_t);
MEMBER(sluice_upstream_info, peer_count, 24, uint32_t);
MEMBER(sluice_upstream_info, is_discovered, 28, uint32_t);
MEMBER(sluice_upstream_info, reserved, 32, uint64_t[4]);
VALUE(SLUICE_PROBE_TCP, 0);
VALUE(SLUICE_PROBE_HTTP1, 1);
VALUE(SLUICE_PROBE_HTTP2, 2);
VALUE(SLUICE_PROBE_TLS_UPSTREAM, 0);
VALUE(SLUICE_PROBE_TLS_OFF, 1);
VALUE(SLUICE_PROBE_TLS_OWN, 2);
VALUE(SLUICE_PROBE_DONE, 0);
VALUE(SLUICE_PROBE_CONNECT, 1);
VALUE(SLUICE_PROBE_HANDSHAKE, 2);
VALUE(SLUICE_PROBE_REQUEST, 3);
VALUE(SLUICE_PROBE_BODY, 4);
STRUCT(sluice_probe_tls, 72, 8);
MEMBER(sluice_probe_tls, size, 0, uint32_t);
MEMBER(sluice_probe_tls, skip_verify, 4, uint32_t);
MEMBER(sluice_probe_tls, server_name, 8, sluice_slice);
MEMBER(sluice_probe_tls, ca_file, 24, sluice_slice);
MEMBER(sluice_probe_tls, reserved, 40, uint64_t[4]);
STRUCT(sluice_probe_result, 104, 8);
MEMBER(sluice_probe_result, size, 0, uint32_t);
MEMBER(sluice_probe_result, step, 4, uint32_t);
MEMBER(sluice_probe_result, is_timeout, 8, uint32_t);
MEMBER(sluice_probe_result, status, 12, uint32_t);
MEMBER(sluice_probe_result, duration_ns, 16, uint64_t);
MEMBER(sluice_probe_result, headers, 24, const sluice_headers *);
MEMBER(sluice_probe_result, trailers, 32, const sluice_headers *);
MEMBER(sluice_probe_result, body, 40, sluice_slice);
MEMBER(sluice_probe_result, reason, 56, sluice_slice);
MEMBER(sluice_probe_result, reserved, 72, uint64_t[4]);
STRUCT(sluice_probe, 192, 8);
MEMBER(sluice_probe, size, 0, uint32_t);
MEMBER(sluice_probe, protocol, 4, uint32_t);
MEMBER(sluice_probe, upstream, 8, sluice_slice);
MEMBER(sluice_probe, peer, 24, uint64_t);
MEMBER(sluice_probe, port, 32, uint32_t);
MEMBER(sluice_probe, tls, 36, uint32_t);
MEMBER(sluice_probe, tls_context, 40, sluice_probe_tls_context *);
MEMBER(sluice_probe, method, 48, sluice_slice);
MEMBER(sluice_probe, path, 64, sluice_slice);
MEMBER(sluice_probe, authority, 80, sluice_slice);
MEMBER(sluice_probe, fields, 96, const sluice_pair *);
MEMBER(sluice_probe, field_count, 104, uint32_t);
MEMBER(sluice_probe, reserved0, 108, uint32_t);
MEMBER(sluice_probe, body, 112, sluice_slice);
MEMBER(sluice_probe, body_max, 128, uint64_t);
MEMBER(sluice_probe, timeout_ns, 136, uint64_t);
MEMBER(sluice_probe, done, 144, void (*)(void *, void *, void *, const sluice_probe_result *));
MEMBER(sluice_probe, context, 152, void *);
MEMBER(sluice_probe, reserved, 160, uint64_t[4]);
TYPE(sluice_peers_changed, void (*)(void *, void *, void *, sluice_slice));
STRUCT(sluice_peers, 208, 8);
MEMBER(sluice_peers, size, 0, uint32_t);
MEMBER(sluice_peers, reserved0, 4, uint32_t);
MEMBER(sluice_peers, upstreams, 8, int32_t (*)(const sluice_host *, sluice_upstream_info *,
    uint64_t, uint64_t *));
MEMBER(sluice_peers, peers, 16, int32_t (*)(const sluice_host *, sluice_slice, sluice_peer_info *,
    uint64_t, uint64_t *, uint64_t *));
MEMBER(sluice_peers, set_health, 24, int32_t (*)(const sluice_host *, uint64_t, uint32_t, uint32_t,
    sluice_slice));
MEMBER(sluice_peers, set_peers, 32, int32_t (*)(const sluice_host *, sluice_slice, const
    sluice_new_peer *, uint64_t, sluice_errbuf *));
MEMBER(sluice_peers, watch, 40, int32_t (*)(const sluice_host *, sluice_slice, sluice_peers_changed,
    void *));
MEMBER(sluice_peers, of_request, 48, uint64_t (*)(sluice_req *));
MEMBER(sluice_peers, tls_open, 56, int32_t (*)(const sluice_host *, const sluice_probe_tls *,
    sluice_probe_tls_context **, sluice_errbuf *));
MEMBER(sluice_peers, probe, 64, int32_t (*)(const sluice_host *, const sluice_probe *, sluice_token
    *));
MEMBER(sluice_peers, cancel, 72, int32_t (*)(const sluice_host *, const sluice_token *));
MEMBER(sluice_peers, reserved, 80, void *[16]);

/* sluice/ext/shared.h */
TEXT(SLUICE_SHARED_ID, "sluice.shared/1");
STRUCT(sluice_key, 16, 8);
MEMBER(sluice_key, low, 0, uint64_t);
MEMBER(sluice_key, high, 8, uint64_t);
STRUCT(sluice_bucket_answer, 24, 8);
MEMBER(sluice_bucket_answer, granted, 0, uint32_t);
MEMBER(sluice_bucket_answer, reserved0, 4, uint32_t);
MEMBER(sluice_bucket_answer, tokens, 8, uint64_t);
MEMBER(sluice_bucket_answer, wait_ns, 16, uint64_t);
STRUCT(sluice_shared, 128, 8);
MEMBER(sluice_shared, size, 0, uint32_t);
MEMBER(sluice_shared, reserved0, 4, uint32_t);
MEMBER(sluice_shared, open, 8, int32_t (*)(const sluice_host *, sluice_slice, uint64_t, sluice_table
    **));
MEMBER(sluice_shared, hash128, 16, void (*)(sluice_slice, sluice_key *));
MEMBER(sluice_shared, counter_add, 24, int64_t (*)(sluice_table *, sluice_key, int64_t, uint64_t));
MEMBER(sluice_shared, counter_get, 32, int64_t (*)(sluice_table *, sluice_key));
MEMBER(sluice_shared, bucket_take, 40, int32_t (*)(sluice_table *, sluice_key, uint64_t, uint64_t,
    uint64_t, sluice_bucket_answer *));
MEMBER(sluice_shared, value_get, 48, int32_t (*)(sluice_table *, sluice_key, uint8_t *, uint64_t,
    uint64_t *, uint64_t *));
MEMBER(sluice_shared, value_set, 56, int32_t (*)(sluice_table *, sluice_key, sluice_slice, uint64_t,
    uint64_t, uint64_t *));
MEMBER(sluice_shared, reserved, 64, void *[8]);

/* sluice/ext/thread_check.h */
TEXT(SLUICE_THREAD_CHECK_ID, "sluice.thread_check/1");
VALUE(SLUICE_THREAD_OTHER, 0);
VALUE(SLUICE_THREAD_CONTROL, 1);
VALUE(SLUICE_THREAD_WORKER, 2);
VALUE(SLUICE_THREAD_BLOCKING, 3);
STRUCT(sluice_thread_check, 72, 8);
MEMBER(sluice_thread_check, size, 0, uint32_t);
MEMBER(sluice_thread_check, reserved0, 4, uint32_t);
MEMBER(sluice_thread_check, current, 8, uint32_t (*)(void));
MEMBER(sluice_thread_check, worker_index, 16, uint32_t (*)(void));
MEMBER(sluice_thread_check, reserved, 24, void *[6]);

/* sluice/ext/waitset.h */
TEXT(SLUICE_WAITSET_ID, "sluice.waitset/1");
STRUCT(sluice_waitset, 72, 8);
MEMBER(sluice_waitset, size, 0, uint32_t);
MEMBER(sluice_waitset, reserved0, 4, uint32_t);
MEMBER(sluice_waitset, ticket, 8, uint64_t (*)(const sluice_host *, sluice_key));
MEMBER(sluice_waitset, wait, 16, int32_t (*)(const sluice_host *, sluice_req *, sluice_key,
    uint64_t, uint64_t, sluice_token *));
MEMBER(sluice_waitset, wake, 24, uint32_t (*)(const sluice_host *, sluice_key, uint32_t, uint64_t));
MEMBER(sluice_waitset, reserved, 32, void *[5]);
