#include <sluice/descriptor.h>

/* What the host reads without running the plugin: JSON, as it stands here. */
SLUICE_DESCRIPTOR({
    "abi": "0.2",
    "id": "org.example.hello",
    "version": "1.0.0",
    "description": "Says hello in a field of every response.",
    "hooks": ["response_headers"],
    "roles": [],
    "required": ["sluice.core/1"],
    "config": {
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "greeting": { "type": "string", "minLength": 1, "default": "hello from Swift" }
        }
    }
});
