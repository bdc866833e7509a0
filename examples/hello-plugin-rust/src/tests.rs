//! Drives the plugin through the tables that its library exports, as the host does.
use super::*;

/// What the library says of itself.
fn hello() -> sluice_plugin_hello {
    let mut out = sluice_plugin_hello::INIT;
    let result = unsafe { sluice_plugin_hello_v0(&sluice_host_hello::INIT, &mut out) };
    assert_eq!(result, SLUICE_OK);
    out
}

/// Makes an instance with this greeting, or says why not.
fn make(greeting: Option<&str>) -> Result<sluice_instance, String> {
    let member = greeting.map(|text| sluice_value {
        type_: SLUICE_VALUE_STRING,
        string: sluice_slice { ptr: text.as_ptr(), len: text.len() as u64 },
        key: sluice_slice::of("greeting"),
        ..sluice_value::INIT
    });
    let config = sluice_value {
        type_: SLUICE_VALUE_OBJECT,
        count: member.iter().count() as u32,
        children: member.as_ref().map_or(std::ptr::null(), |value| value),
        ..sluice_value::INIT
    };
    let mut line = [0u8; 100];
    let mut error = sluice_errbuf {
        cap: line.len() as u32,
        ptr: line.as_mut_ptr() as *mut c_char,
        ..sluice_errbuf::INIT
    };
    let args = sluice_create_args { config: &config, ..sluice_create_args::INIT };
    let mut out = sluice_instance::INIT;
    match unsafe { (*hello().factory).create.unwrap()(&args, &mut out, &mut error) } {
        SLUICE_OK => Ok(out),
        _ => Err(String::from_utf8_lossy(&line[..error.len as usize]).into_owned()),
    }
}

/// Runs the hook with room for so many edits: its verdict, and the edits as text.
fn respond(instance: &sluice_instance, room: usize) -> (u32, Vec<(String, String)>) {
    let mut ops = vec![sluice_edit::INIT; room];
    let mut edits = sluice_edits {
        capacity: room as u32,
        ops: ops.as_mut_ptr(),
        ..sluice_edits::INIT
    };
    let mut args = sluice_args { edits: &mut edits, ..sluice_args::INIT };
    let null = std::ptr::null_mut();
    let verdict = unsafe {
        let hook = (*instance.hooks).response_headers.unwrap();
        hook(instance.state, null, null as *mut sluice_req, null, &mut args)
    };
    let text = |slice: sluice_slice| {
        String::from_utf8_lossy(unsafe { slice.bytes() }).into_owned()
    };
    let count = edits.count as usize;
    (verdict, ops[..count].iter().map(|edit| (text(edit.name), text(edit.value))).collect())
}

fn destroy(instance: sluice_instance) {
    unsafe { instance.destroy.unwrap()(instance.state) }
}

fn edit(value: &str) -> Vec<(String, String)> {
    vec![("x-hello".into(), value.into())]
}

#[test]
fn says_what_it_is() {
    let hello = hello();
    assert_eq!(unsafe { hello.id.bytes() }, b"org.example.hello-rust");
    assert_eq!(hello.hooks_mask, 1 << SLUICE_PHASE_RESPONSE_HEADERS);
    assert_eq!(hello.abi_minor, SLUICE_ABI_MINOR);
}

#[test]
fn refuses_a_host_of_another_size() {
    let host = sluice_host_hello { size: 8, ..sluice_host_hello::INIT };
    let mut out = sluice_plugin_hello::INIT;
    assert_eq!(unsafe { sluice_plugin_hello_v0(&host, &mut out) }, SLUICE_EINVAL);
}

#[test]
fn sets_the_field() {
    for (greeting, expected) in [(None, "hello from Rust"), (Some("good morning"), "good morning")] {
        let instance = make(greeting).unwrap();
        assert_eq!(respond(&instance, 4), (SLUICE_CONTINUE, edit(expected)));
        destroy(instance);
    }
}

#[test]
fn fails_when_there_is_no_room() {
    let instance = make(None).unwrap();
    assert_eq!(respond(&instance, 0), (SLUICE_ERROR, vec![]));
    destroy(instance);
}

#[test]
fn refuses_what_may_not_stand_in_a_field() {
    assert_eq!(make(Some("a\nb")).err().unwrap(), "greeting: has a control character");
}

#[test]
fn a_panic_ends_in_the_plugin() {
    assert_eq!(guard(SLUICE_ERROR, || panic!("of the test")), SLUICE_ERROR);
}
