#include <sluice/descriptor.h>

SLUICE_DESCRIPTOR({
    "abi": "0.2",
    "id": "org.sluice.respond",
    "version": "0.1.0",
    "description": "Answers with a text, a file or a redirect.",
    "hooks": ["request_headers"],
    "roles": [],
    "required": ["sluice.core/1"],
    "config": {
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "status": { "type": "integer", "minimum": 200, "maximum": 599, "default": 200 },
            "headers": {
                "anyOf": [
                    {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "additionalProperties": false,
                            "required": ["name", "value"],
                            "properties": {
                                "name": { "type": "string", "format": "field-name" },
                                "value": { "type": "string" }
                            }
                        },
                        "maxItems": 32
                    },
                    {
                        "type": "object",
                        "additionalProperties": { "type": "string" },
                        "maxProperties": 32
                    }
                ]
            },
            "body": { "type": "string" },
            "body_file": { "type": "string", "minLength": 1 },
            "content_type": { "type": "string", "minLength": 1 },
            "location": { "type": "string", "minLength": 1 },
            "methods": {
                "type": "array",
                "items": { "type": "string", "minLength": 1 },
                "minItems": 1,
                "maxItems": 16
            }
        },
        "not": { "required": ["body", "body_file"] }
    }
});
