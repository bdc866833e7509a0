#include <sluice/descriptor.h>

SLUICE_DESCRIPTOR({
    "abi": "0.2",
    "id": "org.example.body-rewriter",
    "version": "1.0.0",
    "description": "Replaces a text in the bodies of responses.",
    "hooks": ["request_headers", "response_headers", "response_body"],
    "roles": [],
    "required": ["sluice.core/1"],
    "config": {
        "type": "object",
        "additionalProperties": false,
        "required": ["find", "replace"],
        "properties": {
            "find": {
                "description": "What is replaced: bytes, as they stand in the body.",
                "type": "string", "minLength": 1, "maxLength": 256
            },
            "replace": { "type": "string", "maxLength": 4096 },
            "content_types": {
                "description": "Media types, without parameters.",
                "type": "array", "items": { "type": "string", "minLength": 3 },
                "minItems": 1, "maxItems": 32, "default": ["text/html"]
            },
            "at_flush": { "enum": ["keep", "release"], "default": "keep" },
            "ask_plain": {
                "description": "Asks origins for whole bodies that are not compressed.",
                "type": "boolean", "default": true
            }
        }
    }
});
