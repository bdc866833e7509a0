#include <sluice/descriptor.h>

SLUICE_DESCRIPTOR({
    "abi": "0.2",
    "id": "org.sluice.cache",
    "version": "0.1.0",
    "description": "Keeps responses in memory and answers from them.",
    "hooks": ["request_end", "upstream_response"],
    "roles": ["sluice.cache/1", "sluice.handover/1"],
    "required": ["sluice.core/1", "sluice.http/1"],
    "attributes": { "produces": [], "consumes": [] },
    "config": {
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "memory": { "type": "string", "format": "size", "default": "64MiB" },
            "max_object": { "type": "string", "format": "size" },
            "key": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "query": {
                        "type": "object",
                        "additionalProperties": false,
                        "properties": {
                            "keep": {
                                "type": "array",
                                "items": { "type": "string", "minLength": 1, "maxLength": 128 },
                                "maxItems": 64
                            },
                            "drop": {
                                "type": "array",
                                "items": { "type": "string", "minLength": 1, "maxLength": 128 },
                                "maxItems": 64
                            },
                            "sort": { "type": "boolean", "default": false }
                        }
                    },
                    "headers": {
                        "type": "array",
                        "items": { "type": "string", "minLength": 1, "maxLength": 128 },
                        "maxItems": 64
                    },
                    "cookies": {
                        "type": "array",
                        "items": { "type": "string", "minLength": 1, "maxLength": 128 },
                        "maxItems": 64
                    },
                    "device": { "type": "boolean", "default": false }
                }
            },
            "lock": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "wait": { "type": "string", "format": "duration", "default": "5s" },
                    "age": { "type": "string", "format": "duration", "default": "30s" }
                }
            },
            "stale": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "while_revalidate": {
                        "type": "string", "format": "duration", "default": "0s"
                    },
                    "if_error": { "type": "string", "format": "duration", "default": "0s" }
                }
            },
            "negative": {
                "type": "object",
                "additionalProperties": { "type": "string", "format": "duration" }
            },
            "ttl": {
                "type": "object",
                "additionalProperties": { "type": "string", "format": "duration" }
            },
            "set_cookie": { "enum": ["never", "store"], "default": "never" },
            "ranges": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "max": { "type": "integer", "minimum": 0, "maximum": 31, "default": 16 }
                }
            },
            "purge": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "allow": {
                        "type": "array",
                        "items": { "type": "string" },
                        "maxItems": 256
                    }
                }
            },
            "status_field": { "type": "string", "maxLength": 64, "default": "Sluice" },
            "heuristic": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "percent": {
                        "type": "integer", "minimum": 0, "maximum": 100, "default": 10
                    },
                    "max": { "type": "string", "format": "duration", "default": "24h" }
                }
            },
            "bypass": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "headers": {
                        "type": "array",
                        "items": { "type": "string", "minLength": 1 },
                        "maxItems": 64
                    },
                    "cookies": {
                        "type": "array",
                        "items": { "type": "string", "minLength": 1 },
                        "maxItems": 64
                    },
                    "paths": {
                        "type": "array",
                        "items": { "type": "string", "minLength": 1 },
                        "maxItems": 256
                    }
                }
            }
        }
    }
});
