#include <sluice/descriptor.h>

SLUICE_DESCRIPTOR({
    "abi": "0.2",
    "id": "org.sluice.maglev",
    "version": "0.1.0",
    "description": "Consistent hashing by the table of the Maglev paper.",
    "hooks": ["request_headers", "response_headers"],
    "roles": ["sluice.lb/1"],
    "required": ["sluice.core/1", "sluice.http/1"],
    "config": {
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "key": {
                "type": ["string", "array"],
                "items": { "type": "string" },
                "minItems": 1,
                "maxItems": 8
            },
            "max_load": { "type": "number", "minimum": 1, "maximum": 100 },
            "table_size": {
                "type": "integer",
                "minimum": 251,
                "maximum": 5000011,
                "default": 65537
            },
            "candidates": { "type": "integer", "minimum": 1, "maximum": 8, "default": 3 },
            "slow_start": {
                "anyOf": [
                    { "type": "string", "format": "duration" },
                    {
                        "type": "object",
                        "additionalProperties": false,
                        "required": ["window"],
                        "properties": {
                            "window": { "type": "string", "format": "duration" },
                            "aggression": {
                                "type": "number", "minimum": 0.1, "maximum": 10, "default": 1
                            },
                            "min_weight": {
                                "type": "integer", "minimum": 1, "maximum": 100, "default": 10
                            }
                        }
                    }
                ]
            },
            "zone": {
                "anyOf": [
                    { "type": "string", "minLength": 1 },
                    {
                        "type": "object",
                        "additionalProperties": false,
                        "required": ["own"],
                        "properties": {
                            "own": { "type": "string", "minLength": 1 },
                            "min_healthy": {
                                "type": "integer", "minimum": 0, "maximum": 100, "default": 70
                            }
                        }
                    }
                ]
            },
            "sticky": {
                "type": "object",
                "additionalProperties": false,
                "required": ["secrets"],
                "properties": {
                    "cookie": { "type": "string", "default": "sluice_peer" },
                    "secrets": {
                        "type": "array",
                        "items": { "type": "string" },
                        "minItems": 1,
                        "maxItems": 4
                    },
                    "path": { "type": "string", "default": "/" },
                    "domain": { "type": "string" },
                    "max_age": { "type": "string", "format": "duration" },
                    "secure": {
                        "anyOf": [{ "type": "boolean" }, { "const": "auto" }],
                        "default": "auto"
                    },
                    "http_only": { "type": "boolean", "default": true },
                    "same_site": {
                        "enum": ["lax", "strict", "none", "omit"], "default": "lax"
                    },
                    "draining": { "type": "boolean", "default": true }
                }
            }
        }
    }
});
