/// The crate of a plugin in Rust.
enum RustPluginTemplate {
    static func make(_ names: PluginNames, _ sdk: SDKPlace) -> PluginTemplate {
        let commands = ["cargo test", "cargo build --release"]
        let files = [
            PluginTemplate.File(path: "Cargo.toml", text: cargo(names, sdk)),
            PluginTemplate.File(path: "src/lib.rs", text: plugin(names)),
            PluginTemplate.File(path: "src/tests.rs", text: tests(names)),
            PluginTemplate.File(path: ".gitignore", text: "/target/\nCargo.lock\n"),
            PluginTemplate.manifest(names, library: "target/release/lib\(names.key).so"),
            PluginTemplate.readme(
                names,
                .rust,
                commands: commands,
                files: [
                    ("src/lib.rs", "the plugin"),
                    ("src/tests.rs", "its tests, through the tables that the host calls"),
                    ("Cargo.toml", "says where the SDK is"),
                    ("sluice.json5", "a manifest to try it with"),
                ]
            ),
        ]
        return PluginTemplate(files: files, commands: commands)
    }

    private static func cargo(_ names: PluginNames, _ sdk: SDKPlace) -> String {
        let place =
            switch sdk {
            case .folder(let path): "path = \(quote(path + "/Rust"))"
            case .repository(let url, let version): "git = \(quote(url)), tag = \"\(version)\""
            }
        return """
            [package]
            name = "\(names.name)"
            version = "1.0.0"
            edition = "2021"
            rust-version = "1.63"
            publish = false

            [lib]
            crate-type = ["cdylib"]

            [dependencies]
            sluice = { \(place) }

            [profile.release]
            strip = true
            # The host must not be unwound into: `guard` catches panics, which `abort` would turn
            # into the end of the whole process.
            panic = "unwind"

            """
    }

    private static func plugin(_ names: PluginNames) -> String {
        #"""
        //! A plugin for Sluice: it sets x-\#(names.name) in every response.
        use sluice::*;

        // What the host reads without running this.
        sluice_descriptor!(
            r#"{
            "abi": "\#(Version.pluginABI)",
            "id": "\#(names.id)",
            "version": "1.0.0",
            "description": "Sets x-\#(names.name) in every response.",
            "hooks": ["response_headers"],
            "config": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "greeting": { "type": "string", "minLength": 1, "default": "hello" }
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
            /// Reads `config: { greeting: "hello" }`; the host has checked it.
            unsafe fn new(config: &sluice_value) -> Result<Greeter, &'static str> {
                let mut greeting = sluice_slice::of("hello");
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
                let name = sluice_slice::of("x-\#(names.name)");
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
                    id: sluice_slice::of("\#(names.id)"),
                    version: sluice_slice::of("1.0.0"),
                    description: sluice_slice::of("Sets x-\#(names.name) in every response."),
                    factory: &FACTORY,
                    hooks_mask: 1 << SLUICE_PHASE_RESPONSE_HEADERS,
                    ..sluice_plugin_hello::INIT
                };
                SLUICE_OK
            })
        }

        #[cfg(test)]
        mod tests;

        """#
    }

    private static func tests(_ names: PluginNames) -> String {
        #"""
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
            vec![("x-\#(names.name)".into(), value.into())]
        }

        #[test]
        fn says_what_it_is() {
            let hello = hello();
            assert_eq!(unsafe { hello.id.bytes() }, b"\#(names.id)");
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
            for (greeting, expected) in [(None, "hello"), (Some("good morning"), "good morning")] {
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

        """#
    }
}
