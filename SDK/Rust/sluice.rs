//! The Sluice plugin ABI for Rust, on the standard library alone.
//!
//! Written by `scripts/abi-layout --write` from the C headers, which explain every item. It needs
//! Rust 1.63 or later, and does not compile where the layout would differ from C's.
//!
//! A pointer that is not NULL-able in C is a plain function pointer only in types of functions; a
//! member of a table is an `Option`, and `None` means "not offered".
#![allow(non_camel_case_types, non_upper_case_globals, dead_code, clippy::all)]

pub use std::os::raw::{c_char, c_void};

// ---------------------------------------------------------------- sluice/version.h

pub const SLUICE_ABI_MAJOR: u32 = 0;

pub const SLUICE_ABI_MINOR: u32 = 2;

// ---------------------------------------------------------------- sluice/types.h

/// Bytes that somebody else owns. `ptr` may be NULL only when `len` is 0. Not NUL-terminated.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_slice {
    pub ptr: *const u8,
    pub len: u64,
}

impl sluice_slice {
    /// All zeroes.
    pub const INIT: Self = Self {
        ptr: std::ptr::null(),
        len: 0,
    };
}

pub const SLUICE_OK: i32 = 0;
/// an argument is out of its range
pub const SLUICE_EINVAL: i32 = -1;
/// a limit on memory is reached
pub const SLUICE_ENOMEM: i32 = -2;
/// the object is gone
pub const SLUICE_ESTALE: i32 = -3;
/// the host or the phase does not offer this
pub const SLUICE_ENOTSUP: i32 = -4;
/// no room now; again later
pub const SLUICE_EAGAIN: i32 = -5;
/// the configuration was refused; the error buffer says why
pub const SLUICE_ECONFIG: i32 = -6;

/// Room for one line of text that explains a failure. The caller owns `ptr`; the callee
/// writes up to `cap` bytes of UTF-8 and sets `len`. Truncation is silent.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_errbuf {
    pub size: u32,
    pub len: u32,
    pub cap: u32,
    pub reserved: u32,
    pub ptr: *mut c_char,
}

impl sluice_errbuf {
    /// All zeroes, with `size` set.
    pub const INIT: Self = Self {
        size: std::mem::size_of::<Self>() as u32,
        len: 0,
        cap: 0,
        reserved: 0,
        ptr: std::ptr::null_mut(),
    };
}

/// A name and a value: the fields of a log line, of a metric, of a callout. Lifetime: call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_pair {
    pub name: sluice_slice,
    pub value: sluice_slice,
}

impl sluice_pair {
    /// All zeroes.
    pub const INIT: Self = Self {
        name: sluice_slice::INIT,
        value: sluice_slice::INIT,
    };
}

/// Bytes that are counted by reference. They come from `buf_new` or `buf_wrap` with one
/// reference; whoever keeps them beyond the call retains them. From the moment that a second
/// party has a reference they must not be changed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_buf {
    pub data: *mut u8,
    pub len: u64,
    pub capacity: u64,
    pub reserved: [u64; 5],
}

impl sluice_buf {
    /// All zeroes.
    pub const INIT: Self = Self {
        data: std::ptr::null_mut(),
        len: 0,
        capacity: 0,
        reserved: [0; 5],
    };
}

/// Names a wait (see `request.h`). A copy is as good as the original. All zeroes name none.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_token {
    pub slot: u32,
    pub generation: u32,
    pub sequence: u64,
}

impl sluice_token {
    /// All zeroes.
    pub const INIT: Self = Self {
        slot: 0,
        generation: 0,
        sequence: 0,
    };
}

/// Takes bytes, a run at a time. Returns SLUICE_OK, or what the writer passes on.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_sink {
    pub size: u32,
    pub reserved0: u32,
    pub context: *mut c_void,
    pub write: Option<unsafe extern "C" fn(context: *mut c_void, bytes: sluice_slice) -> i32>,
    pub reserved: [u64; 2],
}

impl sluice_sink {
    /// All zeroes, with `size` set.
    pub const INIT: Self = Self {
        size: std::mem::size_of::<Self>() as u32,
        reserved0: 0,
        context: std::ptr::null_mut(),
        write: None,
        reserved: [0; 2],
    };
}

pub const SLUICE_VALUE_NULL: u32 = 0;
/// `integer` is 0 or 1
pub const SLUICE_VALUE_BOOL: u32 = 1;
/// `integer`, and `number` as its nearest double
pub const SLUICE_VALUE_INT: u32 = 2;
/// `number`
pub const SLUICE_VALUE_NUMBER: u32 = 3;
/// `string`, valid UTF-8; `integer` is what its "format" means, or 0: nanoseconds of a
/// "duration", bytes of a "size"
pub const SLUICE_VALUE_STRING: u32 = 4;
/// `children[0 ..< count]`
pub const SLUICE_VALUE_ARRAY: u32 = 5;
/// the same, each with a `key`; keys are unique, sorted by bytes
pub const SLUICE_VALUE_OBJECT: u32 = 6;

/// One value of an instance's configuration: a tree that the host parsed and owns. It lives
/// for the instance, so a plugin may keep pointers into it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_value {
    pub type_: u32,
    pub count: u32,
    pub integer: i64,
    pub number: f64,
    pub string: sluice_slice,
    pub key: sluice_slice,
    pub children: *const sluice_value,
    pub reserved: [u64; 2],
}

impl sluice_value {
    /// All zeroes.
    pub const INIT: Self = Self {
        type_: 0,
        count: 0,
        integer: 0,
        number: 0.0,
        string: sluice_slice::INIT,
        key: sluice_slice::INIT,
        children: std::ptr::null(),
        reserved: [0; 2],
    };
}

// ---------------------------------------------------------------- sluice/headers.h

pub const SLUICE_FIELD_UNKNOWN: u32 = 0;
pub const SLUICE_FIELD_PSEUDO_METHOD: u32 = 1;
pub const SLUICE_FIELD_PSEUDO_SCHEME: u32 = 2;
pub const SLUICE_FIELD_PSEUDO_AUTHORITY: u32 = 3;
pub const SLUICE_FIELD_PSEUDO_PATH: u32 = 4;
pub const SLUICE_FIELD_PSEUDO_STATUS: u32 = 5;
pub const SLUICE_FIELD_PSEUDO_PROTOCOL: u32 = 6;
pub const SLUICE_FIELD_HOST: u32 = 8;
pub const SLUICE_FIELD_CONNECTION: u32 = 9;
pub const SLUICE_FIELD_CONTENT_LENGTH: u32 = 10;
pub const SLUICE_FIELD_TRANSFER_ENCODING: u32 = 11;
pub const SLUICE_FIELD_TE: u32 = 12;
pub const SLUICE_FIELD_TRAILER: u32 = 13;
pub const SLUICE_FIELD_UPGRADE: u32 = 14;
pub const SLUICE_FIELD_KEEP_ALIVE: u32 = 15;
pub const SLUICE_FIELD_PROXY_CONNECTION: u32 = 16;
pub const SLUICE_FIELD_EXPECT: u32 = 17;
pub const SLUICE_FIELD_DATE: u32 = 18;
pub const SLUICE_FIELD_VIA: u32 = 19;
pub const SLUICE_FIELD_SERVER: u32 = 20;
pub const SLUICE_FIELD_USER_AGENT: u32 = 21;
pub const SLUICE_FIELD_ACCEPT: u32 = 22;
pub const SLUICE_FIELD_ACCEPT_ENCODING: u32 = 23;
pub const SLUICE_FIELD_ACCEPT_LANGUAGE: u32 = 24;
pub const SLUICE_FIELD_ACCEPT_RANGES: u32 = 25;
pub const SLUICE_FIELD_CONTENT_TYPE: u32 = 26;
pub const SLUICE_FIELD_CONTENT_ENCODING: u32 = 27;
pub const SLUICE_FIELD_CONTENT_LANGUAGE: u32 = 28;
pub const SLUICE_FIELD_CONTENT_LOCATION: u32 = 29;
pub const SLUICE_FIELD_CONTENT_RANGE: u32 = 30;
pub const SLUICE_FIELD_CONTENT_DISPOSITION: u32 = 31;
pub const SLUICE_FIELD_CACHE_CONTROL: u32 = 32;
pub const SLUICE_FIELD_PRAGMA: u32 = 33;
pub const SLUICE_FIELD_AGE: u32 = 34;
pub const SLUICE_FIELD_EXPIRES: u32 = 35;
pub const SLUICE_FIELD_ETAG: u32 = 36;
pub const SLUICE_FIELD_LAST_MODIFIED: u32 = 37;
pub const SLUICE_FIELD_VARY: u32 = 38;
pub const SLUICE_FIELD_IF_MATCH: u32 = 39;
pub const SLUICE_FIELD_IF_NONE_MATCH: u32 = 40;
pub const SLUICE_FIELD_IF_MODIFIED_SINCE: u32 = 41;
pub const SLUICE_FIELD_IF_UNMODIFIED_SINCE: u32 = 42;
pub const SLUICE_FIELD_IF_RANGE: u32 = 43;
pub const SLUICE_FIELD_RANGE: u32 = 44;
pub const SLUICE_FIELD_AUTHORIZATION: u32 = 45;
pub const SLUICE_FIELD_WWW_AUTHENTICATE: u32 = 46;
pub const SLUICE_FIELD_PROXY_AUTHENTICATE: u32 = 47;
pub const SLUICE_FIELD_PROXY_AUTHORIZATION: u32 = 48;
pub const SLUICE_FIELD_COOKIE: u32 = 49;
pub const SLUICE_FIELD_SET_COOKIE: u32 = 50;
pub const SLUICE_FIELD_FORWARDED: u32 = 51;
pub const SLUICE_FIELD_X_FORWARDED_FOR: u32 = 52;
pub const SLUICE_FIELD_X_FORWARDED_PROTO: u32 = 53;
pub const SLUICE_FIELD_X_FORWARDED_HOST: u32 = 54;
pub const SLUICE_FIELD_X_FORWARDED_PORT: u32 = 55;
pub const SLUICE_FIELD_X_REAL_IP: u32 = 56;
pub const SLUICE_FIELD_X_REQUEST_ID: u32 = 57;
pub const SLUICE_FIELD_TRACEPARENT: u32 = 58;
pub const SLUICE_FIELD_TRACESTATE: u32 = 59;
pub const SLUICE_FIELD_BAGGAGE: u32 = 60;
pub const SLUICE_FIELD_B3: u32 = 61;
pub const SLUICE_FIELD_LOCATION: u32 = 62;
pub const SLUICE_FIELD_REFERER: u32 = 63;
pub const SLUICE_FIELD_ORIGIN: u32 = 64;
pub const SLUICE_FIELD_ALLOW: u32 = 65;
pub const SLUICE_FIELD_RETRY_AFTER: u32 = 66;
pub const SLUICE_FIELD_RATELIMIT: u32 = 67;
pub const SLUICE_FIELD_RATELIMIT_POLICY: u32 = 68;
pub const SLUICE_FIELD_RATELIMIT_LIMIT: u32 = 69;
pub const SLUICE_FIELD_RATELIMIT_REMAINING: u32 = 70;
pub const SLUICE_FIELD_RATELIMIT_RESET: u32 = 71;
pub const SLUICE_FIELD_CDN_CACHE_CONTROL: u32 = 72;
pub const SLUICE_FIELD_CACHE_STATUS: u32 = 73;
pub const SLUICE_FIELD_SURROGATE_CONTROL: u32 = 74;
pub const SLUICE_FIELD_SURROGATE_KEY: u32 = 75;
pub const SLUICE_FIELD_CACHE_TAG: u32 = 76;
pub const SLUICE_FIELD_WARNING: u32 = 77;
pub const SLUICE_FIELD_LINK: u32 = 78;
pub const SLUICE_FIELD_ALT_SVC: u32 = 79;
pub const SLUICE_FIELD_STRICT_TRANSPORT_SECURITY: u32 = 80;
pub const SLUICE_FIELD_CONTENT_SECURITY_POLICY: u32 = 81;
pub const SLUICE_FIELD_X_FRAME_OPTIONS: u32 = 82;
pub const SLUICE_FIELD_X_CONTENT_TYPE_OPTIONS: u32 = 83;
pub const SLUICE_FIELD_X_XSS_PROTECTION: u32 = 84;
pub const SLUICE_FIELD_REFERRER_POLICY: u32 = 85;
pub const SLUICE_FIELD_PERMISSIONS_POLICY: u32 = 86;
pub const SLUICE_FIELD_ACCESS_CONTROL_ALLOW_ORIGIN: u32 = 87;
pub const SLUICE_FIELD_ACCESS_CONTROL_ALLOW_METHODS: u32 = 88;
pub const SLUICE_FIELD_ACCESS_CONTROL_ALLOW_HEADERS: u32 = 89;
pub const SLUICE_FIELD_ACCESS_CONTROL_ALLOW_CREDENTIALS: u32 = 90;
pub const SLUICE_FIELD_ACCESS_CONTROL_EXPOSE_HEADERS: u32 = 91;
pub const SLUICE_FIELD_ACCESS_CONTROL_MAX_AGE: u32 = 92;
pub const SLUICE_FIELD_ACCESS_CONTROL_REQUEST_METHOD: u32 = 93;
pub const SLUICE_FIELD_ACCESS_CONTROL_REQUEST_HEADERS: u32 = 94;
pub const SLUICE_FIELD_SEC_WEBSOCKET_KEY: u32 = 95;
pub const SLUICE_FIELD_SEC_WEBSOCKET_ACCEPT: u32 = 96;
pub const SLUICE_FIELD_SEC_WEBSOCKET_VERSION: u32 = 97;
pub const SLUICE_FIELD_SEC_WEBSOCKET_PROTOCOL: u32 = 98;
pub const SLUICE_FIELD_SEC_WEBSOCKET_EXTENSIONS: u32 = 99;
pub const SLUICE_FIELD_SEC_FETCH_SITE: u32 = 100;
pub const SLUICE_FIELD_SEC_FETCH_MODE: u32 = 101;
pub const SLUICE_FIELD_SEC_FETCH_USER: u32 = 102;
pub const SLUICE_FIELD_SEC_FETCH_DEST: u32 = 103;
pub const SLUICE_FIELD_SEC_CH_UA: u32 = 104;
pub const SLUICE_FIELD_SEC_CH_UA_MOBILE: u32 = 105;
pub const SLUICE_FIELD_SEC_CH_UA_PLATFORM: u32 = 106;
pub const SLUICE_FIELD_UPGRADE_INSECURE_REQUESTS: u32 = 107;
pub const SLUICE_FIELD_PRIORITY: u32 = 108;
pub const SLUICE_FIELD_DNT: u32 = 109;
pub const SLUICE_FIELD_MAX_FORWARDS: u32 = 110;
pub const SLUICE_FIELD_FROM: u32 = 111;
pub const SLUICE_FIELD_GRPC_STATUS: u32 = 112;
pub const SLUICE_FIELD_GRPC_MESSAGE: u32 = 113;
pub const SLUICE_FIELD_GRPC_TIMEOUT: u32 = 114;
pub const SLUICE_FIELD_GRPC_ENCODING: u32 = 115;
pub const SLUICE_FIELD_GRPC_ACCEPT_ENCODING: u32 = 116;
pub const SLUICE_FIELD_SERVER_TIMING: u32 = 117;
pub const SLUICE_FIELD_ACCEPT_CHARSET: u32 = 118;
pub const SLUICE_FIELD_CONTENT_DIGEST: u32 = 119;
pub const SLUICE_FIELD_EARLY_DATA: u32 = 120;
pub const SLUICE_FIELD_X_POWERED_BY: u32 = 121;
pub const SLUICE_FIELD_X_CACHE: u32 = 122;
pub const SLUICE_FIELD_SEC_GPC: u32 = 123;
pub const SLUICE_FIELD_COUNT: u32 = 128;

/// :method, :path ...; always first in the list
pub const SLUICE_FIELD_FLAG_PSEUDO: u32 = 1;
/// a field of the same known id comes before
pub const SLUICE_FIELD_FLAG_REPEATED: u32 = 2;
/// credentials: never log the value
pub const SLUICE_FIELD_FLAG_SENSITIVE: u32 = 4;

/// One field. Names are lower case. Lifetime: until the hook returns.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_field {
    pub name: *const u8,
    pub value: *const u8,
    pub name_len: u32,
    pub value_len: u32,
    pub id: u16,
    pub flags: u16,
    pub reserved: u32,
}

impl sluice_field {
    /// All zeroes.
    pub const INIT: Self = Self {
        name: std::ptr::null(),
        value: std::ptr::null(),
        name_len: 0,
        value_len: 0,
        id: 0,
        flags: 0,
        reserved: 0,
    };
}

/// All fields of one message.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_headers {
    pub size: u32,
    pub epoch: u32,
    pub count: u32,
    pub status: u32,
    pub fields: *const sluice_field,
    pub known_bits: [u64; 2],
    pub known_index: [u16; 128],
    pub reserved: [u64; 4],
}

impl sluice_headers {
    /// All zeroes, with `size` set.
    pub const INIT: Self = Self {
        size: std::mem::size_of::<Self>() as u32,
        epoch: 0,
        count: 0,
        status: 0,
        fields: std::ptr::null(),
        known_bits: [0; 2],
        known_index: [0; 128],
        reserved: [0; 4],
    };
}

/// remove all fields of this name, then append one
pub const SLUICE_EDIT_SET: u32 = 1;
/// append a field, leave those of the same name
pub const SLUICE_EDIT_APPEND: u32 = 2;
/// append only when there is none of this name
pub const SLUICE_EDIT_ADD_IF_ABSENT: u32 = 3;
/// remove all fields of this name
pub const SLUICE_EDIT_REMOVE: u32 = 4;
/// remove all fields whose name begins so
pub const SLUICE_EDIT_REMOVE_PREFIX: u32 = 5;
/// `value`: a token
pub const SLUICE_EDIT_SET_METHOD: u32 = 6;
/// `value`: path and query, begins with '/'
pub const SLUICE_EDIT_SET_PATH: u32 = 7;
/// `value`: replaces Host
pub const SLUICE_EDIT_SET_AUTHORITY: u32 = 8;
/// `id`: 200 to 599
pub const SLUICE_EDIT_SET_STATUS: u32 = 9;

/// One edit. The field is named by `id` (1 to 127) or, when `id` is 0, by `name` in any case.
/// `name` and `value` must stay valid until the hook returned; the host copies them then.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_edit {
    pub op: u32,
    pub id: u32,
    pub name: sluice_slice,
    pub value: sluice_slice,
}

impl sluice_edit {
    /// All zeroes.
    pub const INIT: Self = Self {
        op: 0,
        id: 0,
        name: sluice_slice::INIT,
        value: sluice_slice::INIT,
    };
}

/// Where a hook puts its edits: `ops\[count++\]`, up to `capacity`. The host owns the memory.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_edits {
    pub size: u32,
    pub count: u32,
    pub capacity: u32,
    pub reserved: u32,
    pub ops: *mut sluice_edit,
}

impl sluice_edits {
    /// All zeroes, with `size` set.
    pub const INIT: Self = Self {
        size: std::mem::size_of::<Self>() as u32,
        count: 0,
        capacity: 0,
        reserved: 0,
        ops: std::ptr::null_mut(),
    };
}

// ---------------------------------------------------------------- sluice/body.h

/// The body ends with this chunk, which may be empty. After MORE or SUSPEND it is given
/// again, until the hook returns CONTINUE; then no more.
pub const SLUICE_BODY_EOS: u32 = 1;
/// No more is there for now, and it may be long: give out all that can be given, or an event
/// stream stalls. Keep only what has no meaning without the bytes behind it. It comes with
/// the last bytes that were there, or with no bytes; between two packets, too.
pub const SLUICE_BODY_FLUSH: u32 = 2;
/// The whole body at once, as `buffer_max` asked. Comes with EOS.
pub const SLUICE_BODY_WHOLE: u32 = 4;

/// A chunk. Lifetime: hook.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_body_in {
    pub size: u32,
    pub flags: u32,
    pub data: sluice_slice,
    pub offset: u64,
    pub trailers: *const sluice_headers,
    pub reserved: [u64; 4],
}

impl sluice_body_in {
    /// All zeroes, with `size` set.
    pub const INIT: Self = Self {
        size: std::mem::size_of::<Self>() as u32,
        flags: 0,
        data: sluice_slice::INIT,
        offset: 0,
        trailers: std::ptr::null(),
        reserved: [0; 4],
    };
}

/// What goes on. The functions only note what is wanted: it happens when the hook has
/// returned CONTINUE, MORE, SUSPEND or DETACH, and not at all when it failed. Lifetime: hook.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_body_out {
    pub size: u32,
    pub replaces: u32,
    pub consumed: u64,
    pub credit: u64,
    pub context: *mut c_void,
    pub push: Option<unsafe extern "C" fn(out: *mut sluice_body_out, bytes: sluice_slice) -> i32>,
    pub pass: Option<unsafe extern "C" fn(out: *mut sluice_body_out, offset: u64, length: u64) ->
        i32>,
    pub push_buf: Option<unsafe extern "C" fn(out: *mut sluice_body_out, buf: *mut sluice_buf) ->
        i32>,
    pub reserve: Option<unsafe extern "C" fn(out: *mut sluice_body_out, to: *mut *mut u8, capacity:
        *mut u64) -> i32>,
    pub commit: Option<unsafe extern "C" fn(out: *mut sluice_body_out, length: u64) -> i32>,
    pub reserved: [u64; 4],
}

impl sluice_body_out {
    /// All zeroes, with `size` set.
    pub const INIT: Self = Self {
        size: std::mem::size_of::<Self>() as u32,
        replaces: 0,
        consumed: 0,
        credit: 0,
        context: std::ptr::null_mut(),
        push: None,
        pass: None,
        push_buf: None,
        reserve: None,
        commit: None,
        reserved: [0; 4],
    };
}

// ---------------------------------------------------------------- sluice/http.h

/// the head is parsed and checked
pub const SLUICE_PHASE_REQUEST_HEADERS: u32 = 0;
/// reserved: the cache role
pub const SLUICE_PHASE_CACHE_LOOKUP: u32 = 1;
/// each chunk of the request's body
pub const SLUICE_PHASE_REQUEST_BODY: u32 = 2;
/// reserved: the balancer role
pub const SLUICE_PHASE_UPSTREAM_SELECT: u32 = 3;
/// per attempt, before the head is written
pub const SLUICE_PHASE_UPSTREAM_REQUEST: u32 = 4;
/// per attempt, when it has a response's head or failed
pub const SLUICE_PHASE_UPSTREAM_RESULT: u32 = 5;
/// the origin's head, before a cache would store it
pub const SLUICE_PHASE_UPSTREAM_RESPONSE: u32 = 6;
/// each chunk of the origin's body, likewise
pub const SLUICE_PHASE_UPSTREAM_BODY: u32 = 7;
/// before the head goes to the client
pub const SLUICE_PHASE_RESPONSE_HEADERS: u32 = 8;
/// each chunk of what the client gets
pub const SLUICE_PHASE_RESPONSE_BODY: u32 = 9;
/// before an error of the host or a plugin is sent
pub const SLUICE_PHASE_LOCAL_REPLY: u32 = 10;
/// exactly once, whatever the outcome
pub const SLUICE_PHASE_REQUEST_END: u32 = 11;
pub const SLUICE_PHASE_COUNT: u32 = 12;

pub const SLUICE_CONTINUE: u32 = 0;
/// answer from `args->reply`; not after the response head was sent
pub const SLUICE_RESPOND: u32 = 1;
/// wait; `suspend` of `sluice.http/1` was called before
pub const SLUICE_SUSPEND: u32 = 2;
/// response_headers only: keep the head until the body hook lets it go
pub const SLUICE_HOLD: u32 = 3;
/// CONTINUE, and no further hook of this plugin but `request_end`
pub const SLUICE_DETACH: u32 = 4;
/// cut the connection without an answer
pub const SLUICE_RESET: u32 = 5;
/// body hooks only: call again with the rest when there is room
pub const SLUICE_MORE: u32 = 6;
/// failed; `args->error_code` may say why; `on_error` decides
pub const SLUICE_ERROR: u32 = 7;

/// no body follows this head
pub const SLUICE_ARGS_EOS: u32 = 1;
/// a request that the host made itself
pub const SLUICE_ARGS_INTERNAL: u32 = 2;
/// the response was made by the host or a plugin
pub const SLUICE_ARGS_LOCAL: u32 = 4;
/// this plugin holds the response's head: `edits` apply to it
pub const SLUICE_ARGS_HELD: u32 = 8;

/// by `resume`
pub const SLUICE_RESUMED: u32 = 1;
/// the time is over
pub const SLUICE_RESUME_DEADLINE: u32 = 2;
/// by `wake` of `sluice.waitset/1`
pub const SLUICE_RESUME_WOKEN: u32 = 3;

/// `body_policy`, `body_length`: in request_headers for the request's body; in
/// upstream_response and response_headers for the response's.
pub const SLUICE_ASK_BODY_POLICY: u32 = 1;
/// `buffer_max`, `buffer_overflow`: in the same phases: the plugin's body hook (request_body;
/// upstream_body; response_body) gets the whole body in one call.
pub const SLUICE_ASK_BUFFER: u32 = 2;
/// `interest`: in any phase: of this plugin's later hooks only those in the mask are called
/// for this request, and request_end in any case. Never widens.
pub const SLUICE_ASK_INTEREST: u32 = 4;
/// In a body hook while it holds the head: let it go, with the edits of this call.
pub const SLUICE_ASK_RELEASE: u32 = 8;

/// the length stays
pub const SLUICE_BODY_SAME: u32 = 0;
/// known only at the end
pub const SLUICE_BODY_UNKNOWN: u32 = 1;
/// `body_length` bytes
pub const SLUICE_BODY_EXACT: u32 = 2;
/// no body at all
pub const SLUICE_BODY_DROP: u32 = 3;

/// a request: 413; a response: 502, or cut when its head is out
pub const SLUICE_OVERFLOW_REFUSE: u32 = 0;
/// in chunks after all, the first of them what was kept
pub const SLUICE_OVERFLOW_STREAM: u32 = 1;

/// a response's head came; `status` has it
pub const SLUICE_ATTEMPT_RESPONSE: u32 = 0;
/// no connection
pub const SLUICE_ATTEMPT_CONNECT: u32 = 1;
/// no connection or no response in time
pub const SLUICE_ATTEMPT_TIMEOUT: u32 = 2;
/// the connection ended before a response
pub const SLUICE_ATTEMPT_CLOSED: u32 = 3;
/// the response breaks HTTP
pub const SLUICE_ATTEMPT_MALFORMED: u32 = 4;
/// given up for another one beside it: no fault of the peer
pub const SLUICE_ATTEMPT_ABANDONED: u32 = 5;

pub const SLUICE_HTTP_1_0: u32 = 10;
pub const SLUICE_HTTP_1_1: u32 = 11;
pub const SLUICE_HTTP_2: u32 = 20;

/// the whole response was written
pub const SLUICE_OUTCOME_COMPLETE: u32 = 0;
/// the client closed or timed out
pub const SLUICE_OUTCOME_CLIENT_GONE: u32 = 1;
/// the origin failed after the response had begun
pub const SLUICE_OUTCOME_UPSTREAM_CUT: u32 = 2;
/// a plugin's verdict
pub const SLUICE_OUTCOME_RESET: u32 = 3;
/// the request was refused by the parser
pub const SLUICE_OUTCOME_MALFORMED: u32 = 4;

/// opaque: one request, owned by a worker
#[repr(C)]
pub struct sluice_req {
    _private: [u8; 0],
}

/// What is known of a client's TLS connection. Lifetime: hook. Text is ASCII.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_tls_facts {
    pub size: u32,
    pub version: u32,
    pub cipher: sluice_slice,
    pub server_name: sluice_slice,
    pub alpn: sluice_slice,
    pub client_subject: sluice_slice,
    pub client_fingerprint: sluice_slice,
    pub is_resumed: u32,
    pub is_early_data: u32,
    pub reserved: [u64; 8],
}

impl sluice_tls_facts {
    /// All zeroes, with `size` set.
    pub const INIT: Self = Self {
        size: std::mem::size_of::<Self>() as u32,
        version: 0,
        cipher: sluice_slice::INIT,
        server_name: sluice_slice::INIT,
        alpn: sluice_slice::INIT,
        client_subject: sluice_slice::INIT,
        client_fingerprint: sluice_slice::INIT,
        is_resumed: 0,
        is_early_data: 0,
        reserved: [0; 8],
    };
}

/// What is known of a request besides its fields. Lifetime: hook. Text is ASCII. Times are
/// nanoseconds of CLOCK_MONOTONIC, 0 where the event has not happened.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_facts {
    pub size: u32,
    pub http_version: u32,
    pub request_number: u64,
    pub client_address: sluice_slice,
    pub local_address: sluice_slice,
    pub route: sluice_slice,
    pub upstream: sluice_slice,
    pub peer: sluice_slice,
    pub client_ip: [u8; 16],
    pub client_family: u32,
    pub client_port: u32,
    pub attempt: u32,
    pub secure: u32,
    pub status: u32,
    pub outcome: u32,
    pub time_start: u64,
    pub time_now: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub time_connected: u64,
    pub time_first_byte: u64,
    pub attempt_result: u32,
    pub is_reused: u32,
    pub tls: *const sluice_tls_facts,
    pub cache_status: u32,
    pub connection_requests: u32,
    pub connection_number: u64,
    pub answered_by: sluice_slice,
    pub reason: sluice_slice,
    pub head_bytes_in: u32,
    pub head_bytes_out: u32,
    pub time_attempt: u64,
}

impl sluice_facts {
    /// All zeroes, with `size` set.
    pub const INIT: Self = Self {
        size: std::mem::size_of::<Self>() as u32,
        http_version: 0,
        request_number: 0,
        client_address: sluice_slice::INIT,
        local_address: sluice_slice::INIT,
        route: sluice_slice::INIT,
        upstream: sluice_slice::INIT,
        peer: sluice_slice::INIT,
        client_ip: [0; 16],
        client_family: 0,
        client_port: 0,
        attempt: 0,
        secure: 0,
        status: 0,
        outcome: 0,
        time_start: 0,
        time_now: 0,
        bytes_in: 0,
        bytes_out: 0,
        time_connected: 0,
        time_first_byte: 0,
        attempt_result: 0,
        is_reused: 0,
        tls: std::ptr::null(),
        cache_status: 0,
        connection_requests: 0,
        connection_number: 0,
        answered_by: sluice_slice::INIT,
        reason: sluice_slice::INIT,
        head_bytes_in: 0,
        head_bytes_out: 0,
        time_attempt: 0,
    };
}

/// A response made by a plugin. The hook sets `status` (200 to 599) and may set `body` and
/// add edits of fields; the host adds Content-Length and Date. `body` must stay valid for the
/// instance, or be memory of `request_alloc`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_reply {
    pub size: u32,
    pub status: u32,
    pub body: sluice_slice,
    pub edits: *mut sluice_edits,
    pub reserved: [u64; 4],
}

impl sluice_reply {
    /// All zeroes, with `size` set.
    pub const INIT: Self = Self {
        size: std::mem::size_of::<Self>() as u32,
        status: 0,
        body: sluice_slice::INIT,
        edits: std::ptr::null_mut(),
        reserved: [0; 4],
    };
}

/// What a hook gets. Lifetime of everything in it: hook, unless said otherwise.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_args {
    pub size: u32,
    pub phase: u32,
    pub flags: u32,
    pub error_code: u32,
    pub headers: *const sluice_headers,
    pub request_headers: *const sluice_headers,
    pub facts: *const sluice_facts,
    pub edits: *mut sluice_edits,
    pub reply: *mut sluice_reply,
    pub body_in: *mut sluice_body_in,
    pub body_out: *mut sluice_body_out,
    pub asks: u64,
    pub interest: u64,
    pub body_policy: u32,
    pub buffer_overflow: u32,
    pub body_length: u64,
    pub buffer_max: u64,
    pub resume_reason: u32,
    pub reserved0: u32,
    pub resume_payload: u64,
    pub reserved: [u64; 4],
}

impl sluice_args {
    /// All zeroes, with `size` set.
    pub const INIT: Self = Self {
        size: std::mem::size_of::<Self>() as u32,
        phase: 0,
        flags: 0,
        error_code: 0,
        headers: std::ptr::null(),
        request_headers: std::ptr::null(),
        facts: std::ptr::null(),
        edits: std::ptr::null_mut(),
        reply: std::ptr::null_mut(),
        body_in: std::ptr::null_mut(),
        body_out: std::ptr::null_mut(),
        asks: 0,
        interest: 0,
        body_policy: 0,
        buffer_overflow: 0,
        body_length: 0,
        buffer_max: 0,
        resume_reason: 0,
        reserved0: 0,
        resume_payload: 0,
        reserved: [0; 4],
    };
}

/// A hook. `instance` and `slot` are what `create` and `worker_start` gave; `context` is
/// `context_size` bytes of the plugin's own for this request, zeroed at its start. Returns a
/// verdict. Must not block. \[worker\]
pub type sluice_hook = unsafe extern "C" fn(instance: *mut c_void, slot: *mut c_void, request: *mut
    sluice_req, context: *mut c_void, args: *mut sluice_args) -> u32;

/// The hooks of an instance; NULL = not interested, and costs nothing. Lifetime: instance.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_http_hooks {
    pub size: u32,
    pub flags: u32,
    pub request_headers: Option<sluice_hook>,
    pub cache_lookup: Option<sluice_hook>,
    pub request_body: Option<sluice_hook>,
    pub upstream_select: Option<sluice_hook>,
    pub upstream_request: Option<sluice_hook>,
    pub upstream_result: Option<sluice_hook>,
    pub upstream_response: Option<sluice_hook>,
    pub upstream_body: Option<sluice_hook>,
    pub response_headers: Option<sluice_hook>,
    pub response_body: Option<sluice_hook>,
    pub local_reply: Option<sluice_hook>,
    pub request_end: Option<sluice_hook>,
    pub resumed: Option<sluice_hook>,
    pub reserved: [Option<sluice_hook>; 7],
}

impl sluice_http_hooks {
    /// All zeroes, with `size` set.
    pub const INIT: Self = Self {
        size: std::mem::size_of::<Self>() as u32,
        flags: 0,
        request_headers: None,
        cache_lookup: None,
        request_body: None,
        upstream_select: None,
        upstream_request: None,
        upstream_result: None,
        upstream_response: None,
        upstream_body: None,
        response_headers: None,
        response_body: None,
        local_reply: None,
        request_end: None,
        resumed: None,
        reserved: [None; 7],
    };
}

// Safe: a table of functions, and reserved words that are zero.
unsafe impl Sync for sluice_http_hooks {}

// ---------------------------------------------------------------- sluice/host.h

pub const SLUICE_LOG_ERROR: u32 = 1;
pub const SLUICE_LOG_WARN: u32 = 2;
pub const SLUICE_LOG_INFO: u32 = 3;
pub const SLUICE_LOG_DEBUG: u32 = 4;

/// only grows
pub const SLUICE_METRIC_COUNTER: u32 = 1;
/// is set, or goes up and down
pub const SLUICE_METRIC_GAUGE: u32 = 2;
/// counts observations by bucket
pub const SLUICE_METRIC_HISTOGRAM: u32 = 3;

pub const SLUICE_METRIC_LABELS_MAX: u32 = 8;
pub const SLUICE_METRIC_BUCKETS_MAX: u32 = 64;
pub const SLUICE_METRIC_SERIES_MAX: u32 = 10000;

/// Which worker: its index, or all of them.
pub const SLUICE_WORKER_ALL: u32 = 4294967295;

/// The host's handle of one instance, given to `create`; passed back in calls. Lifetime:
/// process.
#[repr(C)]
pub struct sluice_host {
    _private: [u8; 0],
}

/// A metric. Lifetime: call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_metric {
    pub size: u32,
    pub kind: u32,
    pub name: sluice_slice,
    pub help: sluice_slice,
    pub labels: *const sluice_slice,
    pub label_count: u32,
    pub series_max: u32,
    pub buckets: *const f64,
    pub bucket_count: u32,
    pub reserved0: u32,
    pub reserved: [u64; 4],
}

impl sluice_metric {
    /// All zeroes, with `size` set.
    pub const INIT: Self = Self {
        size: std::mem::size_of::<Self>() as u32,
        kind: 0,
        name: sluice_slice::INIT,
        help: sluice_slice::INIT,
        labels: std::ptr::null(),
        label_count: 0,
        series_max: 0,
        buckets: std::ptr::null(),
        bucket_count: 0,
        reserved0: 0,
        reserved: [0; 4],
    };
}

/// Work on a worker: `slot` is the worker's. \[worker\]
pub type sluice_task = unsafe extern "C" fn(instance: *mut c_void, slot: *mut c_void, context: *mut
    c_void);

pub const SLUICE_CORE_ID: &str = "sluice.core/1";
/// The same with a NUL, as C passes it.
pub const SLUICE_CORE_ID_C: &str = concat!("sluice.core/1", "\0");

/// `sluice.core/1`. Lifetime: process.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_core {
    pub size: u32,
    pub reserved0: u32,
    pub log: Option<unsafe extern "C" fn(host: *const sluice_host, level: u32, message:
        sluice_slice)>,
    pub log_pairs: Option<unsafe extern "C" fn(host: *const sluice_host, level: u32, message:
        sluice_slice, pairs: *const sluice_pair, count: u32)>,
    pub log_level: Option<unsafe extern "C" fn(host: *const sluice_host) -> u32>,
    pub now: Option<unsafe extern "C" fn(host: *const sluice_host) -> u64>,
    pub wall_clock: Option<unsafe extern "C" fn(host: *const sluice_host) -> u64>,
    pub random: Option<unsafe extern "C" fn(host: *const sluice_host) -> u64>,
    pub request_alloc: Option<unsafe extern "C" fn(request: *mut sluice_req, length: u64) -> *mut
        c_void>,
    pub buf_new: Option<unsafe extern "C" fn(host: *const sluice_host, capacity: u64) -> *mut
        sluice_buf>,
    pub buf_wrap: Option<unsafe extern "C" fn(host: *const sluice_host, bytes: sluice_slice, free:
        Option<unsafe extern "C" fn(context: *mut c_void)>, context: *mut c_void) -> *mut
        sluice_buf>,
    pub buf_slice: Option<unsafe extern "C" fn(buf: *mut sluice_buf, offset: u64, length: u64) ->
        *mut sluice_buf>,
    pub buf_retain: Option<unsafe extern "C" fn(buf: *mut sluice_buf)>,
    pub buf_release: Option<unsafe extern "C" fn(buf: *mut sluice_buf)>,
    pub metric_define: Option<unsafe extern "C" fn(host: *const sluice_host, metric: *const
        sluice_metric, id: *mut u32, error: *mut sluice_errbuf) -> i32>,
    pub metric_series: Option<unsafe extern "C" fn(id: u32, values: *const sluice_slice, count: u32,
        series: *mut u32) -> i32>,
    pub metric_add: Option<unsafe extern "C" fn(series: u32, value: i64)>,
    pub metric_set: Option<unsafe extern "C" fn(series: u32, value: i64)>,
    pub metric_observe: Option<unsafe extern "C" fn(series: u32, value: f64)>,
    pub attr_key: Option<unsafe extern "C" fn(host: *const sluice_host, name: sluice_slice, type_:
        u32, key: *mut u32) -> i32>,
    pub timer_set: Option<unsafe extern "C" fn(host: *const sluice_host, delay_ns: u64, period_ns:
        u64, task: Option<sluice_task>, context: *mut c_void, timer: *mut sluice_token) -> i32>,
    pub timer_cancel: Option<unsafe extern "C" fn(host: *const sluice_host, timer: *const
        sluice_token) -> i32>,
    pub post: Option<unsafe extern "C" fn(host: *const sluice_host, worker: u32, task:
        Option<sluice_task>, context: *mut c_void) -> i32>,
    pub offload: Option<unsafe extern "C" fn(host: *const sluice_host, work: Option<unsafe extern
        "C" fn(instance: *mut c_void, context: *mut c_void)>, done: Option<sluice_task>, context:
        *mut c_void) -> i32>,
    pub reserved: [*mut c_void; 38],
}

impl sluice_core {
    /// All zeroes, with `size` set.
    pub const INIT: Self = Self {
        size: std::mem::size_of::<Self>() as u32,
        reserved0: 0,
        log: None,
        log_pairs: None,
        log_level: None,
        now: None,
        wall_clock: None,
        random: None,
        request_alloc: None,
        buf_new: None,
        buf_wrap: None,
        buf_slice: None,
        buf_retain: None,
        buf_release: None,
        metric_define: None,
        metric_series: None,
        metric_add: None,
        metric_set: None,
        metric_observe: None,
        attr_key: None,
        timer_set: None,
        timer_cancel: None,
        post: None,
        offload: None,
        reserved: [std::ptr::null_mut(); 38],
    };
}

// Safe: a table of functions, and reserved words that are zero.
unsafe impl Sync for sluice_core {}

// ---------------------------------------------------------------- sluice/request.h

pub const SLUICE_ATTR_U64: u32 = 1;
pub const SLUICE_ATTR_BYTES: u32 = 2;

pub const SLUICE_SLOW_HOOKS_MAX: u32 = 16;

/// A call of a hook that took long: from its begin to its last verdict, the waits that it
/// began included, and in them whatever it waited for, as a callout or offloaded work. Times
/// are nanoseconds of CLOCK_MONOTONIC. Lifetime: hook.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_slow_hook {
    pub instance: sluice_slice,
    pub phase: u32,
    pub waits: u32,
    pub start: u64,
    pub end: u64,
    pub busy: u64,
    pub reserved: [u64; 2],
}

impl sluice_slow_hook {
    /// All zeroes.
    pub const INIT: Self = Self {
        instance: sluice_slice::INIT,
        phase: 0,
        waits: 0,
        start: 0,
        end: 0,
        busy: 0,
        reserved: [0; 2],
    };
}

pub const SLUICE_HTTP_ID: &str = "sluice.http/1";
/// The same with a NUL, as C passes it.
pub const SLUICE_HTTP_ID_C: &str = concat!("sluice.http/1", "\0");

/// `sluice.http/1`. Lifetime: process.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_http {
    pub size: u32,
    pub reserved0: u32,
    pub suspend: Option<unsafe extern "C" fn(request: *mut sluice_req, timeout_ns: u64, token: *mut
        sluice_token) -> i32>,
    pub resume: Option<unsafe extern "C" fn(token: *const sluice_token, payload: u64) -> i32>,
    pub attr_set_u64: Option<unsafe extern "C" fn(request: *mut sluice_req, key: u32, value: u64) ->
        i32>,
    pub attr_set_bytes: Option<unsafe extern "C" fn(request: *mut sluice_req, key: u32, value:
        sluice_slice) -> i32>,
    pub attr_get_u64: Option<unsafe extern "C" fn(request: *mut sluice_req, key: u32, value: *mut
        u64) -> i32>,
    pub attr_get_bytes: Option<unsafe extern "C" fn(request: *mut sluice_req, key: u32, value: *mut
        sluice_slice) -> i32>,
    pub set_hash_key: Option<unsafe extern "C" fn(request: *mut sluice_req, key: sluice_slice) ->
        i32>,
    pub watch_hooks: Option<unsafe extern "C" fn(request: *mut sluice_req, threshold_ns: u64) ->
        i32>,
    pub slow_hooks: Option<unsafe extern "C" fn(request: *mut sluice_req, hooks: *mut *const
        sluice_slow_hook) -> u32>,
    pub reserved: [*mut c_void; 21],
}

impl sluice_http {
    /// All zeroes, with `size` set.
    pub const INIT: Self = Self {
        size: std::mem::size_of::<Self>() as u32,
        reserved0: 0,
        suspend: None,
        resume: None,
        attr_set_u64: None,
        attr_set_bytes: None,
        attr_get_u64: None,
        attr_get_bytes: None,
        set_hash_key: None,
        watch_hooks: None,
        slow_hooks: None,
        reserved: [std::ptr::null_mut(); 21],
    };
}

// Safe: a table of functions, and reserved words that are zero.
unsafe impl Sync for sluice_http {}

// ---------------------------------------------------------------- sluice/plugin.h

/// An instance: one entry of the manifest's `plugins`. Filled by the plugin, read by the
/// host.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_instance {
    pub size: u32,
    pub context_size: u32,
    pub state: *mut c_void,
    pub hooks: *const sluice_http_hooks,
    pub get_extension: Option<unsafe extern "C" fn(instance: *mut c_void, id: *const c_char) ->
        *const c_void>,
    pub worker_start: Option<unsafe extern "C" fn(instance: *mut c_void, worker_index: u32) -> *mut
        c_void>,
    pub worker_stop: Option<unsafe extern "C" fn(instance: *mut c_void, slot: *mut c_void)>,
    pub destroy: Option<unsafe extern "C" fn(instance: *mut c_void)>,
    pub export_state: Option<unsafe extern "C" fn(instance: *mut c_void, sink: *const sluice_sink,
        error: *mut sluice_errbuf) -> i32>,
    pub import_state: Option<unsafe extern "C" fn(instance: *mut c_void, state: sluice_slice, error:
        *mut sluice_errbuf) -> i32>,
    pub worker_drain: Option<unsafe extern "C" fn(instance: *mut c_void, slot: *mut c_void)>,
    pub reopen_logs: Option<unsafe extern "C" fn(instance: *mut c_void)>,
    pub reserved: [*mut c_void; 8],
}

impl sluice_instance {
    /// All zeroes, with `size` set.
    pub const INIT: Self = Self {
        size: std::mem::size_of::<Self>() as u32,
        context_size: 0,
        state: std::ptr::null_mut(),
        hooks: std::ptr::null(),
        get_extension: None,
        worker_start: None,
        worker_stop: None,
        destroy: None,
        export_state: None,
        import_state: None,
        worker_drain: None,
        reopen_logs: None,
        reserved: [std::ptr::null_mut(); 8],
    };
}

/// What `create` is given. `name` and `config`: instance.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_create_args {
    pub size: u32,
    pub worker_count: u32,
    pub host: *const sluice_host,
    pub name: sluice_slice,
    pub config: *const sluice_value,
    pub folder: sluice_slice,
    pub reserved: [u64; 4],
}

impl sluice_create_args {
    /// All zeroes, with `size` set.
    pub const INIT: Self = Self {
        size: std::mem::size_of::<Self>() as u32,
        worker_count: 0,
        host: std::ptr::null(),
        name: sluice_slice::INIT,
        config: std::ptr::null(),
        folder: sluice_slice::INIT,
        reserved: [0; 4],
    };
}

/// The factory. Lifetime: process.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_factory {
    pub size: u32,
    pub reserved0: u32,
    pub check_config: Option<unsafe extern "C" fn(config: *const sluice_value, error: *mut
        sluice_errbuf) -> i32>,
    pub create: Option<unsafe extern "C" fn(args: *const sluice_create_args, out: *mut
        sluice_instance, error: *mut sluice_errbuf) -> i32>,
    pub reserved: [*mut c_void; 6],
}

impl sluice_factory {
    /// All zeroes, with `size` set.
    pub const INIT: Self = Self {
        size: std::mem::size_of::<Self>() as u32,
        reserved0: 0,
        check_config: None,
        create: None,
        reserved: [std::ptr::null_mut(); 6],
    };
}

// Safe: a table of functions, and reserved words that are zero.
unsafe impl Sync for sluice_factory {}

// ---------------------------------------------------------------- sluice/hello.h

pub const SLUICE_HELLO_SYMBOL: &str = "sluice_plugin_hello_v0";
/// The same with a NUL, as C passes it.
pub const SLUICE_HELLO_SYMBOL_C: &str = concat!("sluice_plugin_hello_v0", "\0");

/// What the host says. Lifetime: process.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_host_hello {
    pub size: u32,
    pub abi_minor: u32,
    pub features: u64,
    pub host_name: sluice_slice,
    pub host_version: sluice_slice,
    pub get_extension: Option<unsafe extern "C" fn(id: *const c_char) -> *const c_void>,
    pub reserved: [u64; 4],
}

impl sluice_host_hello {
    /// All zeroes, with `size` set.
    pub const INIT: Self = Self {
        size: std::mem::size_of::<Self>() as u32,
        abi_minor: 0,
        features: 0,
        host_name: sluice_slice::INIT,
        host_version: sluice_slice::INIT,
        get_extension: None,
        reserved: [0; 4],
    };
}

/// What the plugin answers. Everything it points to: process.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_plugin_hello {
    pub size: u32,
    pub abi_minor: u32,
    pub flags: u64,
    pub id: sluice_slice,
    pub version: sluice_slice,
    pub description: sluice_slice,
    pub factory: *const sluice_factory,
    pub required: *const *const c_char,
    pub roles: *const *const c_char,
    pub hooks_mask: u64,
    pub reserved: [u64; 5],
}

impl sluice_plugin_hello {
    /// All zeroes, with `size` set.
    pub const INIT: Self = Self {
        size: std::mem::size_of::<Self>() as u32,
        abi_minor: 0,
        flags: 0,
        id: sluice_slice::INIT,
        version: sluice_slice::INIT,
        description: sluice_slice::INIT,
        factory: std::ptr::null(),
        required: std::ptr::null(),
        roles: std::ptr::null(),
        hooks_mask: 0,
        reserved: [0; 5],
    };
}

/// Fills `out` (zeroed by the host, `size` set) and returns SLUICE_OK. Called once per load.
/// \[control\]
pub type sluice_plugin_hello_fn = unsafe extern "C" fn(host: *const sluice_host_hello, out: *mut
    sluice_plugin_hello) -> i32;

// ---------------------------------------------------------------- sluice/descriptor.h

pub const SLUICE_DESCRIPTOR_SECTION: &str = "sluice_descriptor";
/// The same with a NUL, as C passes it.
pub const SLUICE_DESCRIPTOR_SECTION_C: &str = concat!("sluice_descriptor", "\0");

/// Bytes of JSON that the host reads.
pub const SLUICE_DESCRIPTOR_BYTES_MAX: u32 = 65536;

// ---------------------------------------------------------------- sluice/ext/balancer.h

pub const SLUICE_LB_ID: &str = "sluice.lb/1";
/// The same with a NUL, as C passes it.
pub const SLUICE_LB_ID_C: &str = concat!("sluice.lb/1", "\0");

/// Host-owned counters of a peer. Read with relaxed atomic loads; never write.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_peer_load {
    pub in_flight: u64,
    pub latency_ewma_ns: u64,
    pub failures: u64,
    pub health: u64,
    pub reserved: [u64; 4],
}

impl sluice_peer_load {
    /// All zeroes.
    pub const INIT: Self = Self {
        in_flight: 0,
        latency_ewma_ns: 0,
        failures: 0,
        health: 0,
        reserved: [0; 4],
    };
}

/// One peer. Lifetime: the set.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_peer {
    pub id: u64,
    pub address: sluice_slice,
    pub weight: u32,
    pub priority: u32,
    pub load: *const sluice_peer_load,
    pub meta: *const sluice_value,
    pub reserved: [u64; 4],
}

impl sluice_peer {
    /// All zeroes.
    pub const INIT: Self = Self {
        id: 0,
        address: sluice_slice::INIT,
        weight: 0,
        priority: 0,
        load: std::ptr::null(),
        meta: std::ptr::null(),
        reserved: [0; 4],
    };
}

/// The peers of one upstream, 1 to 65535. Lifetime: until `drop` of the table built from it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_peer_set {
    pub size: u32,
    pub count: u32,
    pub version: u64,
    pub upstream: sluice_slice,
    pub peers: *const sluice_peer,
    pub worker_count: u32,
    pub reserved0: u32,
    pub reserved: [u64; 4],
}

impl sluice_peer_set {
    /// All zeroes, with `size` set.
    pub const INIT: Self = Self {
        size: std::mem::size_of::<Self>() as u32,
        count: 0,
        version: 0,
        upstream: sluice_slice::INIT,
        peers: std::ptr::null(),
        worker_count: 0,
        reserved0: 0,
        reserved: [0; 4],
    };
}

pub const SLUICE_PICK_MAX: u32 = 8;

pub const SLUICE_PICK_OK: u32 = 0;
/// no peer may be used now: the host answers 503
pub const SLUICE_PICK_NONE: u32 = 1;

/// A request for a peer. Lifetime: call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_pick {
    pub size: u32,
    pub attempt: u32,
    pub worker_index: u32,
    pub has_hash: u32,
    pub hash_key: sluice_slice,
    pub tried: *const u64,
    pub headers: *const sluice_headers,
    pub count: u32,
    pub wanted: u32,
    pub candidates: [u32; SLUICE_PICK_MAX as usize],
    pub reserved: [u64; 4],
}

impl sluice_pick {
    /// All zeroes, with `size` set.
    pub const INIT: Self = Self {
        size: std::mem::size_of::<Self>() as u32,
        attempt: 0,
        worker_index: 0,
        has_hash: 0,
        hash_key: sluice_slice::INIT,
        tried: std::ptr::null(),
        headers: std::ptr::null(),
        count: 0,
        wanted: 0,
        candidates: [0; SLUICE_PICK_MAX as usize],
        reserved: [0; 4],
    };
}

/// The role's table. Lifetime: instance.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_lb {
    pub size: u32,
    pub flags: u32,
    pub build: Option<unsafe extern "C" fn(instance: *mut c_void, set: *const sluice_peer_set,
        error: *mut sluice_errbuf) -> *mut c_void>,
    pub drop: Option<unsafe extern "C" fn(instance: *mut c_void, table: *mut c_void)>,
    pub pick: Option<unsafe extern "C" fn(instance: *mut c_void, slot: *mut c_void, table: *mut
        c_void, pick: *mut sluice_pick) -> u32>,
    pub reserved: [*mut c_void; 8],
}

impl sluice_lb {
    /// All zeroes, with `size` set.
    pub const INIT: Self = Self {
        size: std::mem::size_of::<Self>() as u32,
        flags: 0,
        build: None,
        drop: None,
        pick: None,
        reserved: [std::ptr::null_mut(); 8],
    };
}

// Safe: a table of functions, and reserved words that are zero.
unsafe impl Sync for sluice_lb {}

// ---------------------------------------------------------------- sluice/ext/cache.h

pub const SLUICE_CACHE_ID: &str = "sluice.cache/1";
/// The same with a NUL, as C passes it.
pub const SLUICE_CACHE_ID_C: &str = concat!("sluice.cache/1", "\0");

pub const SLUICE_CACHE_BYPASS: u32 = 0;
pub const SLUICE_CACHE_MISS: u32 = 1;
pub const SLUICE_CACHE_HIT: u32 = 2;
pub const SLUICE_CACHE_STALE: u32 = 3;
/// `suspend` of `sluice.http/1` was called before; whoever has the token wakes the request.
pub const SLUICE_CACHE_WAIT: u32 = 4;
/// Likewise, and the host begins a request in the background. SLUICE_CACHE_AGAIN_REFUSED in
/// the next lookup says that it could not.
pub const SLUICE_CACHE_FETCH: u32 = 5;
pub const SLUICE_CACHE_RESPOND: u32 = 6;

pub const SLUICE_CACHE_PASS: u32 = 0;
/// not from `failed`
pub const SLUICE_CACHE_STORE: u32 = 1;
pub const SLUICE_CACHE_ANSWER: u32 = 2;

pub const SLUICE_CACHE_AGAIN_WOKEN: u32 = 1;
pub const SLUICE_CACHE_AGAIN_DEADLINE: u32 = 2;
/// the background request was not begun: a bound is reached
pub const SLUICE_CACHE_AGAIN_REFUSED: u32 = 3;

/// the route has no cache
pub const SLUICE_CACHE_STATUS_NONE: u32 = 0;
pub const SLUICE_CACHE_STATUS_BYPASS: u32 = 1;
pub const SLUICE_CACHE_STATUS_MISS: u32 = 2;
pub const SLUICE_CACHE_STATUS_HIT: u32 = 3;
pub const SLUICE_CACHE_STATUS_STALE: u32 = 4;
/// stored, after a 304
pub const SLUICE_CACHE_STATUS_REVALIDATED: u32 = 5;
/// stored, as the origin failed
pub const SLUICE_CACHE_STATUS_STALE_ERROR: u32 = 6;
/// a request in the background
pub const SLUICE_CACHE_STATUS_UPDATED: u32 = 7;

/// A piece of an answer's body: `text` (when its `ptr` is set), else a range of what is
/// stored.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_cache_part {
    pub text: sluice_slice,
    pub offset: u64,
    pub length: u64,
}

impl sluice_cache_part {
    /// All zeroes.
    pub const INIT: Self = Self {
        text: sluice_slice::INIT,
        offset: 0,
        length: 0,
    };
}

pub const SLUICE_CACHE_PARTS_MAX: u32 = 64;

/// What is served from the cache. The host makes Content-Length of the parts, or frames the
/// body itself when a part's length is unknown, adds Date when there is none, and leaves the
/// body out for HEAD, 204 and 304.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_cache_answer {
    pub size: u32,
    pub status: u32,
    pub fields: *const sluice_field,
    pub field_count: u32,
    pub more_count: u32,
    pub more: *const sluice_field,
    pub parts: *const sluice_cache_part,
    pub part_count: u32,
    pub cache_status: u32,
    pub content_length: u64,
    pub reader: *mut c_void,
    pub reserved: [u64; 4],
}

impl sluice_cache_answer {
    /// All zeroes, with `size` set.
    pub const INIT: Self = Self {
        size: std::mem::size_of::<Self>() as u32,
        status: 0,
        fields: std::ptr::null(),
        field_count: 0,
        more_count: 0,
        more: std::ptr::null(),
        parts: std::ptr::null(),
        part_count: 0,
        cache_status: 0,
        content_length: 0,
        reader: std::ptr::null_mut(),
        reserved: [0; 4],
    };
}

/// A lookup. Lifetime: call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_cache_lookup {
    pub size: u32,
    pub flags: u32,
    pub again: u32,
    pub cache_status: u32,
    pub headers: *const sluice_headers,
    pub facts: *const sluice_facts,
    pub edits: *mut sluice_edits,
    pub reply: *mut sluice_reply,
    pub answer: *mut sluice_cache_answer,
    pub reserved: [u64; 4],
}

impl sluice_cache_lookup {
    /// All zeroes, with `size` set.
    pub const INIT: Self = Self {
        size: std::mem::size_of::<Self>() as u32,
        flags: 0,
        again: 0,
        cache_status: 0,
        headers: std::ptr::null(),
        facts: std::ptr::null(),
        edits: std::ptr::null_mut(),
        reply: std::ptr::null_mut(),
        answer: std::ptr::null_mut(),
        reserved: [0; 4],
    };
}

/// A response, or none. Lifetime: call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_cache_response {
    pub size: u32,
    pub flags: u32,
    pub result: u32,
    pub cache_status: u32,
    pub request_headers: *const sluice_headers,
    pub headers: *const sluice_headers,
    pub facts: *const sluice_facts,
    pub content_length: u64,
    pub edits: *mut sluice_edits,
    pub writer: *mut c_void,
    pub answer: *mut sluice_cache_answer,
    pub reserved: [u64; 4],
}

impl sluice_cache_response {
    /// All zeroes, with `size` set.
    pub const INIT: Self = Self {
        size: std::mem::size_of::<Self>() as u32,
        flags: 0,
        result: 0,
        cache_status: 0,
        request_headers: std::ptr::null(),
        headers: std::ptr::null(),
        facts: std::ptr::null(),
        content_length: 0,
        edits: std::ptr::null_mut(),
        writer: std::ptr::null_mut(),
        answer: std::ptr::null_mut(),
        reserved: [0; 4],
    };
}

/// `bytes`: 1 or more, valid until `close` or a `read` whose offset is behind them.
pub const SLUICE_CACHE_BYTES: u32 = 0;
/// `file`, `file_offset`, `file_length`: 1 or more, until `close`
pub const SLUICE_CACHE_FILE: u32 = 1;
/// Not there yet: `suspend` was called before, and whoever has the token wakes the request.
pub const SLUICE_CACHE_AGAIN: u32 = 2;
/// the offset is the body's end
pub const SLUICE_CACHE_END: u32 = 3;
/// there will be no more: the host cuts the response
pub const SLUICE_CACHE_BROKEN: u32 = 4;

/// A read. Lifetime: call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_cache_chunk {
    pub size: u32,
    pub wants_bytes: u32,
    pub offset: u64,
    pub length: u64,
    pub bytes: sluice_slice,
    pub file: i32,
    pub reserved0: u32,
    pub file_offset: u64,
    pub file_length: u64,
    pub reserved: [u64; 4],
}

impl sluice_cache_chunk {
    /// All zeroes, with `size` set.
    pub const INIT: Self = Self {
        size: std::mem::size_of::<Self>() as u32,
        wants_bytes: 0,
        offset: 0,
        length: 0,
        bytes: sluice_slice::INIT,
        file: 0,
        reserved0: 0,
        file_offset: 0,
        file_length: 0,
        reserved: [0; 4],
    };
}

/// "scheme://host/path?query": all its variants
pub const SLUICE_CACHE_PURGE_URL: u32 = 1;
/// of such an address
pub const SLUICE_CACHE_PURGE_PREFIX: u32 = 2;
pub const SLUICE_CACHE_PURGE_TAG: u32 = 3;
pub const SLUICE_CACHE_PURGE_ALL: u32 = 4;

/// An order to forget. Lifetime: call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_cache_purge {
    pub size: u32,
    pub kind: u32,
    pub is_soft: u32,
    pub reserved0: u32,
    pub value: sluice_slice,
    pub count: u64,
    pub reserved: [u64; 4],
}

impl sluice_cache_purge {
    /// All zeroes, with `size` set.
    pub const INIT: Self = Self {
        size: std::mem::size_of::<Self>() as u32,
        kind: 0,
        is_soft: 0,
        reserved0: 0,
        value: sluice_slice::INIT,
        count: 0,
        reserved: [0; 4],
    };
}

/// The role's table. `context` is the plugin's memory for the request. Lifetime: instance.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_cache {
    pub size: u32,
    pub flags: u32,
    pub lookup: Option<unsafe extern "C" fn(instance: *mut c_void, slot: *mut c_void, request: *mut
        sluice_req, context: *mut c_void, lookup: *mut sluice_cache_lookup) -> u32>,
    pub admit: Option<unsafe extern "C" fn(instance: *mut c_void, slot: *mut c_void, request: *mut
        sluice_req, context: *mut c_void, response: *mut sluice_cache_response) -> u32>,
    pub failed: Option<unsafe extern "C" fn(instance: *mut c_void, slot: *mut c_void, request: *mut
        sluice_req, context: *mut c_void, response: *mut sluice_cache_response) -> u32>,
    pub write: Option<unsafe extern "C" fn(instance: *mut c_void, slot: *mut c_void, writer: *mut
        c_void, bytes: sluice_slice) -> i32>,
    pub commit: Option<unsafe extern "C" fn(instance: *mut c_void, slot: *mut c_void, writer: *mut
        c_void)>,
    pub abort: Option<unsafe extern "C" fn(instance: *mut c_void, slot: *mut c_void, writer: *mut
        c_void)>,
    pub read: Option<unsafe extern "C" fn(instance: *mut c_void, slot: *mut c_void, request: *mut
        sluice_req, reader: *mut c_void, chunk: *mut sluice_cache_chunk) -> u32>,
    pub close: Option<unsafe extern "C" fn(instance: *mut c_void, slot: *mut c_void, reader: *mut
        c_void)>,
    pub purge: Option<unsafe extern "C" fn(instance: *mut c_void, purge: *mut sluice_cache_purge,
        error: *mut sluice_errbuf) -> i32>,
    pub reserved: [*mut c_void; 8],
}

impl sluice_cache {
    /// All zeroes, with `size` set.
    pub const INIT: Self = Self {
        size: std::mem::size_of::<Self>() as u32,
        flags: 0,
        lookup: None,
        admit: None,
        failed: None,
        write: None,
        commit: None,
        abort: None,
        read: None,
        close: None,
        purge: None,
        reserved: [std::ptr::null_mut(); 8],
    };
}

// Safe: a table of functions, and reserved words that are zero.
unsafe impl Sync for sluice_cache {}

// ---------------------------------------------------------------- sluice/ext/handover.h

pub const SLUICE_HANDOVER_ID: &str = "sluice.handover/1";
/// The same with a NUL, as C passes it.
pub const SLUICE_HANDOVER_ID_C: &str = concat!("sluice.handover/1", "\0");

/// `sluice.handover/1`. Lifetime: instance.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_handover {
    pub size: u32,
    pub reserved0: u32,
    pub warm: Option<unsafe extern "C" fn(instance: *mut c_void, error: *mut sluice_errbuf) -> i32>,
    pub export_rest: Option<unsafe extern "C" fn(instance: *mut c_void, sink: *const sluice_sink,
        error: *mut sluice_errbuf) -> i32>,
    pub import_rest: Option<unsafe extern "C" fn(instance: *mut c_void, rest: sluice_slice, error:
        *mut sluice_errbuf) -> i32>,
    pub reserved: [*mut c_void; 5],
}

impl sluice_handover {
    /// All zeroes, with `size` set.
    pub const INIT: Self = Self {
        size: std::mem::size_of::<Self>() as u32,
        reserved0: 0,
        warm: None,
        export_rest: None,
        import_rest: None,
        reserved: [std::ptr::null_mut(); 5],
    };
}

// Safe: a table of functions, and reserved words that are zero.
unsafe impl Sync for sluice_handover {}

// ---------------------------------------------------------------- sluice/ext/http_client.h

pub const SLUICE_HTTP_CLIENT_ID: &str = "sluice.http_client/1";
/// The same with a NUL, as C passes it.
pub const SLUICE_HTTP_CLIENT_ID_C: &str = concat!("sluice.http_client/1", "\0");

/// there is a whole response, whatever its status
pub const SLUICE_CALL_OK: u32 = 0;
/// no peer could be reached, or it broke HTTP or off
pub const SLUICE_CALL_FAILED: u32 = 1;
/// not done in `timeout_ns`
pub const SLUICE_CALL_TIMEOUT: u32 = 2;
/// the body is over `body_max`
pub const SLUICE_CALL_TOO_LARGE: u32 = 3;

/// A response, or why there is none. Lifetime: call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_call_result {
    pub size: u32,
    pub outcome: u32,
    pub status: u32,
    pub reserved0: u32,
    pub headers: *const sluice_headers,
    pub body: sluice_slice,
    pub reserved: [u64; 4],
}

impl sluice_call_result {
    /// All zeroes, with `size` set.
    pub const INIT: Self = Self {
        size: std::mem::size_of::<Self>() as u32,
        outcome: 0,
        status: 0,
        reserved0: 0,
        headers: std::ptr::null(),
        body: sluice_slice::INIT,
        reserved: [0; 4],
    };
}

/// A request to make. Lifetime: call; the host copies it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_call {
    pub size: u32,
    pub field_count: u32,
    pub upstream: sluice_slice,
    pub method: sluice_slice,
    pub path: sluice_slice,
    pub authority: sluice_slice,
    pub fields: *const sluice_pair,
    pub body: sluice_slice,
    pub body_max: u64,
    pub timeout_ns: u64,
    pub done: Option<unsafe extern "C" fn(instance: *mut c_void, slot: *mut c_void, context: *mut
        c_void, result: *const sluice_call_result)>,
    pub context: *mut c_void,
    pub reserved: [u64; 4],
}

impl sluice_call {
    /// All zeroes, with `size` set.
    pub const INIT: Self = Self {
        size: std::mem::size_of::<Self>() as u32,
        field_count: 0,
        upstream: sluice_slice::INIT,
        method: sluice_slice::INIT,
        path: sluice_slice::INIT,
        authority: sluice_slice::INIT,
        fields: std::ptr::null(),
        body: sluice_slice::INIT,
        body_max: 0,
        timeout_ns: 0,
        done: None,
        context: std::ptr::null_mut(),
        reserved: [0; 4],
    };
}

/// `sluice.http_client/1`. Lifetime: process.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_http_client {
    pub size: u32,
    pub reserved0: u32,
    pub start: Option<unsafe extern "C" fn(host: *const sluice_host, request: *mut sluice_req, call:
        *const sluice_call, token: *mut sluice_token) -> i32>,
    pub cancel: Option<unsafe extern "C" fn(host: *const sluice_host, token: *const sluice_token) ->
        i32>,
    pub has_upstream: Option<unsafe extern "C" fn(host: *const sluice_host, name: sluice_slice) ->
        u32>,
    pub reserved: [*mut c_void; 13],
}

impl sluice_http_client {
    /// All zeroes, with `size` set.
    pub const INIT: Self = Self {
        size: std::mem::size_of::<Self>() as u32,
        reserved0: 0,
        start: None,
        cancel: None,
        has_upstream: None,
        reserved: [std::ptr::null_mut(); 13],
    };
}

// Safe: a table of functions, and reserved words that are zero.
unsafe impl Sync for sluice_http_client {}

// ---------------------------------------------------------------- sluice/ext/metrics.h

pub const SLUICE_METRICS_ID: &str = "sluice.metrics/1";
/// The same with a NUL, as C passes it.
pub const SLUICE_METRICS_ID_C: &str = concat!("sluice.metrics/1", "\0");

/// the Prometheus text format 0.0.4
pub const SLUICE_METRICS_TEXT: u32 = 0;
/// OpenMetrics 1.0; ends with the line "# EOF"
pub const SLUICE_METRICS_OPENMETRICS: u32 = 1;

/// `sluice.metrics/1`. Lifetime: process.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_metrics {
    pub size: u32,
    pub reserved0: u32,
    pub write: Option<unsafe extern "C" fn(sink: *const sluice_sink) -> i32>,
    pub write_as: Option<unsafe extern "C" fn(format: u32, sink: *const sluice_sink) -> i32>,
    pub reserved: [*mut c_void; 6],
}

impl sluice_metrics {
    /// All zeroes, with `size` set.
    pub const INIT: Self = Self {
        size: std::mem::size_of::<Self>() as u32,
        reserved0: 0,
        write: None,
        write_as: None,
        reserved: [std::ptr::null_mut(); 6],
    };
}

// Safe: a table of functions, and reserved words that are zero.
unsafe impl Sync for sluice_metrics {}

// ---------------------------------------------------------------- sluice/ext/peers.h

pub const SLUICE_PEERS_ID: &str = "sluice.peers/1";
/// The same with a NUL, as C passes it.
pub const SLUICE_PEERS_ID_C: &str = concat!("sluice.peers/1", "\0");

pub const SLUICE_HEALTH_HEALTHY: u32 = 0;
/// its checks fail
pub const SLUICE_HEALTH_UNHEALTHY: u32 = 1;
/// requests to it fail
pub const SLUICE_HEALTH_EJECTED: u32 = 2;

/// Balancers pick it all the same (panic): too few of the upstream's peers are healthy.
pub const SLUICE_HEALTH_USED: u32 = 1;

/// only when no other peer of the upstream can be used
pub const SLUICE_PEER_BACKUP: u32 = 1;
/// nothing but requests of sessions that a balancer keeps with it; those that run finish
pub const SLUICE_PEER_DRAINING: u32 = 2;

pub const SLUICE_PEERS_MAX: u32 = 65535;
/// bytes
pub const SLUICE_PEER_ADDRESS_MAX: u32 = 256;
/// bytes
pub const SLUICE_PEER_ZONE_MAX: u32 = 64;

/// A peer for `set_peers`. Lifetime: call; the host copies it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_new_peer {
    pub address: sluice_slice,
    pub weight: u32,
    pub priority: u32,
    pub flags: u32,
    pub reserved0: u32,
    pub zone: sluice_slice,
    pub reserved: [u64; 3],
}

impl sluice_new_peer {
    /// All zeroes.
    pub const INIT: Self = Self {
        address: sluice_slice::INIT,
        weight: 0,
        priority: 0,
        flags: 0,
        reserved0: 0,
        zone: sluice_slice::INIT,
        reserved: [0; 3],
    };
}

/// A peer as it is now. Slices live for the process.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_peer_info {
    pub id: u64,
    pub address: sluice_slice,
    pub weight: u32,
    pub priority: u32,
    pub flags: u32,
    pub health: u32,
    pub zone: sluice_slice,
    pub in_flight: u64,
    pub reserved: [u64; 3],
}

impl sluice_peer_info {
    /// All zeroes.
    pub const INIT: Self = Self {
        id: 0,
        address: sluice_slice::INIT,
        weight: 0,
        priority: 0,
        flags: 0,
        health: 0,
        zone: sluice_slice::INIT,
        in_flight: 0,
        reserved: [0; 3],
    };
}

/// An upstream. Slices live for the process.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_upstream_info {
    pub name: sluice_slice,
    pub version: u64,
    pub peer_count: u32,
    pub is_discovered: u32,
    pub reserved: [u64; 4],
}

impl sluice_upstream_info {
    /// All zeroes.
    pub const INIT: Self = Self {
        name: sluice_slice::INIT,
        version: 0,
        peer_count: 0,
        is_discovered: 0,
        reserved: [0; 4],
    };
}

/// a connection, with TLS where that is asked for; no request
pub const SLUICE_PROBE_TCP: u32 = 0;
/// a request of HTTP/1.1
pub const SLUICE_PROBE_HTTP1: u32 = 1;
/// a request of HTTP/2
pub const SLUICE_PROBE_HTTP2: u32 = 2;

/// as the upstream's `tls` says
pub const SLUICE_PROBE_TLS_UPSTREAM: u32 = 0;
pub const SLUICE_PROBE_TLS_OFF: u32 = 1;
/// as `tls_open` was told
pub const SLUICE_PROBE_TLS_OWN: u32 = 2;

/// all of it succeeded, whatever the status
pub const SLUICE_PROBE_DONE: u32 = 0;
pub const SLUICE_PROBE_CONNECT: u32 = 1;
/// of TLS
pub const SLUICE_PROBE_HANDSHAKE: u32 = 2;
/// no whole head of a response
pub const SLUICE_PROBE_REQUEST: u32 = 3;
/// no whole body, or one over `body_max`
pub const SLUICE_PROBE_BODY: u32 = 4;

/// Settings of TLS for probes alone. Lifetime: call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_probe_tls {
    pub size: u32,
    pub skip_verify: u32,
    pub server_name: sluice_slice,
    pub ca_file: sluice_slice,
    pub reserved: [u64; 4],
}

impl sluice_probe_tls {
    /// All zeroes, with `size` set.
    pub const INIT: Self = Self {
        size: std::mem::size_of::<Self>() as u32,
        skip_verify: 0,
        server_name: sluice_slice::INIT,
        ca_file: sluice_slice::INIT,
        reserved: [0; 4],
    };
}

/// opaque. Lifetime: process
#[repr(C)]
pub struct sluice_probe_tls_context {
    _private: [u8; 0],
}

/// What came of a probe. Lifetime: call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_probe_result {
    pub size: u32,
    pub step: u32,
    pub is_timeout: u32,
    pub status: u32,
    pub duration_ns: u64,
    pub headers: *const sluice_headers,
    pub trailers: *const sluice_headers,
    pub body: sluice_slice,
    pub reason: sluice_slice,
    pub reserved: [u64; 4],
}

impl sluice_probe_result {
    /// All zeroes, with `size` set.
    pub const INIT: Self = Self {
        size: std::mem::size_of::<Self>() as u32,
        step: 0,
        is_timeout: 0,
        status: 0,
        duration_ns: 0,
        headers: std::ptr::null(),
        trailers: std::ptr::null(),
        body: sluice_slice::INIT,
        reason: sluice_slice::INIT,
        reserved: [0; 4],
    };
}

/// A probe to make. Lifetime: call; the host copies it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_probe {
    pub size: u32,
    pub protocol: u32,
    pub upstream: sluice_slice,
    pub peer: u64,
    pub port: u32,
    pub tls: u32,
    pub tls_context: *mut sluice_probe_tls_context,
    pub method: sluice_slice,
    pub path: sluice_slice,
    pub authority: sluice_slice,
    pub fields: *const sluice_pair,
    pub field_count: u32,
    pub reserved0: u32,
    pub body: sluice_slice,
    pub body_max: u64,
    pub timeout_ns: u64,
    pub done: Option<unsafe extern "C" fn(instance: *mut c_void, slot: *mut c_void, context: *mut
        c_void, result: *const sluice_probe_result)>,
    pub context: *mut c_void,
    pub reserved: [u64; 4],
}

impl sluice_probe {
    /// All zeroes, with `size` set.
    pub const INIT: Self = Self {
        size: std::mem::size_of::<Self>() as u32,
        protocol: 0,
        upstream: sluice_slice::INIT,
        peer: 0,
        port: 0,
        tls: 0,
        tls_context: std::ptr::null_mut(),
        method: sluice_slice::INIT,
        path: sluice_slice::INIT,
        authority: sluice_slice::INIT,
        fields: std::ptr::null(),
        field_count: 0,
        reserved0: 0,
        body: sluice_slice::INIT,
        body_max: 0,
        timeout_ns: 0,
        done: None,
        context: std::ptr::null_mut(),
        reserved: [0; 4],
    };
}

/// Tells that the peers of an upstream have changed: new requests of this worker pick from
/// the new ones. Called on every worker, once for a run of changes at least. \[worker\]
pub type sluice_peers_changed = unsafe extern "C" fn(instance: *mut c_void, slot: *mut c_void,
    context: *mut c_void, upstream: sluice_slice);

/// `sluice.peers/1`. Lifetime: process.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_peers {
    pub size: u32,
    pub reserved0: u32,
    pub upstreams: Option<unsafe extern "C" fn(host: *const sluice_host, to: *mut
        sluice_upstream_info, capacity: u64, count: *mut u64) -> i32>,
    pub peers: Option<unsafe extern "C" fn(host: *const sluice_host, upstream: sluice_slice, to:
        *mut sluice_peer_info, capacity: u64, count: *mut u64, version: *mut u64) -> i32>,
    pub set_health: Option<unsafe extern "C" fn(host: *const sluice_host, peer: u64, state: u32,
        flags: u32, reason: sluice_slice) -> i32>,
    pub set_peers: Option<unsafe extern "C" fn(host: *const sluice_host, upstream: sluice_slice,
        peers: *const sluice_new_peer, count: u64, error: *mut sluice_errbuf) -> i32>,
    pub watch: Option<unsafe extern "C" fn(host: *const sluice_host, upstream: sluice_slice,
        changed: Option<sluice_peers_changed>, context: *mut c_void) -> i32>,
    pub of_request: Option<unsafe extern "C" fn(request: *mut sluice_req) -> u64>,
    pub tls_open: Option<unsafe extern "C" fn(host: *const sluice_host, settings: *const
        sluice_probe_tls, context: *mut *mut sluice_probe_tls_context, error: *mut sluice_errbuf) ->
        i32>,
    pub probe: Option<unsafe extern "C" fn(host: *const sluice_host, probe: *const sluice_probe,
        token: *mut sluice_token) -> i32>,
    pub cancel: Option<unsafe extern "C" fn(host: *const sluice_host, token: *const sluice_token) ->
        i32>,
    pub reserved: [*mut c_void; 16],
}

impl sluice_peers {
    /// All zeroes, with `size` set.
    pub const INIT: Self = Self {
        size: std::mem::size_of::<Self>() as u32,
        reserved0: 0,
        upstreams: None,
        peers: None,
        set_health: None,
        set_peers: None,
        watch: None,
        of_request: None,
        tls_open: None,
        probe: None,
        cancel: None,
        reserved: [std::ptr::null_mut(); 16],
    };
}

// Safe: a table of functions, and reserved words that are zero.
unsafe impl Sync for sluice_peers {}

// ---------------------------------------------------------------- sluice/ext/shared.h

pub const SLUICE_SHARED_ID: &str = "sluice.shared/1";
/// The same with a NUL, as C passes it.
pub const SLUICE_SHARED_ID_C: &str = concat!("sluice.shared/1", "\0");

/// A key: 128 bits that the plugin makes, as a rule by a hash (`hash128`). Not both words 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_key {
    pub low: u64,
    pub high: u64,
}

impl sluice_key {
    /// All zeroes.
    pub const INIT: Self = Self {
        low: 0,
        high: 0,
    };
}

/// opaque. Lifetime: process
#[repr(C)]
pub struct sluice_table {
    _private: [u8; 0],
}

/// A token bucket's answer.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_bucket_answer {
    pub granted: u32,
    pub reserved0: u32,
    pub tokens: u64,
    pub wait_ns: u64,
}

impl sluice_bucket_answer {
    /// All zeroes.
    pub const INIT: Self = Self {
        granted: 0,
        reserved0: 0,
        tokens: 0,
        wait_ns: 0,
    };
}

/// `sluice.shared/1`. Lifetime: process.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_shared {
    pub size: u32,
    pub reserved0: u32,
    pub open: Option<unsafe extern "C" fn(host: *const sluice_host, name: sluice_slice, capacity:
        u64, table: *mut *mut sluice_table) -> i32>,
    pub hash128: Option<unsafe extern "C" fn(bytes: sluice_slice, key: *mut sluice_key)>,
    pub counter_add: Option<unsafe extern "C" fn(table: *mut sluice_table, key: sluice_key, delta:
        i64, ttl_ns: u64) -> i64>,
    pub counter_get: Option<unsafe extern "C" fn(table: *mut sluice_table, key: sluice_key) -> i64>,
    pub bucket_take: Option<unsafe extern "C" fn(table: *mut sluice_table, key: sluice_key,
        rate_milli: u64, burst: u64, cost: u64, answer: *mut sluice_bucket_answer) -> i32>,
    pub value_get: Option<unsafe extern "C" fn(table: *mut sluice_table, key: sluice_key, to: *mut
        u8, capacity: u64, length: *mut u64, version: *mut u64) -> i32>,
    pub value_set: Option<unsafe extern "C" fn(table: *mut sluice_table, key: sluice_key, value:
        sluice_slice, expected: u64, ttl_ns: u64, version: *mut u64) -> i32>,
    pub reserved: [*mut c_void; 8],
}

impl sluice_shared {
    /// All zeroes, with `size` set.
    pub const INIT: Self = Self {
        size: std::mem::size_of::<Self>() as u32,
        reserved0: 0,
        open: None,
        hash128: None,
        counter_add: None,
        counter_get: None,
        bucket_take: None,
        value_get: None,
        value_set: None,
        reserved: [std::ptr::null_mut(); 8],
    };
}

// Safe: a table of functions, and reserved words that are zero.
unsafe impl Sync for sluice_shared {}

// ---------------------------------------------------------------- sluice/ext/thread_check.h

pub const SLUICE_THREAD_CHECK_ID: &str = "sluice.thread_check/1";
/// The same with a NUL, as C passes it.
pub const SLUICE_THREAD_CHECK_ID_C: &str = concat!("sluice.thread_check/1", "\0");

/// not the host's
pub const SLUICE_THREAD_OTHER: u32 = 0;
pub const SLUICE_THREAD_CONTROL: u32 = 1;
pub const SLUICE_THREAD_WORKER: u32 = 2;
pub const SLUICE_THREAD_BLOCKING: u32 = 3;

/// `sluice.thread_check/1`. Lifetime: process.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_thread_check {
    pub size: u32,
    pub reserved0: u32,
    pub current: Option<unsafe extern "C" fn() -> u32>,
    pub worker_index: Option<unsafe extern "C" fn() -> u32>,
    pub reserved: [*mut c_void; 6],
}

impl sluice_thread_check {
    /// All zeroes, with `size` set.
    pub const INIT: Self = Self {
        size: std::mem::size_of::<Self>() as u32,
        reserved0: 0,
        current: None,
        worker_index: None,
        reserved: [std::ptr::null_mut(); 6],
    };
}

// Safe: a table of functions, and reserved words that are zero.
unsafe impl Sync for sluice_thread_check {}

// ---------------------------------------------------------------- sluice/ext/waitset.h

pub const SLUICE_WAITSET_ID: &str = "sluice.waitset/1";
/// The same with a NUL, as C passes it.
pub const SLUICE_WAITSET_ID_C: &str = concat!("sluice.waitset/1", "\0");

/// `sluice.waitset/1`. Lifetime: process.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sluice_waitset {
    pub size: u32,
    pub reserved0: u32,
    pub ticket: Option<unsafe extern "C" fn(host: *const sluice_host, key: sluice_key) -> u64>,
    pub wait: Option<unsafe extern "C" fn(host: *const sluice_host, request: *mut sluice_req, key:
        sluice_key, ticket: u64, timeout_ns: u64, token: *mut sluice_token) -> i32>,
    pub wake: Option<unsafe extern "C" fn(host: *const sluice_host, key: sluice_key, count: u32,
        payload: u64) -> u32>,
    pub reserved: [*mut c_void; 5],
}

impl sluice_waitset {
    /// All zeroes, with `size` set.
    pub const INIT: Self = Self {
        size: std::mem::size_of::<Self>() as u32,
        reserved0: 0,
        ticket: None,
        wait: None,
        wake: None,
        reserved: [std::ptr::null_mut(); 5],
    };
}

// Safe: a table of functions, and reserved words that are zero.
unsafe impl Sync for sluice_waitset {}

// ---------------------------------------------------------------- conveniences

impl sluice_slice {
    /// A slice of text that lives for ever.
    pub const fn of(text: &'static str) -> Self {
        Self { ptr: text.as_ptr(), len: text.len() as u64 }
    }

    /// The bytes.
    ///
    /// # Safety
    /// They must be valid for `'a`, which the header says of each slice.
    pub unsafe fn bytes<'a>(&self) -> &'a [u8] {
        if self.len == 0 {
            return &[];
        }
        std::slice::from_raw_parts(self.ptr, self.len as usize)
    }
}

impl sluice_errbuf {
    /// Writes one line, cut to the room that there is.
    ///
    /// # Safety
    /// `ptr` must have room for `cap` bytes, as that of a call does.
    pub unsafe fn write(&mut self, line: &str) {
        let length = line.len().min(self.cap as usize);
        std::ptr::copy_nonoverlapping(line.as_ptr(), self.ptr as *mut u8, length);
        self.len = length as u32;
    }
}

impl sluice_value {
    /// The members of an object or the elements of an array.
    ///
    /// # Safety
    /// The value must be one that the host gave; it lives for the instance.
    pub unsafe fn members<'a>(&self) -> &'a [sluice_value] {
        if self.count == 0 {
            return &[];
        }
        std::slice::from_raw_parts(self.children, self.count as usize)
    }
}

impl sluice_edits {
    /// Asks for one more edit; false when there is no room, which makes the hook an error.
    ///
    /// # Safety
    /// The edits must be those of the running hook; `name` and `value` must live until it returns.
    pub unsafe fn push(&mut self, op: u32, name: sluice_slice, value: sluice_slice) -> bool {
        if self.count == self.capacity {
            return false;
        }
        *self.ops.add(self.count as usize) = sluice_edit { op, id: 0, name, value };
        self.count += 1;
        true
    }
}

/// Runs the body of a function that the host calls: a panic ends here, and `otherwise` is returned.
pub fn guard<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).unwrap_or(otherwise)
}

/// Puts the descriptor, a string literal, into the library: `sluice_descriptor!("{ ... }");`, once.
///
/// Linkers drop what nothing refers to, and compilers before 1.65 don't tell them to keep this: call
/// `keep_descriptor()` in the entry function.
#[macro_export]
macro_rules! sluice_descriptor {
    ($json:expr) => {
        #[used]
        #[link_section = "sluice_descriptor"]
        static SLUICE_DESCRIPTOR_JSON: [u8; $json.len()] = {
            let from = $json.as_bytes();
            let mut to = [0u8; $json.len()];
            let mut at = 0;
            while at < to.len() {
                to[at] = from[at];
                at += 1;
            }
            to
        };

        /// Refers to the descriptor, so that it stays in the library.
        fn keep_descriptor() {
            unsafe { std::ptr::read_volatile(&SLUICE_DESCRIPTOR_JSON[0]) };
        }
    };
}

// ---------------------------------------------------------------- layout, as C has it

/// Where a member ends that begins at `start`. No struct has padding, so that is where the next one
/// begins.
const fn end<S, F>(start: usize, _: for<'a> fn(&'a S) -> &'a F) -> usize {
    start + std::mem::size_of::<F>()
}

const _: () = {
    type S = sluice_slice;
    assert!(std::mem::size_of::<S>() == 16);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.ptr) == 8);
    assert!(end(8, |s: &S| &s.len) == 16);
};

const _: () = {
    type S = sluice_errbuf;
    assert!(std::mem::size_of::<S>() == 24);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.size) == 4);
    assert!(end(4, |s: &S| &s.len) == 8);
    assert!(end(8, |s: &S| &s.cap) == 12);
    assert!(end(12, |s: &S| &s.reserved) == 16);
    assert!(end(16, |s: &S| &s.ptr) == 24);
};

const _: () = {
    type S = sluice_pair;
    assert!(std::mem::size_of::<S>() == 32);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.name) == 16);
    assert!(end(16, |s: &S| &s.value) == 32);
};

const _: () = {
    type S = sluice_buf;
    assert!(std::mem::size_of::<S>() == 64);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.data) == 8);
    assert!(end(8, |s: &S| &s.len) == 16);
    assert!(end(16, |s: &S| &s.capacity) == 24);
    assert!(end(24, |s: &S| &s.reserved) == 64);
};

const _: () = {
    type S = sluice_token;
    assert!(std::mem::size_of::<S>() == 16);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.slot) == 4);
    assert!(end(4, |s: &S| &s.generation) == 8);
    assert!(end(8, |s: &S| &s.sequence) == 16);
};

const _: () = {
    type S = sluice_sink;
    assert!(std::mem::size_of::<S>() == 40);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.size) == 4);
    assert!(end(4, |s: &S| &s.reserved0) == 8);
    assert!(end(8, |s: &S| &s.context) == 16);
    assert!(end(16, |s: &S| &s.write) == 24);
    assert!(end(24, |s: &S| &s.reserved) == 40);
};

const _: () = {
    type S = sluice_value;
    assert!(std::mem::size_of::<S>() == 80);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.type_) == 4);
    assert!(end(4, |s: &S| &s.count) == 8);
    assert!(end(8, |s: &S| &s.integer) == 16);
    assert!(end(16, |s: &S| &s.number) == 24);
    assert!(end(24, |s: &S| &s.string) == 40);
    assert!(end(40, |s: &S| &s.key) == 56);
    assert!(end(56, |s: &S| &s.children) == 64);
    assert!(end(64, |s: &S| &s.reserved) == 80);
};

const _: () = {
    type S = sluice_field;
    assert!(std::mem::size_of::<S>() == 32);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.name) == 8);
    assert!(end(8, |s: &S| &s.value) == 16);
    assert!(end(16, |s: &S| &s.name_len) == 20);
    assert!(end(20, |s: &S| &s.value_len) == 24);
    assert!(end(24, |s: &S| &s.id) == 26);
    assert!(end(26, |s: &S| &s.flags) == 28);
    assert!(end(28, |s: &S| &s.reserved) == 32);
};

const _: () = {
    type S = sluice_headers;
    assert!(std::mem::size_of::<S>() == 328);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.size) == 4);
    assert!(end(4, |s: &S| &s.epoch) == 8);
    assert!(end(8, |s: &S| &s.count) == 12);
    assert!(end(12, |s: &S| &s.status) == 16);
    assert!(end(16, |s: &S| &s.fields) == 24);
    assert!(end(24, |s: &S| &s.known_bits) == 40);
    assert!(end(40, |s: &S| &s.known_index) == 296);
    assert!(end(296, |s: &S| &s.reserved) == 328);
};

const _: () = {
    type S = sluice_edit;
    assert!(std::mem::size_of::<S>() == 40);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.op) == 4);
    assert!(end(4, |s: &S| &s.id) == 8);
    assert!(end(8, |s: &S| &s.name) == 24);
    assert!(end(24, |s: &S| &s.value) == 40);
};

const _: () = {
    type S = sluice_edits;
    assert!(std::mem::size_of::<S>() == 24);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.size) == 4);
    assert!(end(4, |s: &S| &s.count) == 8);
    assert!(end(8, |s: &S| &s.capacity) == 12);
    assert!(end(12, |s: &S| &s.reserved) == 16);
    assert!(end(16, |s: &S| &s.ops) == 24);
};

const _: () = {
    type S = sluice_body_in;
    assert!(std::mem::size_of::<S>() == 72);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.size) == 4);
    assert!(end(4, |s: &S| &s.flags) == 8);
    assert!(end(8, |s: &S| &s.data) == 24);
    assert!(end(24, |s: &S| &s.offset) == 32);
    assert!(end(32, |s: &S| &s.trailers) == 40);
    assert!(end(40, |s: &S| &s.reserved) == 72);
};

const _: () = {
    type S = sluice_body_out;
    assert!(std::mem::size_of::<S>() == 104);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.size) == 4);
    assert!(end(4, |s: &S| &s.replaces) == 8);
    assert!(end(8, |s: &S| &s.consumed) == 16);
    assert!(end(16, |s: &S| &s.credit) == 24);
    assert!(end(24, |s: &S| &s.context) == 32);
    assert!(end(32, |s: &S| &s.push) == 40);
    assert!(end(40, |s: &S| &s.pass) == 48);
    assert!(end(48, |s: &S| &s.push_buf) == 56);
    assert!(end(56, |s: &S| &s.reserve) == 64);
    assert!(end(64, |s: &S| &s.commit) == 72);
    assert!(end(72, |s: &S| &s.reserved) == 104);
};

const _: () = {
    type S = sluice_tls_facts;
    assert!(std::mem::size_of::<S>() == 160);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.size) == 4);
    assert!(end(4, |s: &S| &s.version) == 8);
    assert!(end(8, |s: &S| &s.cipher) == 24);
    assert!(end(24, |s: &S| &s.server_name) == 40);
    assert!(end(40, |s: &S| &s.alpn) == 56);
    assert!(end(56, |s: &S| &s.client_subject) == 72);
    assert!(end(72, |s: &S| &s.client_fingerprint) == 88);
    assert!(end(88, |s: &S| &s.is_resumed) == 92);
    assert!(end(92, |s: &S| &s.is_early_data) == 96);
    assert!(end(96, |s: &S| &s.reserved) == 160);
};

const _: () = {
    type S = sluice_facts;
    assert!(std::mem::size_of::<S>() == 264);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.size) == 4);
    assert!(end(4, |s: &S| &s.http_version) == 8);
    assert!(end(8, |s: &S| &s.request_number) == 16);
    assert!(end(16, |s: &S| &s.client_address) == 32);
    assert!(end(32, |s: &S| &s.local_address) == 48);
    assert!(end(48, |s: &S| &s.route) == 64);
    assert!(end(64, |s: &S| &s.upstream) == 80);
    assert!(end(80, |s: &S| &s.peer) == 96);
    assert!(end(96, |s: &S| &s.client_ip) == 112);
    assert!(end(112, |s: &S| &s.client_family) == 116);
    assert!(end(116, |s: &S| &s.client_port) == 120);
    assert!(end(120, |s: &S| &s.attempt) == 124);
    assert!(end(124, |s: &S| &s.secure) == 128);
    assert!(end(128, |s: &S| &s.status) == 132);
    assert!(end(132, |s: &S| &s.outcome) == 136);
    assert!(end(136, |s: &S| &s.time_start) == 144);
    assert!(end(144, |s: &S| &s.time_now) == 152);
    assert!(end(152, |s: &S| &s.bytes_in) == 160);
    assert!(end(160, |s: &S| &s.bytes_out) == 168);
    assert!(end(168, |s: &S| &s.time_connected) == 176);
    assert!(end(176, |s: &S| &s.time_first_byte) == 184);
    assert!(end(184, |s: &S| &s.attempt_result) == 188);
    assert!(end(188, |s: &S| &s.is_reused) == 192);
    assert!(end(192, |s: &S| &s.tls) == 200);
    assert!(end(200, |s: &S| &s.cache_status) == 204);
    assert!(end(204, |s: &S| &s.connection_requests) == 208);
    assert!(end(208, |s: &S| &s.connection_number) == 216);
    assert!(end(216, |s: &S| &s.answered_by) == 232);
    assert!(end(232, |s: &S| &s.reason) == 248);
    assert!(end(248, |s: &S| &s.head_bytes_in) == 252);
    assert!(end(252, |s: &S| &s.head_bytes_out) == 256);
    assert!(end(256, |s: &S| &s.time_attempt) == 264);
};

const _: () = {
    type S = sluice_reply;
    assert!(std::mem::size_of::<S>() == 64);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.size) == 4);
    assert!(end(4, |s: &S| &s.status) == 8);
    assert!(end(8, |s: &S| &s.body) == 24);
    assert!(end(24, |s: &S| &s.edits) == 32);
    assert!(end(32, |s: &S| &s.reserved) == 64);
};

const _: () = {
    type S = sluice_args;
    assert!(std::mem::size_of::<S>() == 160);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.size) == 4);
    assert!(end(4, |s: &S| &s.phase) == 8);
    assert!(end(8, |s: &S| &s.flags) == 12);
    assert!(end(12, |s: &S| &s.error_code) == 16);
    assert!(end(16, |s: &S| &s.headers) == 24);
    assert!(end(24, |s: &S| &s.request_headers) == 32);
    assert!(end(32, |s: &S| &s.facts) == 40);
    assert!(end(40, |s: &S| &s.edits) == 48);
    assert!(end(48, |s: &S| &s.reply) == 56);
    assert!(end(56, |s: &S| &s.body_in) == 64);
    assert!(end(64, |s: &S| &s.body_out) == 72);
    assert!(end(72, |s: &S| &s.asks) == 80);
    assert!(end(80, |s: &S| &s.interest) == 88);
    assert!(end(88, |s: &S| &s.body_policy) == 92);
    assert!(end(92, |s: &S| &s.buffer_overflow) == 96);
    assert!(end(96, |s: &S| &s.body_length) == 104);
    assert!(end(104, |s: &S| &s.buffer_max) == 112);
    assert!(end(112, |s: &S| &s.resume_reason) == 116);
    assert!(end(116, |s: &S| &s.reserved0) == 120);
    assert!(end(120, |s: &S| &s.resume_payload) == 128);
    assert!(end(128, |s: &S| &s.reserved) == 160);
};

const _: () = {
    type S = sluice_http_hooks;
    assert!(std::mem::size_of::<S>() == 168);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.size) == 4);
    assert!(end(4, |s: &S| &s.flags) == 8);
    assert!(end(8, |s: &S| &s.request_headers) == 16);
    assert!(end(16, |s: &S| &s.cache_lookup) == 24);
    assert!(end(24, |s: &S| &s.request_body) == 32);
    assert!(end(32, |s: &S| &s.upstream_select) == 40);
    assert!(end(40, |s: &S| &s.upstream_request) == 48);
    assert!(end(48, |s: &S| &s.upstream_result) == 56);
    assert!(end(56, |s: &S| &s.upstream_response) == 64);
    assert!(end(64, |s: &S| &s.upstream_body) == 72);
    assert!(end(72, |s: &S| &s.response_headers) == 80);
    assert!(end(80, |s: &S| &s.response_body) == 88);
    assert!(end(88, |s: &S| &s.local_reply) == 96);
    assert!(end(96, |s: &S| &s.request_end) == 104);
    assert!(end(104, |s: &S| &s.resumed) == 112);
    assert!(end(112, |s: &S| &s.reserved) == 168);
};

const _: () = {
    type S = sluice_metric;
    assert!(std::mem::size_of::<S>() == 104);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.size) == 4);
    assert!(end(4, |s: &S| &s.kind) == 8);
    assert!(end(8, |s: &S| &s.name) == 24);
    assert!(end(24, |s: &S| &s.help) == 40);
    assert!(end(40, |s: &S| &s.labels) == 48);
    assert!(end(48, |s: &S| &s.label_count) == 52);
    assert!(end(52, |s: &S| &s.series_max) == 56);
    assert!(end(56, |s: &S| &s.buckets) == 64);
    assert!(end(64, |s: &S| &s.bucket_count) == 68);
    assert!(end(68, |s: &S| &s.reserved0) == 72);
    assert!(end(72, |s: &S| &s.reserved) == 104);
};

const _: () = {
    type S = sluice_core;
    assert!(std::mem::size_of::<S>() == 488);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.size) == 4);
    assert!(end(4, |s: &S| &s.reserved0) == 8);
    assert!(end(8, |s: &S| &s.log) == 16);
    assert!(end(16, |s: &S| &s.log_pairs) == 24);
    assert!(end(24, |s: &S| &s.log_level) == 32);
    assert!(end(32, |s: &S| &s.now) == 40);
    assert!(end(40, |s: &S| &s.wall_clock) == 48);
    assert!(end(48, |s: &S| &s.random) == 56);
    assert!(end(56, |s: &S| &s.request_alloc) == 64);
    assert!(end(64, |s: &S| &s.buf_new) == 72);
    assert!(end(72, |s: &S| &s.buf_wrap) == 80);
    assert!(end(80, |s: &S| &s.buf_slice) == 88);
    assert!(end(88, |s: &S| &s.buf_retain) == 96);
    assert!(end(96, |s: &S| &s.buf_release) == 104);
    assert!(end(104, |s: &S| &s.metric_define) == 112);
    assert!(end(112, |s: &S| &s.metric_series) == 120);
    assert!(end(120, |s: &S| &s.metric_add) == 128);
    assert!(end(128, |s: &S| &s.metric_set) == 136);
    assert!(end(136, |s: &S| &s.metric_observe) == 144);
    assert!(end(144, |s: &S| &s.attr_key) == 152);
    assert!(end(152, |s: &S| &s.timer_set) == 160);
    assert!(end(160, |s: &S| &s.timer_cancel) == 168);
    assert!(end(168, |s: &S| &s.post) == 176);
    assert!(end(176, |s: &S| &s.offload) == 184);
    assert!(end(184, |s: &S| &s.reserved) == 488);
};

const _: () = {
    type S = sluice_slow_hook;
    assert!(std::mem::size_of::<S>() == 64);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.instance) == 16);
    assert!(end(16, |s: &S| &s.phase) == 20);
    assert!(end(20, |s: &S| &s.waits) == 24);
    assert!(end(24, |s: &S| &s.start) == 32);
    assert!(end(32, |s: &S| &s.end) == 40);
    assert!(end(40, |s: &S| &s.busy) == 48);
    assert!(end(48, |s: &S| &s.reserved) == 64);
};

const _: () = {
    type S = sluice_http;
    assert!(std::mem::size_of::<S>() == 248);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.size) == 4);
    assert!(end(4, |s: &S| &s.reserved0) == 8);
    assert!(end(8, |s: &S| &s.suspend) == 16);
    assert!(end(16, |s: &S| &s.resume) == 24);
    assert!(end(24, |s: &S| &s.attr_set_u64) == 32);
    assert!(end(32, |s: &S| &s.attr_set_bytes) == 40);
    assert!(end(40, |s: &S| &s.attr_get_u64) == 48);
    assert!(end(48, |s: &S| &s.attr_get_bytes) == 56);
    assert!(end(56, |s: &S| &s.set_hash_key) == 64);
    assert!(end(64, |s: &S| &s.watch_hooks) == 72);
    assert!(end(72, |s: &S| &s.slow_hooks) == 80);
    assert!(end(80, |s: &S| &s.reserved) == 248);
};

const _: () = {
    type S = sluice_instance;
    assert!(std::mem::size_of::<S>() == 152);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.size) == 4);
    assert!(end(4, |s: &S| &s.context_size) == 8);
    assert!(end(8, |s: &S| &s.state) == 16);
    assert!(end(16, |s: &S| &s.hooks) == 24);
    assert!(end(24, |s: &S| &s.get_extension) == 32);
    assert!(end(32, |s: &S| &s.worker_start) == 40);
    assert!(end(40, |s: &S| &s.worker_stop) == 48);
    assert!(end(48, |s: &S| &s.destroy) == 56);
    assert!(end(56, |s: &S| &s.export_state) == 64);
    assert!(end(64, |s: &S| &s.import_state) == 72);
    assert!(end(72, |s: &S| &s.worker_drain) == 80);
    assert!(end(80, |s: &S| &s.reopen_logs) == 88);
    assert!(end(88, |s: &S| &s.reserved) == 152);
};

const _: () = {
    type S = sluice_create_args;
    assert!(std::mem::size_of::<S>() == 88);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.size) == 4);
    assert!(end(4, |s: &S| &s.worker_count) == 8);
    assert!(end(8, |s: &S| &s.host) == 16);
    assert!(end(16, |s: &S| &s.name) == 32);
    assert!(end(32, |s: &S| &s.config) == 40);
    assert!(end(40, |s: &S| &s.folder) == 56);
    assert!(end(56, |s: &S| &s.reserved) == 88);
};

const _: () = {
    type S = sluice_factory;
    assert!(std::mem::size_of::<S>() == 72);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.size) == 4);
    assert!(end(4, |s: &S| &s.reserved0) == 8);
    assert!(end(8, |s: &S| &s.check_config) == 16);
    assert!(end(16, |s: &S| &s.create) == 24);
    assert!(end(24, |s: &S| &s.reserved) == 72);
};

const _: () = {
    type S = sluice_host_hello;
    assert!(std::mem::size_of::<S>() == 88);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.size) == 4);
    assert!(end(4, |s: &S| &s.abi_minor) == 8);
    assert!(end(8, |s: &S| &s.features) == 16);
    assert!(end(16, |s: &S| &s.host_name) == 32);
    assert!(end(32, |s: &S| &s.host_version) == 48);
    assert!(end(48, |s: &S| &s.get_extension) == 56);
    assert!(end(56, |s: &S| &s.reserved) == 88);
};

const _: () = {
    type S = sluice_plugin_hello;
    assert!(std::mem::size_of::<S>() == 136);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.size) == 4);
    assert!(end(4, |s: &S| &s.abi_minor) == 8);
    assert!(end(8, |s: &S| &s.flags) == 16);
    assert!(end(16, |s: &S| &s.id) == 32);
    assert!(end(32, |s: &S| &s.version) == 48);
    assert!(end(48, |s: &S| &s.description) == 64);
    assert!(end(64, |s: &S| &s.factory) == 72);
    assert!(end(72, |s: &S| &s.required) == 80);
    assert!(end(80, |s: &S| &s.roles) == 88);
    assert!(end(88, |s: &S| &s.hooks_mask) == 96);
    assert!(end(96, |s: &S| &s.reserved) == 136);
};

const _: () = {
    type S = sluice_peer_load;
    assert!(std::mem::size_of::<S>() == 64);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.in_flight) == 8);
    assert!(end(8, |s: &S| &s.latency_ewma_ns) == 16);
    assert!(end(16, |s: &S| &s.failures) == 24);
    assert!(end(24, |s: &S| &s.health) == 32);
    assert!(end(32, |s: &S| &s.reserved) == 64);
};

const _: () = {
    type S = sluice_peer;
    assert!(std::mem::size_of::<S>() == 80);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.id) == 8);
    assert!(end(8, |s: &S| &s.address) == 24);
    assert!(end(24, |s: &S| &s.weight) == 28);
    assert!(end(28, |s: &S| &s.priority) == 32);
    assert!(end(32, |s: &S| &s.load) == 40);
    assert!(end(40, |s: &S| &s.meta) == 48);
    assert!(end(48, |s: &S| &s.reserved) == 80);
};

const _: () = {
    type S = sluice_peer_set;
    assert!(std::mem::size_of::<S>() == 80);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.size) == 4);
    assert!(end(4, |s: &S| &s.count) == 8);
    assert!(end(8, |s: &S| &s.version) == 16);
    assert!(end(16, |s: &S| &s.upstream) == 32);
    assert!(end(32, |s: &S| &s.peers) == 40);
    assert!(end(40, |s: &S| &s.worker_count) == 44);
    assert!(end(44, |s: &S| &s.reserved0) == 48);
    assert!(end(48, |s: &S| &s.reserved) == 80);
};

const _: () = {
    type S = sluice_pick;
    assert!(std::mem::size_of::<S>() == 120);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.size) == 4);
    assert!(end(4, |s: &S| &s.attempt) == 8);
    assert!(end(8, |s: &S| &s.worker_index) == 12);
    assert!(end(12, |s: &S| &s.has_hash) == 16);
    assert!(end(16, |s: &S| &s.hash_key) == 32);
    assert!(end(32, |s: &S| &s.tried) == 40);
    assert!(end(40, |s: &S| &s.headers) == 48);
    assert!(end(48, |s: &S| &s.count) == 52);
    assert!(end(52, |s: &S| &s.wanted) == 56);
    assert!(end(56, |s: &S| &s.candidates) == 88);
    assert!(end(88, |s: &S| &s.reserved) == 120);
};

const _: () = {
    type S = sluice_lb;
    assert!(std::mem::size_of::<S>() == 96);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.size) == 4);
    assert!(end(4, |s: &S| &s.flags) == 8);
    assert!(end(8, |s: &S| &s.build) == 16);
    assert!(end(16, |s: &S| &s.drop) == 24);
    assert!(end(24, |s: &S| &s.pick) == 32);
    assert!(end(32, |s: &S| &s.reserved) == 96);
};

const _: () = {
    type S = sluice_cache_part;
    assert!(std::mem::size_of::<S>() == 32);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.text) == 16);
    assert!(end(16, |s: &S| &s.offset) == 24);
    assert!(end(24, |s: &S| &s.length) == 32);
};

const _: () = {
    type S = sluice_cache_answer;
    assert!(std::mem::size_of::<S>() == 96);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.size) == 4);
    assert!(end(4, |s: &S| &s.status) == 8);
    assert!(end(8, |s: &S| &s.fields) == 16);
    assert!(end(16, |s: &S| &s.field_count) == 20);
    assert!(end(20, |s: &S| &s.more_count) == 24);
    assert!(end(24, |s: &S| &s.more) == 32);
    assert!(end(32, |s: &S| &s.parts) == 40);
    assert!(end(40, |s: &S| &s.part_count) == 44);
    assert!(end(44, |s: &S| &s.cache_status) == 48);
    assert!(end(48, |s: &S| &s.content_length) == 56);
    assert!(end(56, |s: &S| &s.reader) == 64);
    assert!(end(64, |s: &S| &s.reserved) == 96);
};

const _: () = {
    type S = sluice_cache_lookup;
    assert!(std::mem::size_of::<S>() == 88);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.size) == 4);
    assert!(end(4, |s: &S| &s.flags) == 8);
    assert!(end(8, |s: &S| &s.again) == 12);
    assert!(end(12, |s: &S| &s.cache_status) == 16);
    assert!(end(16, |s: &S| &s.headers) == 24);
    assert!(end(24, |s: &S| &s.facts) == 32);
    assert!(end(32, |s: &S| &s.edits) == 40);
    assert!(end(40, |s: &S| &s.reply) == 48);
    assert!(end(48, |s: &S| &s.answer) == 56);
    assert!(end(56, |s: &S| &s.reserved) == 88);
};

const _: () = {
    type S = sluice_cache_response;
    assert!(std::mem::size_of::<S>() == 104);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.size) == 4);
    assert!(end(4, |s: &S| &s.flags) == 8);
    assert!(end(8, |s: &S| &s.result) == 12);
    assert!(end(12, |s: &S| &s.cache_status) == 16);
    assert!(end(16, |s: &S| &s.request_headers) == 24);
    assert!(end(24, |s: &S| &s.headers) == 32);
    assert!(end(32, |s: &S| &s.facts) == 40);
    assert!(end(40, |s: &S| &s.content_length) == 48);
    assert!(end(48, |s: &S| &s.edits) == 56);
    assert!(end(56, |s: &S| &s.writer) == 64);
    assert!(end(64, |s: &S| &s.answer) == 72);
    assert!(end(72, |s: &S| &s.reserved) == 104);
};

const _: () = {
    type S = sluice_cache_chunk;
    assert!(std::mem::size_of::<S>() == 96);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.size) == 4);
    assert!(end(4, |s: &S| &s.wants_bytes) == 8);
    assert!(end(8, |s: &S| &s.offset) == 16);
    assert!(end(16, |s: &S| &s.length) == 24);
    assert!(end(24, |s: &S| &s.bytes) == 40);
    assert!(end(40, |s: &S| &s.file) == 44);
    assert!(end(44, |s: &S| &s.reserved0) == 48);
    assert!(end(48, |s: &S| &s.file_offset) == 56);
    assert!(end(56, |s: &S| &s.file_length) == 64);
    assert!(end(64, |s: &S| &s.reserved) == 96);
};

const _: () = {
    type S = sluice_cache_purge;
    assert!(std::mem::size_of::<S>() == 72);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.size) == 4);
    assert!(end(4, |s: &S| &s.kind) == 8);
    assert!(end(8, |s: &S| &s.is_soft) == 12);
    assert!(end(12, |s: &S| &s.reserved0) == 16);
    assert!(end(16, |s: &S| &s.value) == 32);
    assert!(end(32, |s: &S| &s.count) == 40);
    assert!(end(40, |s: &S| &s.reserved) == 72);
};

const _: () = {
    type S = sluice_cache;
    assert!(std::mem::size_of::<S>() == 144);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.size) == 4);
    assert!(end(4, |s: &S| &s.flags) == 8);
    assert!(end(8, |s: &S| &s.lookup) == 16);
    assert!(end(16, |s: &S| &s.admit) == 24);
    assert!(end(24, |s: &S| &s.failed) == 32);
    assert!(end(32, |s: &S| &s.write) == 40);
    assert!(end(40, |s: &S| &s.commit) == 48);
    assert!(end(48, |s: &S| &s.abort) == 56);
    assert!(end(56, |s: &S| &s.read) == 64);
    assert!(end(64, |s: &S| &s.close) == 72);
    assert!(end(72, |s: &S| &s.purge) == 80);
    assert!(end(80, |s: &S| &s.reserved) == 144);
};

const _: () = {
    type S = sluice_handover;
    assert!(std::mem::size_of::<S>() == 72);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.size) == 4);
    assert!(end(4, |s: &S| &s.reserved0) == 8);
    assert!(end(8, |s: &S| &s.warm) == 16);
    assert!(end(16, |s: &S| &s.export_rest) == 24);
    assert!(end(24, |s: &S| &s.import_rest) == 32);
    assert!(end(32, |s: &S| &s.reserved) == 72);
};

const _: () = {
    type S = sluice_call_result;
    assert!(std::mem::size_of::<S>() == 72);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.size) == 4);
    assert!(end(4, |s: &S| &s.outcome) == 8);
    assert!(end(8, |s: &S| &s.status) == 12);
    assert!(end(12, |s: &S| &s.reserved0) == 16);
    assert!(end(16, |s: &S| &s.headers) == 24);
    assert!(end(24, |s: &S| &s.body) == 40);
    assert!(end(40, |s: &S| &s.reserved) == 72);
};

const _: () = {
    type S = sluice_call;
    assert!(std::mem::size_of::<S>() == 160);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.size) == 4);
    assert!(end(4, |s: &S| &s.field_count) == 8);
    assert!(end(8, |s: &S| &s.upstream) == 24);
    assert!(end(24, |s: &S| &s.method) == 40);
    assert!(end(40, |s: &S| &s.path) == 56);
    assert!(end(56, |s: &S| &s.authority) == 72);
    assert!(end(72, |s: &S| &s.fields) == 80);
    assert!(end(80, |s: &S| &s.body) == 96);
    assert!(end(96, |s: &S| &s.body_max) == 104);
    assert!(end(104, |s: &S| &s.timeout_ns) == 112);
    assert!(end(112, |s: &S| &s.done) == 120);
    assert!(end(120, |s: &S| &s.context) == 128);
    assert!(end(128, |s: &S| &s.reserved) == 160);
};

const _: () = {
    type S = sluice_http_client;
    assert!(std::mem::size_of::<S>() == 136);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.size) == 4);
    assert!(end(4, |s: &S| &s.reserved0) == 8);
    assert!(end(8, |s: &S| &s.start) == 16);
    assert!(end(16, |s: &S| &s.cancel) == 24);
    assert!(end(24, |s: &S| &s.has_upstream) == 32);
    assert!(end(32, |s: &S| &s.reserved) == 136);
};

const _: () = {
    type S = sluice_metrics;
    assert!(std::mem::size_of::<S>() == 72);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.size) == 4);
    assert!(end(4, |s: &S| &s.reserved0) == 8);
    assert!(end(8, |s: &S| &s.write) == 16);
    assert!(end(16, |s: &S| &s.write_as) == 24);
    assert!(end(24, |s: &S| &s.reserved) == 72);
};

const _: () = {
    type S = sluice_new_peer;
    assert!(std::mem::size_of::<S>() == 72);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.address) == 16);
    assert!(end(16, |s: &S| &s.weight) == 20);
    assert!(end(20, |s: &S| &s.priority) == 24);
    assert!(end(24, |s: &S| &s.flags) == 28);
    assert!(end(28, |s: &S| &s.reserved0) == 32);
    assert!(end(32, |s: &S| &s.zone) == 48);
    assert!(end(48, |s: &S| &s.reserved) == 72);
};

const _: () = {
    type S = sluice_peer_info;
    assert!(std::mem::size_of::<S>() == 88);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.id) == 8);
    assert!(end(8, |s: &S| &s.address) == 24);
    assert!(end(24, |s: &S| &s.weight) == 28);
    assert!(end(28, |s: &S| &s.priority) == 32);
    assert!(end(32, |s: &S| &s.flags) == 36);
    assert!(end(36, |s: &S| &s.health) == 40);
    assert!(end(40, |s: &S| &s.zone) == 56);
    assert!(end(56, |s: &S| &s.in_flight) == 64);
    assert!(end(64, |s: &S| &s.reserved) == 88);
};

const _: () = {
    type S = sluice_upstream_info;
    assert!(std::mem::size_of::<S>() == 64);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.name) == 16);
    assert!(end(16, |s: &S| &s.version) == 24);
    assert!(end(24, |s: &S| &s.peer_count) == 28);
    assert!(end(28, |s: &S| &s.is_discovered) == 32);
    assert!(end(32, |s: &S| &s.reserved) == 64);
};

const _: () = {
    type S = sluice_probe_tls;
    assert!(std::mem::size_of::<S>() == 72);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.size) == 4);
    assert!(end(4, |s: &S| &s.skip_verify) == 8);
    assert!(end(8, |s: &S| &s.server_name) == 24);
    assert!(end(24, |s: &S| &s.ca_file) == 40);
    assert!(end(40, |s: &S| &s.reserved) == 72);
};

const _: () = {
    type S = sluice_probe_result;
    assert!(std::mem::size_of::<S>() == 104);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.size) == 4);
    assert!(end(4, |s: &S| &s.step) == 8);
    assert!(end(8, |s: &S| &s.is_timeout) == 12);
    assert!(end(12, |s: &S| &s.status) == 16);
    assert!(end(16, |s: &S| &s.duration_ns) == 24);
    assert!(end(24, |s: &S| &s.headers) == 32);
    assert!(end(32, |s: &S| &s.trailers) == 40);
    assert!(end(40, |s: &S| &s.body) == 56);
    assert!(end(56, |s: &S| &s.reason) == 72);
    assert!(end(72, |s: &S| &s.reserved) == 104);
};

const _: () = {
    type S = sluice_probe;
    assert!(std::mem::size_of::<S>() == 192);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.size) == 4);
    assert!(end(4, |s: &S| &s.protocol) == 8);
    assert!(end(8, |s: &S| &s.upstream) == 24);
    assert!(end(24, |s: &S| &s.peer) == 32);
    assert!(end(32, |s: &S| &s.port) == 36);
    assert!(end(36, |s: &S| &s.tls) == 40);
    assert!(end(40, |s: &S| &s.tls_context) == 48);
    assert!(end(48, |s: &S| &s.method) == 64);
    assert!(end(64, |s: &S| &s.path) == 80);
    assert!(end(80, |s: &S| &s.authority) == 96);
    assert!(end(96, |s: &S| &s.fields) == 104);
    assert!(end(104, |s: &S| &s.field_count) == 108);
    assert!(end(108, |s: &S| &s.reserved0) == 112);
    assert!(end(112, |s: &S| &s.body) == 128);
    assert!(end(128, |s: &S| &s.body_max) == 136);
    assert!(end(136, |s: &S| &s.timeout_ns) == 144);
    assert!(end(144, |s: &S| &s.done) == 152);
    assert!(end(152, |s: &S| &s.context) == 160);
    assert!(end(160, |s: &S| &s.reserved) == 192);
};

const _: () = {
    type S = sluice_peers;
    assert!(std::mem::size_of::<S>() == 208);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.size) == 4);
    assert!(end(4, |s: &S| &s.reserved0) == 8);
    assert!(end(8, |s: &S| &s.upstreams) == 16);
    assert!(end(16, |s: &S| &s.peers) == 24);
    assert!(end(24, |s: &S| &s.set_health) == 32);
    assert!(end(32, |s: &S| &s.set_peers) == 40);
    assert!(end(40, |s: &S| &s.watch) == 48);
    assert!(end(48, |s: &S| &s.of_request) == 56);
    assert!(end(56, |s: &S| &s.tls_open) == 64);
    assert!(end(64, |s: &S| &s.probe) == 72);
    assert!(end(72, |s: &S| &s.cancel) == 80);
    assert!(end(80, |s: &S| &s.reserved) == 208);
};

const _: () = {
    type S = sluice_key;
    assert!(std::mem::size_of::<S>() == 16);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.low) == 8);
    assert!(end(8, |s: &S| &s.high) == 16);
};

const _: () = {
    type S = sluice_bucket_answer;
    assert!(std::mem::size_of::<S>() == 24);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.granted) == 4);
    assert!(end(4, |s: &S| &s.reserved0) == 8);
    assert!(end(8, |s: &S| &s.tokens) == 16);
    assert!(end(16, |s: &S| &s.wait_ns) == 24);
};

const _: () = {
    type S = sluice_shared;
    assert!(std::mem::size_of::<S>() == 128);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.size) == 4);
    assert!(end(4, |s: &S| &s.reserved0) == 8);
    assert!(end(8, |s: &S| &s.open) == 16);
    assert!(end(16, |s: &S| &s.hash128) == 24);
    assert!(end(24, |s: &S| &s.counter_add) == 32);
    assert!(end(32, |s: &S| &s.counter_get) == 40);
    assert!(end(40, |s: &S| &s.bucket_take) == 48);
    assert!(end(48, |s: &S| &s.value_get) == 56);
    assert!(end(56, |s: &S| &s.value_set) == 64);
    assert!(end(64, |s: &S| &s.reserved) == 128);
};

const _: () = {
    type S = sluice_thread_check;
    assert!(std::mem::size_of::<S>() == 72);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.size) == 4);
    assert!(end(4, |s: &S| &s.reserved0) == 8);
    assert!(end(8, |s: &S| &s.current) == 16);
    assert!(end(16, |s: &S| &s.worker_index) == 24);
    assert!(end(24, |s: &S| &s.reserved) == 72);
};

const _: () = {
    type S = sluice_waitset;
    assert!(std::mem::size_of::<S>() == 72);
    assert!(std::mem::align_of::<S>() == 8);
    assert!(end(0, |s: &S| &s.size) == 4);
    assert!(end(4, |s: &S| &s.reserved0) == 8);
    assert!(end(8, |s: &S| &s.ticket) == 16);
    assert!(end(16, |s: &S| &s.wait) == 24);
    assert!(end(24, |s: &S| &s.wake) == 32);
    assert!(end(32, |s: &S| &s.reserved) == 72);
};
