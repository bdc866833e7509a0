#include <sluice/descriptor.h>

SLUICE_DESCRIPTOR({
    "abi": "0.2",
    "id": "org.sluice.access-log",
    "version": "0.1.0",
    "description": "Writes a line about each request.",
    "hooks": ["request_headers", "upstream_result", "response_headers", "request_end"],
    "roles": [],
    "required": ["sluice.core/1"],
    "config": {
        "type": "object",
        "additionalProperties": false,
        "required": ["output"],
        "properties": {
            "format": {
                "enum": ["json", "common", "combined", "template"], "default": "json"
            },
            "fields": {
                "type": "array",
                "items": { "type": "string", "minLength": 1 },
                "minItems": 1,
                "maxItems": 128
            },
            "template": { "type": "string", "minLength": 1, "maxLength": 8192 },
            "escape": { "enum": ["text", "json"] },
            "output": {
                "anyOf": [
                    { "enum": ["stdout"] },
                    {
                        "type": "object",
                        "additionalProperties": false,
                        "properties": {
                            "file": { "type": "string", "minLength": 1 },
                            "mode": { "type": "string" },
                            "unix": { "type": "string", "minLength": 1 },
                            "syslog": { "type": "string", "minLength": 1 },
                            "facility": { "type": "string" },
                            "severity": { "type": "string" },
                            "app_name": { "type": "string", "minLength": 1, "maxLength": 48 },
                            "hostname": { "type": "string", "minLength": 1, "maxLength": 255 }
                        }
                    }
                ]
            },
            "buffer": { "type": "string", "format": "size", "default": "1MiB" },
            "flush": { "type": "string", "format": "duration", "default": "1s" },
            "line_max": { "type": "string", "format": "size", "default": "8KiB" },
            "when": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "status": {
                        "type": "array", "items": { "type": "string" }, "minItems": 1
                    },
                    "min_duration": { "type": "string", "format": "duration" },
                    "path_prefix": {
                        "type": "array", "items": { "type": "string" }, "maxItems": 32
                    },
                    "header": {
                        "type": "array", "items": { "type": "string" }, "maxItems": 16
                    },
                    "cookie": {
                        "type": "array", "items": { "type": "string" }, "maxItems": 16
                    }
                }
            },
            "sample": {
                "type": "integer", "minimum": 1, "maximum": 1000000, "default": 1
            },
            "keep_errors": { "type": "boolean", "default": false },
            "redact_query": {
                "type": "array",
                "items": { "type": "string", "minLength": 1 },
                "maxItems": 64
            },
            "sensitive": {
                "type": "array",
                "items": { "type": "string", "minLength": 1 },
                "maxItems": 64
            }
        }
    }
});
