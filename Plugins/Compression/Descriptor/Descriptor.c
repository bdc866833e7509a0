#include <sluice/descriptor.h>

SLUICE_DESCRIPTOR({
    "abi": "0.2",
    "id": "org.sluice.compression",
    "version": "0.1.0",
    "description": "Compresses responses by gzip, deflate, Brotli and Zstandard; decodes requests.",
    "hooks": [
        "request_headers", "request_body", "upstream_request", "upstream_response",
        "upstream_body", "response_headers", "response_body", "request_end"
    ],
    "roles": [],
    "required": ["sluice.core/1"],
    "config": {
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "encodings": {
                "type": "array",
                "items": { "enum": ["gzip", "deflate", "br", "zstd"] },
                "maxItems": 4
            },
            "levels": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "gzip": { "type": "integer", "minimum": 1, "maximum": 9, "default": 5 },
                    "br": { "type": "integer", "minimum": 0, "maximum": 11, "default": 4 },
                    "zstd": { "type": "integer", "minimum": 1, "maximum": 19, "default": 3 }
                }
            },
            "types": {
                "type": "array",
                "items": { "type": "string", "minLength": 3 },
                "maxItems": 256
            },
            "min_length": { "type": "string", "format": "size", "default": "512B" },
            "before_cache": { "type": "boolean", "default": false },
            "ask_plain": { "type": "boolean", "default": false },
            "decode_responses": { "type": "boolean", "default": true },
            "decode_requests": {
                "anyOf": [
                    { "type": "boolean" },
                    {
                        "type": "object",
                        "additionalProperties": false,
                        "properties": {
                            "max_size": {
                                "type": "string", "format": "size", "default": "16MiB"
                            },
                            "max_ratio": {
                                "type": "integer", "minimum": 1, "maximum": 100000, "default": 100
                            }
                        }
                    }
                ],
                "default": false
            },
            "max_streams": {
                "type": "integer", "minimum": 1, "maximum": 1000000, "default": 1024
            },
            "pool": { "type": "integer", "minimum": 0, "maximum": 10000, "default": 8 }
        }
    }
});
