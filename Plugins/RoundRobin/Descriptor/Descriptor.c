#include <sluice/descriptor.h>

SLUICE_DESCRIPTOR({
    "abi": "0.2",
    "id": "org.sluice.round-robin",
    "version": "0.1.0",
    "description": "Smooth weighted round robin over an upstream's peers.",
    "hooks": ["request_headers", "response_headers"],
    "roles": ["sluice.lb/1"],
    "required": ["sluice.core/1", "sluice.http/1"],
    "config": {
        "type": "object",
        "additionalProperties": false,
        "properties": {
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
