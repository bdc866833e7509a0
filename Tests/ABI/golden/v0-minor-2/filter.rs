//! A plugin that is compiled when a version of the ABI is released, and then kept: later hosts must
//! run it as it is.
//!
//! It answers /answer itself, tells the origin which attempt this is, and sets x-golden to its
//! greeting and x-path-length to what it kept of the request in every response.
use sluice::*;
use std::os::raw::c_void;

sluice_descriptor!(
    r#"{
    "abi": "0.2",
    "id": "org.sluice.golden-rust",
    "version": "1.0.0",
    "hooks": ["request_headers", "upstream_request", "response_headers"],
    "required": ["sluice.core/1"],
    "config": {
        "type": "object",
        "additionalProperties": false,
        "properties": { "greeting": { "type": "string" } }
    }
}"#
);

struct Filter {
    core: *const sluice_core,
    greeting: sluice_slice,
}

struct Context {
    path_length: u64,
}

// ---------------------------------------------------------------- hooks

/// A number as text, in the request's memory.
unsafe fn number(core: *const sluice_core, request: *mut sluice_req, value: u64) -> sluice_slice {
    let text = value.to_string();
    let to = (*core).request_alloc.unwrap()(request, text.len() as u64) as *mut u8;
    std::ptr::copy_nonoverlapping(text.as_ptr(), to, text.len());
    sluice_slice { ptr: to, len: text.len() as u64 }
}

unsafe extern "C" fn request_headers(
    _instance: *mut c_void,
    _slot: *mut c_void,
    _request: *mut sluice_req,
    context: *mut c_void,
    args: *mut sluice_args,
) -> u32 {
    guard(SLUICE_ERROR, || {
        let headers = &*(*args).headers;
        let id = SLUICE_FIELD_PSEUDO_PATH as usize;
        if headers.known_bits[id / 64] >> (id % 64) & 1 == 0 {
            return SLUICE_ERROR;
        }
        let field = &*headers.fields.add(headers.known_index[id] as usize);
        (*(context as *mut Context)).path_length = field.value_len as u64;
        let path = std::slice::from_raw_parts(field.value, field.value_len as usize);
        if path != b"/answer" {
            return SLUICE_CONTINUE;
        }
        (*(*args).reply).status = 203;
        (*(*args).reply).body = sluice_slice::of("answered\n");
        SLUICE_RESPOND
    })
}

unsafe extern "C" fn upstream_request(
    instance: *mut c_void,
    _slot: *mut c_void,
    request: *mut sluice_req,
    _context: *mut c_void,
    args: *mut sluice_args,
) -> u32 {
    guard(SLUICE_ERROR, || {
        let filter = &*(instance as *const Filter);
        let attempt = number(filter.core, request, (*(*args).facts).attempt as u64);
        let name = sluice_slice::of("x-attempt");
        match (*(*args).edits).push(SLUICE_EDIT_SET, name, attempt) {
            true => SLUICE_CONTINUE,
            false => SLUICE_ERROR,
        }
    })
}

unsafe extern "C" fn response_headers(
    instance: *mut c_void,
    _slot: *mut c_void,
    request: *mut sluice_req,
    context: *mut c_void,
    args: *mut sluice_args,
) -> u32 {
    guard(SLUICE_ERROR, || {
        let filter = &*(instance as *const Filter);
        let edits = &mut *(*args).edits;
        let length = number(filter.core, request, (*(context as *const Context)).path_length);
        if edits.push(SLUICE_EDIT_SET, sluice_slice::of("x-golden"), filter.greeting)
            && edits.push(SLUICE_EDIT_SET, sluice_slice::of("x-path-length"), length)
        {
            SLUICE_CONTINUE
        } else {
            SLUICE_ERROR
        }
    })
}

static HOOKS: sluice_http_hooks = sluice_http_hooks {
    request_headers: Some(request_headers),
    upstream_request: Some(upstream_request),
    response_headers: Some(response_headers),
    ..sluice_http_hooks::INIT
};

// ---------------------------------------------------------------- instances

static CORE: std::sync::atomic::AtomicPtr<sluice_core> =
    std::sync::atomic::AtomicPtr::new(std::ptr::null_mut());

unsafe extern "C" fn create(
    args: *const sluice_create_args,
    out: *mut sluice_instance,
    _error: *mut sluice_errbuf,
) -> i32 {
    guard(SLUICE_ECONFIG, || {
        let core = CORE.load(std::sync::atomic::Ordering::Relaxed);
        let mut greeting = sluice_slice::of("Rust");
        for member in (*(*args).config).members() {
            if member.key.bytes() == b"greeting" {
                greeting = member.string;
            }
        }
        let line = sluice_slice::of("a golden plugin is made");
        (*core).log.unwrap()((*args).host, SLUICE_LOG_INFO, line);
        (*out).state = Box::into_raw(Box::new(Filter { core, greeting })) as *mut c_void;
        (*out).context_size = std::mem::size_of::<Context>() as u32;
        (*out).hooks = &HOOKS;
        (*out).destroy = Some(destroy);
        SLUICE_OK
    })
}

unsafe extern "C" fn destroy(instance: *mut c_void) {
    guard((), || drop(Box::from_raw(instance as *mut Filter)))
}

static FACTORY: sluice_factory = sluice_factory {
    create: Some(create),
    ..sluice_factory::INIT
};

struct Names([*const c_char; 2]);

// Safe: pointers to constants.
unsafe impl Sync for Names {}

static REQUIRED: Names = Names([SLUICE_CORE_ID_C.as_ptr() as *const c_char, std::ptr::null()]);

/// # Safety
/// The host calls it, with structs of its own.
#[no_mangle]
pub unsafe extern "C" fn sluice_plugin_hello_v0(
    host: *const sluice_host_hello,
    out: *mut sluice_plugin_hello,
) -> i32 {
    guard(SLUICE_EINVAL, || {
        keep_descriptor();
        let sizes = (sluice_host_hello::INIT.size, sluice_plugin_hello::INIT.size);
        if ((*host).size, (*out).size) != sizes {
            return SLUICE_EINVAL;
        }
        let core = (*host).get_extension.unwrap()(REQUIRED.0[0]) as *const sluice_core;
        if core.is_null() || (*core).size != sluice_core::INIT.size {
            return SLUICE_ENOTSUP;
        }
        CORE.store(core as *mut sluice_core, std::sync::atomic::Ordering::Relaxed);
        *out = sluice_plugin_hello {
            abi_minor: 2,
            id: sluice_slice::of("org.sluice.golden-rust"),
            version: sluice_slice::of("1.0.0"),
            description: sluice_slice::of("A golden plugin in Rust."),
            factory: &FACTORY,
            required: REQUIRED.0.as_ptr(),
            hooks_mask: 1 << SLUICE_PHASE_REQUEST_HEADERS
                | 1 << SLUICE_PHASE_UPSTREAM_REQUEST
                | 1 << SLUICE_PHASE_RESPONSE_HEADERS,
            ..sluice_plugin_hello::INIT
        };
        SLUICE_OK
    })
}
