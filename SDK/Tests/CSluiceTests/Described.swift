import CSluice

// The structs and constants that LayoutTests describes, in the order of the headers.

/// One line for a struct, then one for each member with its offset.
private func lines<Struct>(
    _ name: String,
    _ type: Struct.Type,
    _ members: [(String, PartialKeyPath<Struct>)]
) -> [String] {
    let layout = MemoryLayout<Struct>.self
    return ["struct \(name) size \(layout.size) align \(layout.alignment)"]
        + members.map { "    \($0.0) at \(layout.offset(of: $0.1) ?? -1)" }
}

/// Every struct of the headers.
func describedStructs() -> [String] {
    messageStructs() + httpStructs() + pluginStructs() + balancerStructs()
}

/// Structs of `types.h` and `headers.h`.
private func messageStructs() -> [String] {
    var text: [String] = []
    text += lines(
        "sluice_slice",
        sluice_slice.self,
        [
            ("ptr", \.ptr), ("len", \.len),
        ]
    )
    text += lines(
        "sluice_errbuf",
        sluice_errbuf.self,
        [
            ("size", \.size), ("len", \.len), ("cap", \.cap), ("reserved", \.reserved),
            ("ptr", \.ptr),
        ]
    )
    text += lines(
        "sluice_value",
        sluice_value.self,
        [
            ("type", \.type), ("count", \.count), ("integer", \.integer), ("number", \.number),
            ("string", \.string), ("key", \.key), ("children", \.children),
            ("reserved", \.reserved),
        ]
    )
    text += lines(
        "sluice_field",
        sluice_field.self,
        [
            ("name", \.name), ("value", \.value), ("name_len", \.name_len),
            ("value_len", \.value_len), ("id", \.id), ("flags", \.flags), ("reserved", \.reserved),
        ]
    )
    text += lines(
        "sluice_headers",
        sluice_headers.self,
        [
            ("size", \.size), ("epoch", \.epoch), ("count", \.count), ("status", \.status),
            ("fields", \.fields), ("known_bits", \.known_bits), ("known_index", \.known_index),
            ("reserved", \.reserved),
        ]
    )
    text += lines(
        "sluice_edit",
        sluice_edit.self,
        [
            ("op", \.op), ("id", \.id), ("name", \.name), ("value", \.value),
        ]
    )
    text += lines(
        "sluice_edits",
        sluice_edits.self,
        [
            ("size", \.size), ("count", \.count), ("capacity", \.capacity),
            ("reserved", \.reserved), ("ops", \.ops),
        ]
    )
    return text
}

/// Structs of `http.h`.
private func httpStructs() -> [String] {
    var text: [String] = []
    text += lines(
        "sluice_facts",
        sluice_facts.self,
        [
            ("size", \.size), ("http_version", \.http_version),
            ("request_number", \.request_number), ("client_address", \.client_address),
            ("local_address", \.local_address), ("route", \.route), ("upstream", \.upstream),
            ("peer", \.peer), ("client_ip", \.client_ip), ("client_family", \.client_family),
            ("client_port", \.client_port), ("attempt", \.attempt), ("secure", \.secure),
            ("status", \.status), ("outcome", \.outcome), ("time_start", \.time_start),
            ("time_now", \.time_now), ("bytes_in", \.bytes_in), ("bytes_out", \.bytes_out),
            ("reserved", \.reserved),
        ]
    )
    text += lines(
        "sluice_reply",
        sluice_reply.self,
        [
            ("size", \.size), ("status", \.status), ("body", \.body), ("edits", \.edits),
            ("reserved", \.reserved),
        ]
    )
    text += lines(
        "sluice_args",
        sluice_args.self,
        [
            ("size", \.size), ("phase", \.phase), ("flags", \.flags), ("error_code", \.error_code),
            ("headers", \.headers), ("request_headers", \.request_headers), ("facts", \.facts),
            ("edits", \.edits), ("reply", \.reply), ("body_in", \.body_in),
            ("body_out", \.body_out), ("interest", \.interest), ("reserved", \.reserved),
        ]
    )
    text += lines(
        "sluice_http_hooks",
        sluice_http_hooks.self,
        [
            ("size", \.size), ("flags", \.flags), ("request_headers", \.request_headers),
            ("cache_lookup", \.cache_lookup), ("request_body", \.request_body),
            ("upstream_select", \.upstream_select), ("upstream_request", \.upstream_request),
            ("upstream_result", \.upstream_result), ("upstream_response", \.upstream_response),
            ("upstream_body", \.upstream_body), ("response_headers", \.response_headers),
            ("response_body", \.response_body), ("local_reply", \.local_reply),
            ("request_end", \.request_end), ("reserved", \.reserved),
        ]
    )
    return text
}

/// Structs of `host.h`, `plugin.h` and `hello.h`.
private func pluginStructs() -> [String] {
    var text: [String] = []
    text += lines(
        "sluice_core",
        sluice_core.self,
        [
            ("size", \.size), ("reserved0", \.reserved0), ("log", \.log),
            ("log_level", \.log_level), ("now", \.now), ("wall_clock", \.wall_clock),
            ("random", \.random), ("request_alloc", \.request_alloc), ("reserved", \.reserved),
        ]
    )
    text += lines(
        "sluice_instance",
        sluice_instance.self,
        [
            ("size", \.size), ("context_size", \.context_size), ("state", \.state),
            ("hooks", \.hooks), ("get_extension", \.get_extension),
            ("worker_start", \.worker_start), ("worker_stop", \.worker_stop),
            ("destroy", \.destroy), ("reserved", \.reserved),
        ]
    )
    text += lines(
        "sluice_create_args",
        sluice_create_args.self,
        [
            ("size", \.size), ("worker_count", \.worker_count), ("host", \.host), ("name", \.name),
            ("config", \.config), ("reserved", \.reserved),
        ]
    )
    text += lines(
        "sluice_factory",
        sluice_factory.self,
        [
            ("size", \.size), ("reserved0", \.reserved0), ("check_config", \.check_config),
            ("create", \.create), ("reserved", \.reserved),
        ]
    )
    text += lines(
        "sluice_host_hello",
        sluice_host_hello.self,
        [
            ("size", \.size), ("abi_minor", \.abi_minor), ("features", \.features),
            ("host_name", \.host_name), ("host_version", \.host_version),
            ("get_extension", \.get_extension), ("reserved", \.reserved),
        ]
    )
    text += lines(
        "sluice_plugin_hello",
        sluice_plugin_hello.self,
        [
            ("size", \.size), ("abi_minor", \.abi_minor), ("flags", \.flags), ("id", \.id),
            ("version", \.version), ("description", \.description), ("factory", \.factory),
            ("required", \.required), ("roles", \.roles), ("hooks_mask", \.hooks_mask),
            ("reserved", \.reserved),
        ]
    )
    return text
}

/// Structs of `ext/balancer.h`.
private func balancerStructs() -> [String] {
    var text: [String] = []
    text += lines(
        "sluice_peer_load",
        sluice_peer_load.self,
        [
            ("in_flight", \.in_flight), ("latency_ewma_ns", \.latency_ewma_ns),
            ("failures", \.failures), ("health", \.health), ("reserved", \.reserved),
        ]
    )
    text += lines(
        "sluice_peer",
        sluice_peer.self,
        [
            ("id", \.id), ("address", \.address), ("weight", \.weight), ("priority", \.priority),
            ("load", \.load), ("meta", \.meta), ("reserved", \.reserved),
        ]
    )
    text += lines(
        "sluice_peer_set",
        sluice_peer_set.self,
        [
            ("size", \.size), ("count", \.count), ("version", \.version), ("upstream", \.upstream),
            ("peers", \.peers), ("worker_count", \.worker_count), ("reserved0", \.reserved0),
            ("reserved", \.reserved),
        ]
    )
    text += lines(
        "sluice_pick",
        sluice_pick.self,
        [
            ("size", \.size), ("attempt", \.attempt), ("worker_index", \.worker_index),
            ("has_hash", \.has_hash), ("hash_key", \.hash_key), ("tried", \.tried),
            ("headers", \.headers), ("count", \.count), ("reserved0", \.reserved0),
            ("candidates", \.candidates), ("reserved", \.reserved),
        ]
    )
    text += lines(
        "sluice_lb",
        sluice_lb.self,
        [
            ("size", \.size), ("flags", \.flags), ("build", \.build), ("drop", \.drop),
            ("pick", \.pick), ("reserved", \.reserved),
        ]
    )
    return text
}

/// Every constant of the headers but the ids of fields, which FieldIDTests compares.
func describedConstants() -> [String] {
    constants.map { "\($0.0) = \($0.1)" }
}

private let constants: [(String, Int)] = [
    ("SLUICE_OK", Int(SLUICE_OK)),
    ("SLUICE_EINVAL", Int(SLUICE_EINVAL)),
    ("SLUICE_ENOMEM", Int(SLUICE_ENOMEM)),
    ("SLUICE_ESTALE", Int(SLUICE_ESTALE)),
    ("SLUICE_ENOTSUP", Int(SLUICE_ENOTSUP)),
    ("SLUICE_EAGAIN", Int(SLUICE_EAGAIN)),
    ("SLUICE_ECONFIG", Int(SLUICE_ECONFIG)),
    ("SLUICE_VALUE_NULL", Int(SLUICE_VALUE_NULL)),
    ("SLUICE_VALUE_BOOL", Int(SLUICE_VALUE_BOOL)),
    ("SLUICE_VALUE_INT", Int(SLUICE_VALUE_INT)),
    ("SLUICE_VALUE_NUMBER", Int(SLUICE_VALUE_NUMBER)),
    ("SLUICE_VALUE_STRING", Int(SLUICE_VALUE_STRING)),
    ("SLUICE_VALUE_ARRAY", Int(SLUICE_VALUE_ARRAY)),
    ("SLUICE_VALUE_OBJECT", Int(SLUICE_VALUE_OBJECT)),
    ("SLUICE_FIELD_COUNT", Int(SLUICE_FIELD_COUNT)),
    ("SLUICE_FIELD_FLAG_PSEUDO", Int(SLUICE_FIELD_FLAG_PSEUDO)),
    ("SLUICE_FIELD_FLAG_REPEATED", Int(SLUICE_FIELD_FLAG_REPEATED)),
    ("SLUICE_FIELD_FLAG_SENSITIVE", Int(SLUICE_FIELD_FLAG_SENSITIVE)),
    ("SLUICE_EDIT_SET", Int(SLUICE_EDIT_SET)),
    ("SLUICE_EDIT_APPEND", Int(SLUICE_EDIT_APPEND)),
    ("SLUICE_EDIT_ADD_IF_ABSENT", Int(SLUICE_EDIT_ADD_IF_ABSENT)),
    ("SLUICE_EDIT_REMOVE", Int(SLUICE_EDIT_REMOVE)),
    ("SLUICE_EDIT_REMOVE_PREFIX", Int(SLUICE_EDIT_REMOVE_PREFIX)),
    ("SLUICE_EDIT_SET_METHOD", Int(SLUICE_EDIT_SET_METHOD)),
    ("SLUICE_EDIT_SET_PATH", Int(SLUICE_EDIT_SET_PATH)),
    ("SLUICE_EDIT_SET_AUTHORITY", Int(SLUICE_EDIT_SET_AUTHORITY)),
    ("SLUICE_EDIT_SET_STATUS", Int(SLUICE_EDIT_SET_STATUS)),
    ("SLUICE_PHASE_REQUEST_HEADERS", Int(SLUICE_PHASE_REQUEST_HEADERS)),
    ("SLUICE_PHASE_CACHE_LOOKUP", Int(SLUICE_PHASE_CACHE_LOOKUP)),
    ("SLUICE_PHASE_REQUEST_BODY", Int(SLUICE_PHASE_REQUEST_BODY)),
    ("SLUICE_PHASE_UPSTREAM_SELECT", Int(SLUICE_PHASE_UPSTREAM_SELECT)),
    ("SLUICE_PHASE_UPSTREAM_REQUEST", Int(SLUICE_PHASE_UPSTREAM_REQUEST)),
    ("SLUICE_PHASE_UPSTREAM_RESULT", Int(SLUICE_PHASE_UPSTREAM_RESULT)),
    ("SLUICE_PHASE_UPSTREAM_RESPONSE", Int(SLUICE_PHASE_UPSTREAM_RESPONSE)),
    ("SLUICE_PHASE_UPSTREAM_BODY", Int(SLUICE_PHASE_UPSTREAM_BODY)),
    ("SLUICE_PHASE_RESPONSE_HEADERS", Int(SLUICE_PHASE_RESPONSE_HEADERS)),
    ("SLUICE_PHASE_RESPONSE_BODY", Int(SLUICE_PHASE_RESPONSE_BODY)),
    ("SLUICE_PHASE_LOCAL_REPLY", Int(SLUICE_PHASE_LOCAL_REPLY)),
    ("SLUICE_PHASE_REQUEST_END", Int(SLUICE_PHASE_REQUEST_END)),
    ("SLUICE_PHASE_COUNT", Int(SLUICE_PHASE_COUNT)),
    ("SLUICE_CONTINUE", Int(SLUICE_CONTINUE)),
    ("SLUICE_RESPOND", Int(SLUICE_RESPOND)),
    ("SLUICE_SUSPEND", Int(SLUICE_SUSPEND)),
    ("SLUICE_HOLD", Int(SLUICE_HOLD)),
    ("SLUICE_DETACH", Int(SLUICE_DETACH)),
    ("SLUICE_RESET", Int(SLUICE_RESET)),
    ("SLUICE_MORE", Int(SLUICE_MORE)),
    ("SLUICE_ERROR", Int(SLUICE_ERROR)),
    ("SLUICE_ARGS_EOS", Int(SLUICE_ARGS_EOS)),
    ("SLUICE_ARGS_INTERNAL", Int(SLUICE_ARGS_INTERNAL)),
    ("SLUICE_ARGS_LOCAL", Int(SLUICE_ARGS_LOCAL)),
    ("SLUICE_HTTP_1_0", Int(SLUICE_HTTP_1_0)),
    ("SLUICE_HTTP_1_1", Int(SLUICE_HTTP_1_1)),
    ("SLUICE_HTTP_2", Int(SLUICE_HTTP_2)),
    ("SLUICE_OUTCOME_COMPLETE", Int(SLUICE_OUTCOME_COMPLETE)),
    ("SLUICE_OUTCOME_CLIENT_GONE", Int(SLUICE_OUTCOME_CLIENT_GONE)),
    ("SLUICE_OUTCOME_UPSTREAM_CUT", Int(SLUICE_OUTCOME_UPSTREAM_CUT)),
    ("SLUICE_OUTCOME_RESET", Int(SLUICE_OUTCOME_RESET)),
    ("SLUICE_OUTCOME_MALFORMED", Int(SLUICE_OUTCOME_MALFORMED)),
    ("SLUICE_LOG_ERROR", Int(SLUICE_LOG_ERROR)),
    ("SLUICE_LOG_WARN", Int(SLUICE_LOG_WARN)),
    ("SLUICE_LOG_INFO", Int(SLUICE_LOG_INFO)),
    ("SLUICE_LOG_DEBUG", Int(SLUICE_LOG_DEBUG)),
    ("SLUICE_PICK_MAX", Int(SLUICE_PICK_MAX)),
    ("SLUICE_PICK_OK", Int(SLUICE_PICK_OK)),
    ("SLUICE_PICK_NONE", Int(SLUICE_PICK_NONE)),
]
