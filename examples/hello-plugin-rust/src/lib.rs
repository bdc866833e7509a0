//! A plugin in Rust, without crates: it sets x-hello in every response.
use sluice::*;

// What the host reads without running this.
sluice_descriptor!(
    r#"{
    "abi": "0.2",
    "id": "org.example.hello-rust",
    "version": "1.0.0",
    "description": "Says hello in a field of every response.",
    "hooks": ["response_headers"],
    "config": {
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "greeting": { "type": "string", "minLength": 1, "default": "hello from Rust" }
        }
    }
}"#
);

/// An instance: one entry of the manifest's `plugins`.
struct Greeter {
    /// Lives as long as the instance.
    greeting: sluice_slice,
}

impl Greeter {
    /// Reads `config: { greeting: "hello from Rust" }`; the host has checked it.
    unsafe fn new(config: &sluice_value) -> Result<Greeter, &'static str> {
        let mut greeting = sluice_slice::of("hello from Rust");
        for member in config.members() {
            if member.key.bytes() == b"greeting" {
                greeting = member.string;
            }
        }
        if greeting.bytes().iter().any(|byte| *byte < b' ') {
            return Err("greeting: has a control character");
        }
        Ok(Greeter { greeting })
    }
}

// ---------------------------------------------------------------- the hook

unsafe extern "C" fn response_headers(
    instance: *mut c_void,
    _slot: *mut c_void,
    _request: *mut sluice_req,
    _context: *mut c_void,
    args: *mut sluice_args,
) -> u32 {
    guard(SLUICE_ERROR, || {
        let greeter = &*(instance as *const Greeter);
        let edits = &mut *(*args).edits;
        let name = sluice_slice::of("x-hello");
        match edits.push(SLUICE_EDIT_SET, name, greeter.greeting) {
            true => SLUICE_CONTINUE,
            false => SLUICE_ERROR,
        }
    })
}

static HOOKS: sluice_http_hooks = sluice_http_hooks {
    response_headers: Some(response_headers),
    ..sluice_http_hooks::INIT
};

// ---------------------------------------------------------------- instances

unsafe fn refuse(error: *mut sluice_errbuf, line: &str) -> i32 {
    (*error).write(line);
    SLUICE_ECONFIG
}

unsafe extern "C" fn check_config(
    config: *const sluice_value,
    error: *mut sluice_errbuf,
) -> i32 {
    guard(SLUICE_ECONFIG, || match Greeter::new(&*config) {
        Ok(_) => SLUICE_OK,
        Err(line) => refuse(error, line),
    })
}

unsafe extern "C" fn create(
    args: *const sluice_create_args,
    out: *mut sluice_instance,
    error: *mut sluice_errbuf,
) -> i32 {
    guard(SLUICE_ECONFIG, || match Greeter::new(&*(*args).config) {
        Ok(greeter) => {
            (*out).state = Box::into_raw(Box::new(greeter)) as *mut c_void;
            (*out).hooks = &HOOKS;
            (*out).destroy = Some(destroy);
            SLUICE_OK
        }
        Err(line) => refuse(error, line),
    })
}

unsafe extern "C" fn destroy(instance: *mut c_void) {
    guard((), || drop(Box::from_raw(instance as *mut Greeter)))
}

static FACTORY: sluice_factory = sluice_factory {
    check_config: Some(check_config),
    create: Some(create),
    ..sluice_factory::INIT
};

// ---------------------------------------------------------------- the library's one symbol

/// What the host looks for; `sluice/hello.h` declares it.
///
/// # Safety
/// The host calls it, with structs of its own.
#[no_mangle]
pub unsafe extern "C" fn sluice_plugin_hello_v0(
    host: *const sluice_host_hello,
    out: *mut sluice_plugin_hello,
) -> i32 {
    guard(SLUICE_EINVAL, || {
        let sizes = (sluice_host_hello::INIT.size, sluice_plugin_hello::INIT.size);
        if ((*host).size, (*out).size) != sizes {
            return SLUICE_EINVAL;
        }
        keep_descriptor();
        *out = sluice_plugin_hello {
            abi_minor: SLUICE_ABI_MINOR,
            id: sluice_slice::of("org.example.hello-rust"),
            version: sluice_slice::of("1.0.0"),
            description: sluice_slice::of("Says hello in a field of every response."),
            factory: &FACTORY,
            hooks_mask: 1 << SLUICE_PHASE_RESPONSE_HEADERS,
            ..sluice_plugin_hello::INIT
        };
        SLUICE_OK
    })
}

#[cfg(test)]
mod tests;
